//! The gate on a real kernel: the same stories for every way of standing in it.

#![allow(
    clippy::unwrap_used,
    reason = "everything here is a test, also what is no test function"
)]

mod deadlines;
mod frames;
mod judging;
mod lab;
mod neighbours;
mod service;
mod survival;
mod traffic;
mod tun;
mod wire;

/// Tells each story three times: BPF over tcx, BPF over clsact, nftables.
macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        crate::stories!(@kind tcx Tcx $($story)*);
        crate::stories!(@kind clsact Clsact $($story)*);
        crate::stories!(@kind nft Nft $($story)*);
    };
    (@kind $module:ident $kind:ident $($story:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $story() {
                    crate::lab::tell(crate::lab::Kind::$kind, super::$story);
                }
            )*
        }
    };
}
pub(crate) use stories;
