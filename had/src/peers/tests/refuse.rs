//! Who is not taken, and what both sides say about it.

use futures::StreamExt as _;
use had_core::ids::ClusterId;
use had_proto::v1;
use had_proto::v1::frame::Body;
use had_proto::v1::peer_client::PeerClient;
use tonic::transport::Endpoint;

use super::rig::{Node, PATIENCE, address, eventually, settings, spec, voter};
use crate::peers::bounds::PROTOCOL_VERSION;
use crate::peers::hello::remark;
use crate::peers::{PeersError, Ports};
use crate::testing::Authority;

fn hello() -> v1::Hello {
    v1::Hello {
        protocol: PROTOCOL_VERSION,
        feature_level: 1,
        cluster_name: "web".into(),
        program_version: "0.0.0".into(),
        lease_ns: 300_000_000,
        to: "h1".into(),
    }
}

fn sender(node: &str, cluster: u64) -> v1::Sender {
    v1::Sender {
        cluster,
        voter: 1,
        process: 2,
        node: node.into(),
    }
}

/// What a node answers to a first frame.
fn greet(sender: Option<v1::Sender>, body: Body) -> Result<v1::Frame, String> {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let node = Node::start_in(settings("h1", &nodes, None), ClusterId(5));
    let url = format!("http://{}", nodes[0].addresses[0]);
    node.block_on(async {
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let frame = v1::Frame {
            sender,
            body: Some(body),
        };
        // It stays open, as a peer's does.
        let frames = tokio_stream::iter([frame]).chain(tokio_stream::pending());
        let mut stream = PeerClient::new(channel)
            .exchange(frames)
            .await
            .map_err(|status| status.message().to_owned())?
            .into_inner();
        Ok(stream.message().await.unwrap().unwrap())
    })
}

#[test]
fn a_fitting_greeting_is_returned() {
    let frame = greet(Some(sender("h2", 5)), Body::Hello(hello())).unwrap();
    assert_eq!(frame.sender.unwrap().node, "h1");
    assert!(matches!(frame.body, Some(Body::Hello(hello)) if hello.to == "h2"));
    // A node with an empty disk belongs to no cluster yet.
    greet(Some(sender("h2", 0)), Body::Hello(hello())).unwrap();
}

#[test]
fn every_misfit_is_told_why() {
    let refused = |sender, hello| greet(Some(sender), Body::Hello(hello)).unwrap_err();
    let h2 = || sender("h2", 5);
    assert_eq!(
        refused(
            h2(),
            v1::Hello {
                protocol: 9,
                ..hello()
            }
        ),
        "h2 speaks protocol version 9, h1 speaks 1: run the same program on both"
    );
    assert_eq!(
        refused(
            h2(),
            v1::Hello {
                cluster_name: "mail".into(),
                ..hello()
            }
        ),
        "h2 belongs to the cluster named \"mail\", h1 to \"web\""
    );
    assert_eq!(
        refused(sender("h2", 6), hello()),
        "h2 belongs to another cluster of the same name (c6, h1 to c5): \
         the data directory of one of them is from elsewhere"
    );
    assert_eq!(
        refused(sender("h9", 5), hello()),
        "h9 is not in the cluster file of h1"
    );
    assert_eq!(
        refused(sender("h1", 5), hello()),
        "another daemon runs under the name h1, which is this node's own"
    );
    assert_eq!(
        refused(
            h2(),
            v1::Hello {
                to: "h3".into(),
                ..hello()
            }
        ),
        "h3 was called and h1 answered: the addresses in the cluster files differ"
    );
    assert_eq!(
        greet(None, Body::Hello(hello())).unwrap_err(),
        "the message names no sender"
    );
    assert_eq!(
        greet(Some(h2()), Body::Ping(v1::Ping { number: 1 })).unwrap_err(),
        "the first frame was no greeting"
    );
}

#[test]
fn another_lease_is_remarked_and_no_more() {
    let nodes = [spec("h1", &[address()])];
    let frame = |lease_ns| {
        let body = Some(Body::Hello(v1::Hello {
            lease_ns,
            ..hello()
        }));
        v1::Frame {
            sender: Some(sender("h2", 5)),
            body,
        }
    };
    let settings = settings("h1", &nodes, None);
    assert_eq!(remark(&settings, &frame(300_000_000)), None);
    assert_eq!(
        remark(&settings, &frame(1_000_000_000)).unwrap(),
        "h2 has a lease of 1s, h1 one of 300ms: the one that differs from the cluster's gets none"
    );
}

#[test]
fn both_sides_know_why_and_meet_when_it_is_mended() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let h1 = Node::start_in(settings("h1", &nodes, None), ClusterId(5));
    let h2 = Node::start_in(settings("h2", &nodes, None), ClusterId(6));
    h1.wait_problem("h2", "another cluster of the same name");
    h2.wait_problem("h1", "another cluster of the same name");
    h2.join(ClusterId(5));
    h1.wait_link("h2", 0);
    h2.wait_link("h1", 0);
}

#[test]
fn a_foreign_authority_is_refused_on_both_sides() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let (ours, theirs) = (Authority::new(), Authority::new());
    let h1 = Node::start(settings("h1", &nodes, Some(ours.identity("h1"))));
    let h2 = Node::start(settings("h2", &nodes, Some(theirs.identity("h2"))));
    h1.wait_problem("h2", "invalid peer certificate");
    h2.wait_problem("h1", "invalid peer certificate");
    assert!(!h1.link("h2", 0).connected && !h2.link("h1", 0).connected);
}

#[test]
fn a_certificate_for_another_name_is_refused_on_both_sides() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let authority = Authority::new();
    let h1 = Node::start(settings("h1", &nodes, Some(authority.identity("h1"))));
    // A daemon that says it is h2 with the certificate of h3.
    let h2 = Node::start(settings("h2", &nodes, Some(authority.identity("h3"))));
    h1.wait_problem("h2", "not valid for name \"h2\"");
    h2.wait_problem("h1", "the certificate of h2 is for h3");
    let mut refused = String::new();
    eventually("the refused call", || {
        let again = h2.peers.call(&"h1".into(), voter("h1"), vec![1], PATIENCE);
        refused = h2.block_on(again).unwrap_err().to_string();
        refused.starts_with("h1 refuses")
    });
    assert_eq!(refused, "h1 refuses: the certificate of h2 is for h3");
}

#[test]
fn a_plain_caller_gets_nothing_from_a_node_with_tls() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let h1 = Node::start(settings(
        "h1",
        &nodes,
        Some(Authority::new().identity("h1")),
    ));
    let h2 = Node::start(settings("h2", &nodes, None));
    eventually("both problems", || {
        h1.link("h2", 0).problem.is_some() && h2.link("h1", 0).problem.is_some()
    });
    assert!(!h1.link("h2", 0).connected && !h2.link("h1", 0).connected);
}

#[test]
fn the_port_is_taken_or_the_address_is_elsewhere() {
    let nodes = [
        spec("h1", &[address()]),
        spec("h2", &["192.0.2.7:7400".parse().unwrap()]),
    ];
    let first = Node::start(settings("h1", &nodes, None));
    let again = |name: &str| {
        let bind = async { Ports::bind(&nodes, &name.into()) };
        first.block_on(bind).err().unwrap()
    };
    assert!(
        matches!(again("h1"), PeersError::PortTaken { address } if address == nodes[0].addresses[0])
    );
    assert!(matches!(again("h2"), PeersError::NotOurs { .. }));
    assert!(matches!(again("h7"), PeersError::NoSuchNode(_)));
}
