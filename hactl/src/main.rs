//! The command line of `had`.
//!
//! ```text
//!  args ──▶ command ──▶ daemon (gRPC on the socket, or with TLS) ──▶ render ──▶ stdout
//!                │                                                     
//!                └──▶ failure ──▶ stderr, with a hint, and the exit code
//! ```
//!
//! Data goes to stdout, everything else to stderr. With `--json` the daemon's documents pass through as they came.

mod args;
mod command;
mod connect;
mod daemon;
mod failure;
mod out;
mod render;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use failure::Failure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json;
    match command::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads us has seen enough: `hactl events | head`.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => failure.report(json),
    }
}
