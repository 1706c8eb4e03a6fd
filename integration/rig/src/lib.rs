//! Hosts, switches and a client in network namespaces, and faults between them.
//!
//! ```text
//!              the program (cargo test, cargo demo)
//!                 │ fork
//!              supervisor        ends with the program; a user namespace here where it is no root
//!                 │ fork
//!              lab process       process 1 of a process namespace: all below ends with it
//!   ┌─────────────┼──────────────┬──────────────┬─────────────┐
//!  s1 (s2)        h1             h2             h3            c1     each: process, mount and
//!  bridge br0 ── eth0 (eth1) ── eth0 (eth1) ── eth0 (eth1) ── eth0   network namespace of its own
//! ```
//!
//! Namespaces are held by processes and threads alone and have no names in the file system; files live in a tmpfs of
//! the lab's own mount namespace. So nothing is left behind, however the program ends.
//!
//! | module | subject |
//! | --- | --- |
//! | [`enter`] | from a program into the lab process, as root or as an ordinary user |
//! | [`story`] | tests, each in a lab process of its own and with a time limit |
//! | [`lab`], [`host`], [`process`] | the network, its machines, what runs on them; faults |
//! | [`client`], [`responder`], [`wire`] | who asks, who answers, and what really passed |
//! | [`sniffer`] | who claims many addresses, for hours |
//! | [`rules`] | loss, and who does not hear whom, on the switch |
//! | [`meddle`] | what careless people and programs do to a host |
//! | [`pulse`] | how busy the machine is that plays all of it |
//! | [`cluster`] | the real binaries as a cluster |

pub mod binaries;
pub mod client;
pub mod cluster;
pub mod enter;
pub mod host;
pub mod lab;
pub mod meddle;
mod namespace;
mod netlink;
pub mod process;
pub mod pulse;
pub mod responder;
pub mod rules;
pub mod sniffer;
pub mod story;
mod switch;
pub mod wait;
pub mod wall;
pub mod wire;

pub use client::{Client, Crowd, Stream};
pub use cluster::{Cluster, ClusterSpec, GroupText};
pub use host::Host;
pub use lab::{Lab, LabSpec};
pub use process::Process;
pub use pulse::Pulse;
pub use sniffer::{Sniffer, Stranger};
pub use wait::until;
pub use wire::Wire;
