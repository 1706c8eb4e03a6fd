//! Stories on loopback: every node on a runtime of its own, so that it can be killed as a whole.

mod calls;
mod exchange;
mod faults;
mod latency;
mod refuse;
mod rig;
