//! The real binaries on real packets: what goes wrong, what a client saw of it, and whether it was safe.
//!
//! | module | subject |
//! | --- | --- |
//! | [`watch`] | a client and a tap on a cluster, and what they prove |
//! | [`fault`] | each fault: how the cluster must stand before it, and how it strikes |
//! | [`forecast`] | what `hactl simulate` says of a loss, and whether it comes true |
//! | [`history`] | what `hactl explain` and `hactl events` say |
//! | [`trial`] | one fault on one fresh cluster, measured |
//! | [`figures`] | many trials: p50, 19 of 20, the worst, what was promised |
//! | [`chaos`] | random faults for as long as wanted, and whether two nodes ever owned an address |
//! | [`many`] | hundreds of groups on three nodes, one of which is lost |

pub mod chaos;
pub mod fault;
pub mod figures;
pub mod forecast;
pub mod history;
pub mod many;
pub mod trial;
pub mod watch;
