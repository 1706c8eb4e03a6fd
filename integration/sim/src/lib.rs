//! The real core and the real consensus in virtual time.
//!
//! ```text
//!   seed ──▶ run ──▶ faults ──▶ hosts, network, disks, clocks
//!                                 │ had_core::Node and had_consensus::Consensus, unchanged
//!                                 ▼
//!                               check ──▶ the first promise that is broken, with a history of how
//! ```
//!
//! | module | subject |
//! | --- | --- |
//! | [`runtime`] | the executor: virtual time, nodes that freeze, drift, sleep and die |
//! | [`network`], [`disk`] | what connects the hosts, and what is left of their data |
//! | [`host`] | a host with its kernel and its daemon |
//! | [`cluster`] | all hosts of one run |
//! | [`faults`] | what goes wrong, and when |
//! | [`check`] | the promises, one file each |
//! | [`plant`] | mistakes that prove the checks |
//! | [`spec`], [`story`] | the cluster file of a seed, and what befalls the cluster |
//! | [`run`] | one seed from boot to verdict |

pub mod check;
pub mod cluster;
pub mod disk;
pub mod faults;
pub mod history;
pub mod host;
pub mod network;
pub mod plant;
pub mod run;
pub mod runtime;
pub mod spec;
pub mod story;
