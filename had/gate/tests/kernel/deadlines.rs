//! Deadlines are absolute: what is late opens nothing, and nobody is needed to shut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::frames::{ARP, REPLY, Way, arp, ethernet};
use crate::lab::{Lab, PEER, VIPS, add_vips, boot_in, boot_ns, far};
use crate::service::{Client, Echo};
use crate::wire::passes;

crate::stories!(
    a_client_is_answered_until_the_deadline_and_not_after,
    a_renewed_deadline_is_the_one_that_counts,
    a_late_write_opens_nothing,
    renewals_leave_no_gap,
);

/// Asked while renewals are made without a pause, many for each.
const QUESTIONS: usize = 500;
const LEASE: Duration = Duration::from_millis(300);
/// From the gate's judgement to the other end of the cable; a busy machine may stop in between.
const IN_FLIGHT_NS: u64 = 5_000_000;

fn a_client_is_answered_until_the_deadline_and_not_after(lab: &Lab) {
    let mut gate = lab.open();
    add_vips();
    let _echo = Echo::start();
    let clients = Client::for_both_families(lab, 0);
    for client in &clients {
        assert!(!client.is_answered(), "shut");
        let until = boot_in(LEASE);
        gate.set(0, until).unwrap();
        let mut answers = 0;
        while boot_ns() < until + 50_000_000 {
            match client.answered_at() {
                Some(at) => {
                    assert!(at < until + IN_FLIGHT_NS, "answered {} ns late", at - until);
                    answers += 1;
                }
                None => assert!(boot_ns() + lab.margin_ns() > until, "silent too early"),
            }
        }
        assert!(answers > 0);
    }
}

fn a_renewed_deadline_is_the_one_that_counts(lab: &Lab) {
    let mut gate = lab.open();
    let frame = ethernet(Way::Out, ARP, &arp(REPLY, VIPS[0], PEER));
    gate.set(0, far()).unwrap();
    let mut until = boot_in(LEASE);
    gate.set(0, until).unwrap();
    let first_end = until;
    while boot_ns() < first_end + 100_000_000 {
        until = boot_in(LEASE);
        gate.set(0, until).unwrap();
        let passed = passes(lab, Way::Out, &frame);
        assert!(
            passed || boot_ns() + lab.margin_ns() > until,
            "renewed again and again"
        );
    }
    while boot_ns() < until {
        thread::yield_now();
    }
    assert!(
        !passes(lab, Way::Out, &frame),
        "not renewed, and shorter than what was asked for before"
    );
}

/// What a writer does that slept: its deadlines are past, or nearly.
fn a_late_write_opens_nothing(lab: &Lab) {
    let mut gate = lab.open();
    let frame = ethernet(Way::Out, ARP, &arp(REPLY, VIPS[0], PEER));
    for late_ms in [0, 1, 5, 414, 100_000] {
        let computed_from = boot_ns().saturating_sub(late_ms * 1_000_000);
        gate.set(0, computed_from).unwrap();
        assert!(!passes(lab, Way::Out, &frame), "{late_ms} ms late");
    }
    gate.set(0, far()).unwrap();
    gate.set(0, boot_ns() - 1).unwrap();
    assert!(
        !passes(lab, Way::Out, &frame),
        "a past deadline shuts what was open"
    );
}

/// Renewals replace the grant that is in force; no packet may fall between the two.
fn renewals_leave_no_gap(lab: &Lab) {
    let mut gate = lab.open();
    add_vips();
    let _echo = Echo::start();
    let [client, _] = Client::for_both_families(lab, 0);
    gate.set(0, far()).unwrap();
    let done = AtomicBool::new(false);
    let (answered, renewals) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let answered = (0..QUESTIONS).filter(|_| client.is_answered()).count();
            done.store(true, Ordering::Relaxed);
            answered
        });
        let mut renewals = 0;
        while !done.load(Ordering::Relaxed) && !asking.is_finished() {
            gate.set(0, far()).unwrap();
            renewals += 1;
        }
        (asking.join().unwrap(), renewals)
    });
    assert_eq!(answered, QUESTIONS, "while {renewals} renewals were made");
    assert!(
        renewals > QUESTIONS,
        "{renewals} renewals while {QUESTIONS} questions were asked"
    );
}
