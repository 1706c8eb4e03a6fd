//! The real binaries on real packets: what goes wrong, what a client saw of it, and whether it was safe.
//!
//! | module | subject |
//! | --- | --- |
//! | [`watch`] | a client and a tap on a cluster, and what they prove |
//! | [`fault`] | each fault: how the cluster must stand before it, and how it strikes |
//! | [`trial`] | one fault on one fresh cluster, measured |
//! | [`figures`] | many trials: p50, 19 of 20, the worst, what was promised |

pub mod fault;
pub mod figures;
pub mod trial;
pub mod watch;
