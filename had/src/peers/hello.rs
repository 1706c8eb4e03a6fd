//! Who may talk to us: the greeting, and the sender of every frame and call.

use std::time::Duration;

use had_core::ids::{ClusterId, NodeName, ProcessId, VoterId};
use had_core::message::Sender;
use had_core::time::nanos;
use had_proto::v1;

use super::bounds::{FEATURE_LEVEL, PROTOCOL_VERSION};
use super::{Settings, io::Caller};
use crate::tls;

/// Why a peer is not listened to. Said on both sides.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the first frame was no greeting")]
    NoGreeting,
    #[error("the message names no sender")]
    NoSender,
    #[error(
        "{node} speaks protocol version {theirs}, {own} speaks {PROTOCOL_VERSION}: run the same program on both"
    )]
    Protocol {
        node: NodeName,
        own: NodeName,
        theirs: u32,
    },
    #[error("{node} belongs to the cluster named \"{theirs}\", {own} to \"{ours}\"")]
    ClusterName {
        node: NodeName,
        own: NodeName,
        theirs: String,
        ours: String,
    },
    #[error(
        "{node} belongs to another cluster of the same name ({theirs}, {own} to {ours}): the data directory of one of them is from elsewhere"
    )]
    Cluster {
        node: NodeName,
        own: NodeName,
        theirs: ClusterId,
        ours: ClusterId,
    },
    #[error("{node} is not in the cluster file of {own}")]
    Unknown { node: NodeName, own: NodeName },
    #[error(
        "the data directory of {0} is older than what was heard of it: it was put back from a copy, or runs twice, and would vote as it \
         once did. End that daemon, empty its data directory, and start it again"
    )]
    Rewound(NodeName),
    #[error("another daemon runs under the name {0}, which is this node's own")]
    OwnName(NodeName),
    #[error("{wanted} was called and {own} answered: the addresses in the cluster files differ")]
    NotMeant { wanted: String, own: NodeName },
    #[error("the certificate of {node} is for {names}")]
    Certificate { node: NodeName, names: String },
    #[error("the sender changed from {was} to {is} within a connection")]
    Changed { was: NodeName, is: NodeName },
}

/// The greeting of this node to another.
pub(crate) fn greeting(settings: &Settings, to: &NodeName) -> v1::Hello {
    v1::Hello {
        protocol: PROTOCOL_VERSION,
        feature_level: FEATURE_LEVEL,
        cluster_name: settings.cluster_name.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        lease_ns: nanos(settings.timing.lease),
        to: to.as_str().to_owned(),
    }
}

/// Everything that a greeting must satisfy. The sender that it comes from, if it does.
pub(crate) fn check_greeting(
    settings: &Settings,
    own: &Sender,
    frame: &v1::Frame,
    caller: Option<&Caller>,
) -> Result<Sender, Unfit> {
    let Some(v1::frame::Body::Hello(hello)) = &frame.body else {
        return Err(Unfit::NoGreeting);
    };
    let theirs = sender(frame.sender.as_ref())?;
    if hello.protocol != PROTOCOL_VERSION {
        return Err(Unfit::Protocol {
            node: theirs.node,
            own: own.node.clone(),
            theirs: hello.protocol,
        });
    }
    if hello.to != own.node.as_str() {
        return Err(Unfit::NotMeant {
            wanted: hello.to.clone(),
            own: own.node.clone(),
        });
    }
    check_call(settings, own, &hello.cluster_name, &theirs, caller)?;
    Ok(theirs)
}

/// What an operator should know about a greeting that is good enough.
pub(crate) fn remark(settings: &Settings, frame: &v1::Frame) -> Option<String> {
    let Some(v1::frame::Body::Hello(hello)) = &frame.body else {
        return None;
    };
    let theirs = Duration::from_nanos(hello.lease_ns);
    let ours = settings.timing.lease;
    (theirs != ours).then(|| {
        let (node, own) = (&frame.sender.as_ref()?.node, &settings.node);
        Some(format!(
            "{node} has a lease of {theirs:?}, {own} one of {ours:?}: the one that differs from the cluster's gets none"
        ))
    })?
}

/// Everything that the sender of a single call must satisfy.
pub(crate) fn check_call(
    settings: &Settings,
    own: &Sender,
    cluster_name: &str,
    theirs: &Sender,
    caller: Option<&Caller>,
) -> Result<(), Unfit> {
    let (node, own_name) = (theirs.node.clone(), own.node.clone());
    if cluster_name != settings.cluster_name {
        let (theirs, ours) = (cluster_name.to_owned(), settings.cluster_name.clone());
        return Err(Unfit::ClusterName {
            node,
            own: own_name,
            theirs,
            ours,
        });
    }
    if node == own_name {
        return Err(Unfit::OwnName(node));
    }
    if !settings.nodes.iter().any(|spec| spec.name == node) {
        return Err(Unfit::Unknown {
            node,
            own: own_name,
        });
    }
    if let Some(names) = caller.and_then(|caller| caller.names.as_deref())
        && !tls::names_node(names, &node)
    {
        let names = if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        };
        return Err(Unfit::Certificate { node, names });
    }
    check_cluster(own, theirs)
}

/// A frame within a connection: the same daemon as in its greeting, of a cluster that still fits.
pub(crate) fn check_frame(
    own: &Sender,
    greeted: &Sender,
    theirs: &v1::Sender,
) -> Result<Sender, Unfit> {
    let now = Sender {
        cluster: ClusterId(theirs.cluster),
        ..greeted.clone()
    };
    if theirs.node != greeted.node.as_str()
        || theirs.voter != greeted.voter.0
        || theirs.process != greeted.process.0
    {
        let is = NodeName::from(theirs.node.as_str());
        return Err(Unfit::Changed {
            was: greeted.node.clone(),
            is,
        });
    }
    check_cluster(own, &now)?;
    Ok(now)
}

/// Two nodes of one cluster, or one that does not know yet which it belongs to.
pub(crate) fn check_cluster(own: &Sender, theirs: &Sender) -> Result<(), Unfit> {
    if own.cluster.may_be(theirs.cluster) {
        return Ok(());
    }
    Err(Unfit::Cluster {
        node: theirs.node.clone(),
        own: own.node.clone(),
        theirs: theirs.cluster,
        ours: own.cluster,
    })
}

/// The sender as it goes over the wire.
pub(crate) fn sender_to_wire(sender: &Sender) -> v1::Sender {
    v1::Sender {
        cluster: sender.cluster.0,
        voter: sender.voter.0,
        process: sender.process.0,
        node: sender.node.as_str().to_owned(),
    }
}

/// The sender as it came.
pub(crate) fn sender(wire: Option<&v1::Sender>) -> Result<Sender, Unfit> {
    let wire = wire.ok_or(Unfit::NoSender)?;
    Ok(Sender {
        node: NodeName::from(wire.node.as_str()),
        voter: VoterId(wire.voter),
        process: ProcessId(wire.process),
        cluster: ClusterId(wire.cluster),
    })
}
