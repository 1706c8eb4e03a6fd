//! A deterministic executor in virtual time.
//!
//! ```text
//!  ready queue (one, first in first out) ──▶ poll the task with its node's clocks and random source
//!        ▲            empty: true time jumps to the next of
//!        ├── timers of each node, on the node's own CLOCK_MONOTONIC
//!        └── happenings at a true time: messages that arrive, faults, checks
//! ```
//!
//! One kernel on one thread; the same seed gives the same order of everything. Every task belongs to a node and dies with
//! its process. A node's tasks are not polled while it is frozen; its clocks go on. [`SimRuntime`] is this executor as
//! openraft wants it.

mod clock;
mod context;
mod control;
mod kernel;
mod node;
mod rng;
mod sim_runtime;
mod task;
#[cfg(test)]
mod tests;
mod timer;
mod watch;

pub use clock::{Clock, Rate};
pub use context::{after, at, current_node, here, spawn_on, true_time};
pub use kernel::{Kernel, NodeIndex, WORLD};
pub use node::Clocks;
pub use rng::{Dice, NodeRng};
pub use sim_runtime::{SimInstant, SimMutex, SimRuntime};
pub use task::{JoinError, JoinHandle};
pub use timer::{Elapsed, Sleep, Timeout};
pub use watch::SimWatch;
