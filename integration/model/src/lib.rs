//! A model of the lease and hand-over protocol, searched whole.
//!
//! The simulator draws histories of the real code; this model has every history of the protocol, within bounds that are named in
//! [`scope`]. What is modelled, what is left out and why that is sound: `docs/design/0009-model.md`.
//!
//! | module | subject |
//! | --- | --- |
//! | [`state`] | what a moment consists of |
//! | [`log`] | decisions, and the group's state that follows from them |
//! | [`action`] | what can happen, and its words |
//! | [`rules`] | when it can, and what it changes |
//! | [`scope`] | how far each search goes |
//! | [`plant`] | mistakes that must be found |
//! | [`model`] | what must hold, and what must be possible |
//! | [`search`] | a search and its result |

pub mod action;
pub mod log;
pub mod model;
pub mod plant;
pub mod rules;
pub mod scope;
pub mod search;
pub mod state;
