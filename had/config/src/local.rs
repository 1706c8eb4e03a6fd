//! What belongs to one host and is not replicated.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the file says to the daemon that reads it, apart from the cluster's own matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Where `/metrics`, `/healthz` and `/readyz` are served, if at all.
    pub http: Option<SocketAddr>,
    /// Which gate to use.
    pub gate: GatePreference,
    /// Whether the daemon runs with real-time priority, where it may.
    pub realtime: bool,
    /// Mutual TLS between peers and for a remote `hactl`.
    pub tls: Option<Tls>,
    /// Peers may speak without TLS. True only where `tls` is `None`.
    pub allow_insecure: bool,
}

/// Which gate the file asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GatePreference {
    /// BPF, or else nftables; refuses to run where neither works.
    #[default]
    Auto,
    /// BPF or nothing.
    Bpf,
    /// nftables or nothing.
    Nft,
    /// None: an owner whose daemon is killed or frozen goes on answering.
    None,
}

impl GatePreference {
    /// Every word of the file for it.
    pub(crate) const WORDS: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("bpf", Self::Bpf),
        ("nft", Self::Nft),
        ("none", Self::None),
    ];

    /// As the file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Bpf => "bpf",
            Self::Nft => "nft",
            Self::None => "none",
        }
    }
}

/// PEM files for mutual TLS. Not opened here: `had check` may run on another machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The certificates that peers' certificates must come from.
    pub ca: PathBuf,
    /// This node's certificate, with its name in it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
