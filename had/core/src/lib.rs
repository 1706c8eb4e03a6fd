//! The node as a pure state machine.
//!
//! Events and the time go in, commands and the next deadline come out. Nothing here reads a clock,
//! opens a file or a socket, or draws a random number: the daemon and the simulator drive the same code.
//!
//! ```text
//!            Event, Now                            Vec<Command>
//!  driver ──────────────▶ Node::handle ──────────────────────────▶ driver
//!            (messages, applied entries,    (gate, resources, messages,
//!             permits, resource reports)     proposals, replies)
//! ```
//!
//! | module | subject |
//! | --- | --- |
//! | [`spec`] | what the operator asked for: nodes, groups, resources, as checked and replicated |
//! | [`state`] | the replicated state machine: entries in, owners and epochs out |
//! | [`message`] | what daemons say to each other |
//! | [`ports`] | events and commands |
//! | [`lease`] | leases of the holder, records of the leader |
//! | [`guard`] | when a process beside the daemon ends what the daemon no longer can |
//! | [`peers`] | what was heard of every node |
//! | [`group`] | one group on this node: starting, running, giving way |
//! | [`leader`] | what only the leader does: declaring loss, planning, proposing |
//! | [`node`] | all of it behind one `handle` |
//! | [`outlook`] | the cluster as the planner is told of it |
//! | [`stall`] | times in which the daemon did not run |
//! | [`status`] | what operators are shown |
//! | [`explain`] | why a group runs where it runs, now or then |

pub mod explain;
pub mod group;
pub mod guard;
pub mod ids;
pub mod leader;
pub mod lease;
pub mod message;
pub mod node;
pub mod outlook;
pub mod peers;
pub mod plant;
pub mod ports;
pub mod spec;
pub mod stall;
pub mod state;
pub mod status;
pub mod time;
pub mod timing;
