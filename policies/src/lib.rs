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
//! | `scheme`, `failback` | the four schemes: who may own a group, in which order, and when it returns |
//! | `veto`, `fitness`, `between` | what forbids a node: how it is said, the node itself, the other groups |
//! | `order`, `places` | which group is planned when, and where the others count meanwhile |
//! | `field` | the nodes of one group, judged: vetoes first, then the order among the rest |
//! | `choice`, `planner` | where one group should be, and where all should: [`plan`] |
//! | `plan`, `report`, `words` | the answer, and how it is said |
//! | `degraded` | who carries more than its own: [`degraded()`] |
//! | `operator` | where an operator's move may go: [`failover`], [`failback()`], [`next`] |
//! | `forecast` | what a loss would mean: [`forecast()`] |
//! | `lint` | a second opinion on a finished plan: [`lint()`] |

mod between;
mod choice;
mod degraded;
mod failback;
mod field;
mod fitness;
mod forecast;
mod lint;
pub mod names;
mod operator;
mod order;
mod places;
mod plan;
mod planner;
mod relations;
mod report;
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
