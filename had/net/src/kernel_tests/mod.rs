//! The adapter against a real kernel, each story in network namespaces of its own. Needs the rights of root, be it inside
//! a user namespace.

mod addresses;
mod announcements;
mod claims;
mod daemon;
mod interfaces;
mod tap;
mod world;
