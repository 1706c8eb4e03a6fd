//! The node: every event in, every command out.
