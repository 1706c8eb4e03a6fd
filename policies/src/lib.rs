//! Who should own each group, and why: a pure planner.
//!
//! A [`View`] of the cluster goes in, a [`Plan`] comes out: placements *and* the report that explains them. The same
//! planner serves the daemon, `explain` and `simulate`. It knows no clock, file, socket or random source.
//!
//! Vetoes are kept apart from preferences: no preference outweighs a veto. Planning twice moves nothing.

pub mod names;
mod plan;
mod view;

pub use plan::{Candidate, Cause, Decision, Plan, Verdict, Veto};
pub use view::{Failback, GroupView, NodeView, Presence, Readiness, Scheme, View};
