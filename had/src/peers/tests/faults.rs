//! Connections that break, and how soon they are whole again.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use had_core::ids::{Epoch, Sequence};
use had_core::message::{Ask, Message};
use had_core::ports::Via;

use super::rig::{Node, Said, TIMING, Wire, address, eventually, settings, spec, voter};
use crate::testing::Authority;

fn released(epoch: u64) -> Message {
    Message::Released {
        group: "web".into(),
        epoch: Epoch(epoch),
    }
}

fn hears(node: &Node, wanted: &Message) -> bool {
    node.said()
        .iter()
        .any(|said| matches!(said, Said::Heard(_, message) if message == wanted))
}

#[test]
fn a_killed_peer_is_reached_again_as_soon_as_it_is_back() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let authority = Authority::new();
    let start = |name| Node::start(settings(name, &nodes, Some(authority.identity(name))));
    let (h1, h2) = (start("h1"), start("h2"));
    h1.wait_link("h2", 0);
    drop(h2);
    eventually("the loss", || !h1.link("h2", 0).connected);
    assert!(h1.link("h2", 0).problem.is_some());
    // Long enough away for the longest pauses.
    std::thread::sleep(Duration::from_secs(2));
    let h2 = start("h2");
    let took = eventually("the message", || {
        h1.peers.send(&"h2".into(), &released(1));
        hears(&h2, &released(1))
    });
    println!("a returning peer is reached after {took:?}");
    // Its own pauses alone would be a second by now.
    assert!(took < Duration::from_millis(900), "{took:?}");
    let called = eventually("a call", || {
        let call = h1.peers.call(
            &"h2".into(),
            voter("h2"),
            vec![],
            Duration::from_millis(200),
        );
        h1.block_on(call).is_ok()
    });
    println!("and called {called:?} later");
}

#[test]
fn a_half_open_connection_is_replaced() {
    let (own, real, wire_at) = (address(), address(), address());
    let h2_file = [spec("h1", &[own]), spec("h2", &[real])];
    // h1 reaches h2 through a wire; h2 does not reach h1 by itself, so only h1's own connections count.
    let h1_file = [spec("h1", &[own]), spec("h2", &[wire_at])];
    let alone = [spec("h1", &[address()]), h2_file[1].clone()];
    let wire = Wire::new(wire_at, real);
    let authority = Authority::new();
    let h1 = Node::start(settings("h1", &h1_file, Some(authority.identity("h1"))));
    let h2 = Node::start(settings("h2", &alone, Some(authority.identity("h2"))));
    h1.wait_link("h2", 0);
    let call = |body: u8| {
        let call = h1.peers.call(
            &"h2".into(),
            voter("h2"),
            vec![body],
            Duration::from_millis(60),
        );
        h1.block_on(call)
    };
    eventually("a call", || call(0).is_ok());

    wire.freeze_standing();
    let start = Instant::now();
    eventually("a call over a new connection", || call(1).is_ok());
    let called = start.elapsed();
    eventually("the message over a new connection", || {
        h1.peers.send(&"h2".into(), &released(2));
        hears(&h2, &released(2))
    });
    let took = start.elapsed();
    println!("half-open connections: calls well after {called:?}, streams after {took:?}");
    // Silence is noticed after five heartbeats, and replaced at once.
    assert!(
        took >= TIMING.heartbeat * 4 && took < TIMING.heartbeat * 20,
        "{took:?}"
    );
}

#[test]
fn a_peer_that_accepts_and_never_answers_is_tried_until_it_does() {
    let (own, real, wire_at) = (address(), address(), address());
    let h1_file = [spec("h1", &[own]), spec("h2", &[wire_at])];
    let h2_file = [spec("h1", &[address()]), spec("h2", &[real])];
    let wire = Wire::new(wire_at, real);
    wire.mute.store(true, Ordering::SeqCst);
    let h1 = Node::start(settings("h1", &h1_file, None));
    let _h2 = Node::start(settings("h2", &h2_file, None));
    h1.wait_problem("h2", "not answered");
    wire.mute.store(false, Ordering::SeqCst);
    h1.wait_link("h2", 0);
}

#[test]
fn a_peer_that_turns_everybody_away_is_not_besieged() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let listener = TcpListener::bind(nodes[1].addresses[0]).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            drop(caller);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let _h1 = Node::start(settings("h1", &nodes, None));
    eventually("the first call", || count.load(Ordering::SeqCst) > 0);
    std::thread::sleep(Duration::from_secs(2));
    // Four lanes whose pauses double from 40 ms: six tries each.
    let tries = count.load(Ordering::SeqCst);
    assert!(tries < 40, "{tries} in two seconds");
}

#[test]
fn one_of_two_links_is_enough() {
    let (a1, a2, b1, b2) = (address(), address(), address(), address());
    let (wire1, wire2) = (address(), address());
    let h1_file = [spec("h1", &[a1, a2]), spec("h2", &[wire1, wire2])];
    let h2_file = [spec("h1", &[address(), address()]), spec("h2", &[b1, b2])];
    let first = Wire::new(wire1, b1);
    let _second = Wire::new(wire2, b2);
    let h1 = Node::start(settings("h1", &h1_file, None));
    let h2 = Node::start(settings("h2", &h2_file, None));
    h1.wait_link("h2", 0);
    h1.wait_link("h2", 1);
    let call = || {
        let start = Instant::now();
        let call = h1
            .peers
            .call(&"h2".into(), voter("h2"), vec![], Duration::from_secs(2));
        (h1.block_on(call).is_ok(), start.elapsed())
    };
    eventually("calls on both links", || (0..8).all(|_| call().0));

    // The first link dies silently, for good.
    first.mute.store(true, Ordering::SeqCst);
    first.freeze_standing();
    h1.peers.send(&"h2".into(), &released(3));
    let took = eventually("the message over the second link", || {
        hears(&h2, &released(3))
    });
    // Long before the silence of the first is noticed.
    assert!(took < TIMING.heartbeat * 4, "{took:?}");
    let calls: Vec<_> = (0..20).map(|_| call()).collect();
    assert!(calls.iter().all(|(well, _)| *well), "{calls:?}");
    let slowest = calls.iter().map(|(_, took)| *took).max().unwrap();
    println!("with one of two links dead: message after {took:?}, slowest of 20 calls {slowest:?}");
    eventually("the dead link is known to be dead", || {
        !h1.link("h2", 0).connected
    });
    assert!(h1.link("h2", 1).connected);
    assert!(call().0);
}

#[test]
fn a_short_freeze_breaks_nothing() {
    let (own, real, wire_at) = (address(), address(), address());
    let h1_file = [spec("h1", &[own]), spec("h2", &[wire_at])];
    let h2_file = [spec("h1", &[address()]), spec("h2", &[real])];
    let wire = Wire::new(wire_at, real);
    let h1 = Node::start(settings("h1", &h1_file, None));
    let h2 = Node::start(settings("h2", &h2_file, None));
    h1.wait_link("h2", 0);
    eventually("both streams", || asked_over(&h1, &h2).len() == 2);
    let before = asked_over(&h1, &h2);
    wire.held.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    wire.held.store(false, Ordering::SeqCst);
    eventually("the same streams", || asked_over(&h1, &h2) == before);
}

/// The streams over which an ask of `from` reaches `to`.
fn asked_over(from: &Node, to: &Node) -> BTreeSet<Via> {
    to.forget();
    let ask = Ask {
        sequence: Sequence(1),
        lease: TIMING.lease,
        unanswered: 0,
        report: None,
    };
    from.peers.send(&"h2".into(), &Message::Ask(ask));
    std::thread::sleep(Duration::from_millis(20));
    let vias = to.said().into_iter().filter_map(|said| match said {
        Said::Asked(_, _, via) => Some(via),
        Said::Heard(..) => None,
    });
    vias.collect()
}
