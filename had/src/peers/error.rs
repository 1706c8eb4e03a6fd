//! Why there is no port, and why a call has no answer.

use std::net::SocketAddr;
use std::time::Duration;

use had_core::ids::NodeName;

/// Why the peers' port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The file does not name this node.
    #[error("the node {0} is not in the cluster file")]
    NoSuchNode(NodeName),
    /// Somebody else listens there.
    #[error("the port of {address} is taken: does another had run on this host?")]
    PortTaken {
        /// The own address.
        address: SocketAddr,
    },
    /// None of the own addresses is on this host.
    #[error(
        "none of this node's addresses is on this host: {addresses:?}; is it the right node name?"
    )]
    NotOurs {
        /// The own addresses.
        addresses: Vec<SocketAddr>,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The own address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Why a call has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// It did not get there.
    #[error("cannot reach {node}: {problem}")]
    Unreachable {
        /// Whom.
        node: NodeName,
        /// Why.
        problem: String,
    },
    /// It may have got there, and the connection broke before the answer.
    #[error("the connection to {node} broke: {problem}")]
    Broken {
        /// Whom.
        node: NodeName,
        /// Why.
        problem: String,
    },
    /// It may have got there; no answer came in time.
    #[error("{node} did not answer within {deadline:?}")]
    Timeout {
        /// Whom.
        node: NodeName,
        /// The call's bound.
        deadline: Duration,
    },
    /// The peer itself refused.
    #[error("{node} refuses: {problem}")]
    Refused {
        /// Whom.
        node: NodeName,
        /// What it says.
        problem: String,
    },
}
