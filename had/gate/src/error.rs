//! What can go wrong at the gate.

use std::io;
use std::net::IpAddr;

/// Why the gate could not do what was asked. After any of these, nothing may be assumed to be guarded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A step failed in the kernel.
    #[error("{doing}")]
    Kernel {
        /// What was being done, and to what.
        doing: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Neither rung works on this host.
    #[error(
        "no gate works here (bpf: {bpf}; nft: {nft}): had needs CAP_NET_ADMIN with CAP_BPF, or CAP_NET_ADMIN \
         with nftables 5.16 or later; without a gate the cluster's file must say gate = \"none\""
    )]
    NoRung {
        /// Why not BPF.
        bpf: String,
        /// Why not nftables.
        nft: String,
    },
    /// Another process holds this instance's gate.
    #[error("another process holds the gate of {instance:?} in this network namespace")]
    Held {
        /// The instance.
        instance: String,
    },
    /// An address stands in two groups.
    #[error("{address} belongs to two groups, {first} and {second}")]
    TwoGroups {
        /// The address.
        address: IpAddr,
        /// The group that named it first.
        first: String,
        /// The other.
        second: String,
    },
    /// More than the gate has room for.
    #[error("{count} {what} are more than the gate's {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        count: usize,
        /// How many there may be.
        limit: u32,
    },
    /// No group stands at this index of the settings.
    #[error("group {0} was never given to the gate")]
    NoSuchGroup(usize),
    /// Somebody else changed or removed the gate's rules: nothing is guarded, and the node must stand down.
    #[error("the gate's nftables rules were changed by somebody else: {0}")]
    Tampered(String),
}

/// Says what was being done when an I/O step failed.
pub(crate) trait Doing<T> {
    /// Wraps the error with what was being done.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, GateError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, GateError> {
        self.map_err(|error| GateError::Kernel {
            doing: what(),
            source: error.into(),
        })
    }
}

/// An error and all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
