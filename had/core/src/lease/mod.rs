//! Leases: counted by the holder from its own send time, noted by the leader until they are surely over.

mod holder;
mod records;

pub use holder::Holder;
pub use records::{Record, Records};
