//! From the moment a thread sends an ask to the moment it has the answer, over TLS on loopback.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use had_core::ids::{LeaderId, Sequence};
use had_core::message::{Answer, Ask, Message, Outcome};

use super::rig::{Node, PATIENCE, Said, TIMING, address, settings, spec, voter};
use crate::testing::Authority;

/// Asks measured; enough for a 99th percentile of ten.
const ASKS: u64 = 1000;

#[test]
fn an_ask_is_answered_well_within_a_millisecond() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let authority = Authority::new();
    let start = |name| Node::start(settings(name, &nodes, Some(authority.identity(name))));
    let (h1, h2) = (start("h1"), start("h2"));
    h1.wait_link("h2", 0);

    // The leader's thread: what a driver does, with the core left out.
    let (asks, inbox) = mpsc::channel();
    h2.ear.on_said(move |said| {
        if let Said::Asked(_, ask, via) = said {
            asks.send((ask.clone(), *via)).unwrap();
        }
    });
    let peers = h2.peers.clone();
    std::thread::spawn(move || {
        let leader = LeaderId {
            term: 1,
            voter: voter("h2"),
        };
        for (ask, via) in inbox {
            let outcome = Outcome::Granted {
                duration: TIMING.grant_max(),
                index: 1,
            };
            let answer = Answer {
                sequence: ask.sequence,
                leader,
                outcome,
            };
            peers.answer(via, &Message::Answer(answer));
        }
    });

    let (heard, answers) = mpsc::channel();
    h1.ear.on_said(move |said| {
        if let Said::Heard(_, Message::Answer(answer)) = said {
            heard.send(answer.sequence).unwrap();
        }
    });
    let mut times: Vec<Duration> = (0..ASKS)
        .map(|number| round(&h1, &answers, number))
        .collect();
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_micros();
    println!(
        "ask to answer over TLS on loopback, {ASKS} asks: p50 {} µs, p90 {} µs, p99 {} µs, max {} µs",
        at(50),
        at(90),
        at(99),
        times.last().unwrap().as_micros()
    );
    // Other tests share the machine; alone it is some 300 µs.
    assert!(at(50) < 5_000);
}

fn round(h1: &Node, answers: &mpsc::Receiver<Sequence>, number: u64) -> Duration {
    let wanted = Sequence(number);
    let start = Instant::now();
    let ask = Ask {
        sequence: wanted,
        lease: TIMING.lease,
        unanswered: 0,
        report: None,
    };
    h1.peers.send(&"h2".into(), &Message::Ask(ask));
    while answers.recv_timeout(PATIENCE).unwrap() != wanted {}
    let took = start.elapsed();
    // Renewals have pauses between them; without one the second stream's answers would weigh on the next ask.
    std::thread::sleep(Duration::from_millis(2));
    took
}
