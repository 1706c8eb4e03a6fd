//! Being written.
#![allow(missing_docs)]
/// Version 1 of the wire.
pub mod v1 { tonic::include_proto!("ha.v1"); }
