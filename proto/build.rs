//! Compiles the wire without an installed protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["ha/v1/peer.proto", "ha/v1/admin.proto"], ["."])?;
    tonic_prost_build::configure().compile_fds(files)?;
    println!("cargo:rerun-if-changed=ha");
    Ok(())
}
