//! What holds for every view, however odd.
//!
//! | module | subject |
//! | --- | --- |
//! | `generate` | views with all schemes and rules between groups, circles among them too |
//! | `eligible` | what DESIGN calls eligible, written apart from the planner on purpose |
//! | `single` | one plan |
//! | `operator` | commands |
//! | `forecasts` | what a loss would mean |
//! | `cluster`, `sequences` | a small cluster that carries out its plans while nodes and operators come and go |

#![allow(missing_docs, clippy::unwrap_used)]

mod cluster;
mod eligible;
mod forecasts;
mod generate;
mod operator;
mod sequences;
mod single;
