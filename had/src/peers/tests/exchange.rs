//! Frames between nodes that are well.

use std::time::Duration;

use had_core::ids::{ClusterId, Epoch, LeaderId, Sequence};
use had_core::message::{Answer, Ask, Message, Outcome, Report};

use super::rig::{Node, Said, address, eventually, settings, spec, voter};
use crate::testing::Authority;

fn released(epoch: u64) -> Message {
    Message::Released {
        group: "web".into(),
        epoch: Epoch(epoch),
    }
}

#[test]
fn what_is_sent_is_heard_on_every_stream_with_its_sender() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let authority = Authority::new();
    let start = |name| Node::start(settings(name, &nodes, Some(authority.identity(name))));
    let (h1, h2) = (start("h1"), start("h2"));
    h1.wait_link("h2", 0);
    h2.wait_link("h1", 0);
    eventually("the message on two streams", || {
        h2.forget();
        h1.peers.send(&"h2".into(), &released(7));
        std::thread::sleep(Duration::from_millis(10));
        h2.said().len() == 2
    });
    for said in h2.said() {
        let Said::Heard(from, message) = said else {
            panic!("{said:?}")
        };
        assert_eq!(message, released(7));
        assert_eq!(from.node, "h1".into());
        assert_eq!(from.voter, voter("h1"));
    }
}

#[test]
fn an_answer_goes_back_on_the_stream_of_its_ask() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let (h1, h2) = (
        Node::start(settings("h1", &nodes, None)),
        Node::start(settings("h2", &nodes, None)),
    );
    h1.wait_link("h2", 0);
    let report = Some(Report {
        applied: 5,
        ..Report::default()
    });
    let ask = Ask {
        sequence: Sequence(3),
        lease: Duration::from_millis(300),
        unanswered: 0,
        report,
    };
    h1.peers.send(&"h2".into(), &Message::Ask(ask.clone()));
    eventually("the ask", || !h2.said().is_empty());
    let Said::Asked(from, asked, via) = h2.said().remove(0) else {
        panic!()
    };
    assert_eq!((from.node.as_str(), &asked), ("h1", &ask));

    let answer = Message::Answer(Answer {
        sequence: asked.sequence,
        leader: LeaderId {
            term: 2,
            voter: voter("h2"),
        },
        outcome: Outcome::Granted {
            duration: Duration::from_millis(260),
            index: 9,
        },
    });
    h2.peers.answer(via, &answer);
    eventually("the answer", || !h1.said().is_empty());
    assert!(
        matches!(&h1.said()[0], Said::Heard(from, said) if *said == answer && from.node == "h2".into())
    );
}

#[test]
fn a_cluster_that_is_formed_meanwhile_keeps_its_streams() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let (h1, h2) = (
        Node::start(settings("h1", &nodes, None)),
        Node::start(settings("h2", &nodes, None)),
    );
    h1.wait_link("h2", 0);
    h1.join(ClusterId(77));
    h1.peers.send(&"h2".into(), &released(1));
    eventually("the message", || {
        h2.said()
            .iter()
            .any(|said| matches!(said, Said::Heard(from, _) if from.cluster == ClusterId(77)))
    });
}

#[test]
fn a_node_that_cannot_be_dialled_is_answered_on_its_own_streams() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    // h1 believes h2 elsewhere, where nobody is.
    let lost = [nodes[0].clone(), spec("h2", &[address()])];
    let h1 = Node::start(settings("h1", &lost, None));
    let h2 = Node::start(settings("h2", &nodes, None));
    h2.wait_link("h1", 0);
    h1.peers.send(&"h2".into(), &released(4));
    eventually("the message", || !h2.said().is_empty());
    assert!(h1.link("h2", 0).connected);
}
