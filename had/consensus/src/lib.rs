//! The cluster's agreement: openraft and a redb store behind our own interface.
//!
//! ```text
//!   daemon, simulator ── propose, permit, transfer ──▶ Consensus ──▶ openraft ──▶ Transport (peers)
//!          ▲                                                            │  │
//!          └────────────── Machine::apply, voters ◀────── StateMachine ─┘  └─▶ LogStore ──▶ Disk: Store (redb)
//! ```
//!
//! Everything is generic over a [`Runtime`]: tasks, timers, channels, random numbers, the clock and the place where
//! disk work is done. The daemon runs it on [`System`] (tokio and a store thread), the simulator on its own.
//!
//! | module | subject |
//! | --- | --- |
//! | [`consensus`] | [`Consensus`]: what the rest of the program sees |
//! | [`machine`] | [`Machine`]: the replicated state machine, as this crate needs it |
//! | [`replica`] | [`Replica`]: `had_core`'s state as such a machine |
//! | [`network`] | [`Transport`]: how a request reaches a peer |
//! | [`runtime`] | [`Runtime`] and [`Disk`]: what everything runs on |
//! | [`settings`] | [`Settings`]: timing and bounds of the engine |
//! | [`store`] | [`Store`]: vote, log and snapshot on disk |
//! | `types`, `wire` | openraft's types as used here, and their encoding on disk and wire |
//!
//! # What must be known about the engine
//! - **That a node leads permits nothing.** An isolated leader goes on calling itself one; so does
//!   [`Leadership::leads`](had_core::ports::Leadership::leads). Only [`Consensus::permit`] permits.
//! - **An acknowledgement counts from its sending** only as long as no two requests of one lane to one peer are on
//!   their way at once. So appends are unary calls, and `stream_append` is left as openraft has it.
//! - **A restarted process never leads under its old vote** (`enable_leader_restore` off): what it had granted is forgotten.

pub mod consensus;
pub mod machine;
pub mod network;
pub mod replica;
mod rpc;
pub mod runtime;
pub mod settings;
pub mod store;
mod types;
mod wire;

pub use consensus::{
    Consensus, Failure, FormError, LeadershipWatch, ReplaceError, ServeError, StartError,
    TransferError,
};
pub use machine::Machine;
pub use network::{CallError, Transport};
pub use replica::Replica;
pub use runtime::{Disk, Inline, Job, Runtime, System, Thread};
pub use settings::{ENTRIES_A_SNAPSHOT, Plants, Settings};
pub use store::{OpenError, Store, StoreError};
