//! The real core and the real consensus in virtual time.

pub mod disk;
pub mod runtime;
