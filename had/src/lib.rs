//! The daemon's parts that stand on tonic and tokio.
//!
//! | module | subject |
//! | --- | --- |
//! | [`peers`] | connections to the other nodes: frames, consensus calls, their state |
//! | [`tls`] | who this node is, and whose word it takes |
//! | [`admin`] | what operators ask, on the socket and on the peers' port |

pub mod admin;
pub mod peers;
pub mod tls;

#[cfg(test)]
mod testing;
