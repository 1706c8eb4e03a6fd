//! Who should own each group, and why: a pure planner.
//!
//! A [`View`] of the cluster goes in, a [`Plan`] comes out: placements *and* the report that explains them. The same
//! planner serves the daemon, `explain` and `simulate`. It knows no clock, file, socket or random source.
//!
//! Vetoes are kept apart from preferences: no preference outweighs a veto. Planning twice moves nothing.

//!
//! | module | subject |
//! | --- | --- |
//! | `view` | what the planner is told |
//! | `field` | the nodes of one group, judged: vetoes first, then the order among the rest |
//! | `planner` | where each group should be: [`plan`] |
//! | `operator` | where an operator's move may go: [`failover`], [`failback`], [`next`] |
//! | `plan`, `words` | the answer, and how it is said |

mod degraded;
mod failback;
mod field;
mod forecast;
mod lint;
pub mod names;
mod operator;
mod plan;
mod planner;
mod scheme;
mod veto;
mod view;
mod words;

pub use degraded::{Degraded, degraded};
pub use failback::Failback;
pub use forecast::{Fate, FateState, Forecast, Outage, Scenario, Seats, forecast};
pub use lint::lint;
pub use operator::{Refused, Target, failback, failover, next};
pub use plan::{Candidate, Cause, Decision, Idle, Plan, Verdict};
pub use planner::plan;
pub use scheme::Scheme;
pub use veto::Veto;
pub use view::{GroupView, NodeView, Presence, Readiness, View};
