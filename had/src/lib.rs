//! The daemon: the core of `had_core`, driven by this host's clocks, network and disks.
//!
//! | module | subject |
//! | --- | --- |
//! | [`daemon`] | everything put together, in order, and taken down again |
//! | [`driver`] | the one thread that owns the core and the gate |
//! | [`peers`] | connections to the other nodes: frames, consensus calls, their state |
//! | [`tls`] | who this node is, and whose word it takes |
//! | [`admin`] | what operators ask, on the socket and on the peers' port |
//! | [`operator`] | what they are answered |
//! | [`inbound`], [`transport`] | what peers say, and what the consensus says to them |
//! | [`http`] | metrics and health |
//! | [`guard`] | the process beside the daemon that takes addresses off when the daemon cannot |
//! | [`supervisor`] | what systemd is told |
//! | [`cli`], [`check`], [`logging`], [`clock`], [`priority`], [`privileges`], [`vips`] | as named |

pub mod admin;
pub mod check;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod driver;
pub mod guard;
pub mod http;
pub mod inbound;
pub mod logging;
pub mod operator;
pub mod peers;
pub mod priority;
pub mod privileges;
pub mod supervisor;
pub mod tls;
pub mod transport;
pub mod vips;

#[cfg(test)]
mod testing;
