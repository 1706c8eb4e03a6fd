//! The gate: the kernel silences a group's addresses when its lease ends, also when nobody is left to say so.
//!
//! Every packet to or from a guarded address, on every interface but loopback, passes only before its
//! group's deadline on `CLOCK_BOOTTIME`. The deadline is absolute: a renewal that was held up writes a time
//! that is past, and opens nothing. When the daemon is killed, frozen or starved, nobody renews, and the
//! address falls silent. What is in the kernel outlives the daemon, shut.
//!
//! ```text
//!  Gate::set(group, until) ──▶ deadlines (mapped memory)      bpf: one store
//!                                    │
//!            packet ──▶ address ──▶ slot ──▶ until > now ? ──▶ pass : drop
//! ```
//!
//! | module | subject |
//! | --- | --- |
//! | `bpf` | the strong rung: a program at tcx or clsact hooks |
//! | `nft` | the weaker rung, where BPF is not permitted: nftables with timeouts |
//! | `netlink` | messages to the kernel, written by hand |
//! | `words` | memory that the kernel's program, or another process, sees too |

mod bpf;
mod error;
mod gate;
mod interfaces;
mod netlink;
mod nft;
mod settings;
mod words;

pub use error::GateError;
pub use gate::{Footing, Gate, probe};
pub use settings::{Dropped, GuardedGroup, Preference, Rung, Settings};
pub use words::Words;
