//! Placeholder while the state machine is written.
