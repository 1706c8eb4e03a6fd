//! The wire between peers and between `hactl` and `had`, compiled from `ha/v1/*.proto` and nothing else.
//!
//! Checked types are made of these where they arrive: `had::peers` for [`v1::peer_server`], `had::admin` for [`v1::admin_server`].

/// Version 1 of the wire. The documentation of every message stands in its `.proto` file.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::missing_errors_doc,
    clippy::wildcard_imports,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("ha.v1");
}
