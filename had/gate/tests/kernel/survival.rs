//! What outlives the daemon, and what a restart finds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use had_gate::{GateError, GuardedGroup, Rung};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use crate::frames::{ARP, REPLY, Way, arp, ethernet};
use crate::lab::{
    Kind, Lab, Namespace, PATIENCE, PEER, VIPS, boot_in, boot_ns, far, ip, settings, tool,
};
use crate::wire::passes;

crate::stories!(
    a_killed_writer_falls_silent_and_stays_so,
    a_restart_inherits_what_is_open_and_no_more,
    what_guards_other_addresses_now_is_not_inherited,
    nothing_passes_while_a_restart_replaces_the_gate,
    a_second_holder_is_refused,
    an_interface_that_appears_is_covered,
    an_interface_that_comes_back_is_covered,
    other_groups_can_be_guarded_later,
    removal_leaves_nothing,
    a_lost_namespace_is_swept,
);

fn reply_of(group: usize) -> Vec<u8> {
    ethernet(Way::Out, ARP, &arp(REPLY, VIPS[group], PEER))
}

/// A process that renews its gate every few milliseconds, once it is open.
fn writer(lab: &Lab, lease: Duration) -> Pid {
    drop(lab.open());
    // SAFETY: the child uses nothing of other threads (the allocator is safe to use after fork in glibc) and
    // ends by a signal.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            // SAFETY: the gates of other stories are not to be held by this process; it uses no descriptor of its parent's.
            unsafe { libc::close_range(3, u32::MAX, 0) };
            let mut gate = lab.open();
            loop {
                gate.set(0, boot_in(lease)).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn end(child: Pid) {
    kill(child, Signal::SIGKILL).unwrap();
    waitpid(child, None).unwrap();
}

fn await_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}");
    }
}

fn a_killed_writer_falls_silent_and_stays_so(lab: &Lab) {
    let lease = Duration::from_millis(400);
    let child = writer(lab, lease);
    await_until("the writer opens", || passes(lab, Way::Out, &reply_of(0)));
    end(child);
    let end = boot_in(lease);
    while boot_ns() < end {
        thread::yield_now();
    }
    for _ in 0..5 {
        assert!(!passes(lab, Way::Out, &reply_of(0)));
    }
}

/// On nftables a restart begins shut; there [`Gate::left_open_until`] says so.
fn a_restart_inherits_what_is_open_and_no_more(lab: &Lab) {
    let lease = Duration::from_secs(600);
    let earliest = boot_in(lease);
    let child = writer(lab, lease);
    await_until("the writer opens", || passes(lab, Way::Out, &reply_of(0)));
    end(child);
    assert!(
        passes(lab, Way::Out, &reply_of(0)),
        "until its deadline it stays open"
    );
    assert!(
        !passes(lab, Way::Out, &reply_of(1)),
        "the other group stays shut"
    );
    let mut gate = lab.open();
    let counted = gate.dropped().egress;
    assert!(counted >= 1, "a restart goes on counting");
    let inherits = lab.kind != Kind::Nft;
    assert_eq!(gate.left_open_until(0).unwrap() >= earliest, inherits);
    assert_eq!(passes(lab, Way::Out, &reply_of(0)), inherits);
    assert_eq!(gate.left_open_until(1).unwrap(), 0);
    assert!(!passes(lab, Way::Out, &reply_of(1)));
    assert_eq!(gate.cover().unwrap(), 0, "everything was covered on return");
    gate.set(0, 0).unwrap();
    assert!(!passes(lab, Way::Out, &reply_of(0)));
    gate.set(0, far()).unwrap();
    assert!(passes(lab, Way::Out, &reply_of(0)));
    assert!(!passes(lab, Way::Out, &reply_of(1)));
}

fn what_guards_other_addresses_now_is_not_inherited(lab: &Lab) {
    let end = far();
    let mut gate = lab.open();
    gate.set(0, end).unwrap();
    gate.set(1, end).unwrap();
    drop(gate);
    let mut changed = settings("lab");
    let moved = changed.groups[0].addresses.pop().unwrap();
    let gate = lab.open_for(&changed).unwrap();
    let kept = if lab.kind == Kind::Nft { 0 } else { end };
    assert_eq!(
        gate.left_open_until(0).unwrap(),
        0,
        "it has lost an address"
    );
    assert_eq!(
        gate.left_open_until(1).unwrap(),
        kept,
        "it guards what it did"
    );
    drop(gate);
    changed.groups[1].addresses.push(moved);
    let gate = lab.open_for(&changed).unwrap();
    assert_eq!(
        gate.left_open_until(1).unwrap(),
        0,
        "it has got another's address"
    );
}

fn nothing_passes_while_a_restart_replaces_the_gate(lab: &Lab) {
    const RESTARTS: usize = 5;
    drop(lab.open());
    let (stop, restarts) = (AtomicBool::new(false), AtomicUsize::new(0));
    let silent = thread::scope(|scope| {
        let restarting = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(lab.open());
                restarts.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut silent = true;
        while silent && !restarting.is_finished() && restarts.load(Ordering::Relaxed) < RESTARTS {
            silent = !passes(lab, Way::Out, &reply_of(0));
        }
        stop.store(true, Ordering::Relaxed);
        silent
    });
    assert!(silent, "a restart let something pass");
    assert!(restarts.into_inner() >= RESTARTS);
}

fn a_second_holder_is_refused(lab: &Lab) {
    let gate = lab.open();
    let second = lab.open_for(&settings("lab"));
    assert!(
        matches!(second, Err(GateError::Held { .. })),
        "{:?}",
        second.err()
    );
    let expected = if lab.kind == Kind::Nft {
        Rung::Nft
    } else {
        Rung::Bpf
    };
    assert_eq!(gate.rung(), expected);
}

fn an_interface_that_appears_is_covered(lab: &Lab) {
    let mut gate = lab.open();
    ip("link add h1 type veth peer name h2");
    assert_eq!(gate.cover().unwrap(), 2);
    assert_eq!(gate.cover().unwrap(), 0);
    ip("link set h1 up");
    ip("link set h2 up");
    let sender = crate::wire::Packets::on("h1", 0);
    let listener = crate::wire::Packets::on("h2", crate::wire::EVERYTHING);
    let own = ethernet(Way::Out, ARP, &arp(REPLY, PEER, PEER));
    // A new link carries in its own time: until then both are lost.
    listener.await_frame_unless(&own, &reply_of(0), || {
        sender.send(&reply_of(0));
        sender.send(&own);
    });
}

fn an_interface_that_comes_back_is_covered(lab: &Lab) {
    let mut gate = lab.open();
    for _ in 0..2 {
        ip("link add h1 type veth peer name h2");
        assert_eq!(gate.cover().unwrap(), 2);
        ip("link set h1 name h3");
        let renamed = gate.cover().unwrap();
        assert_eq!(
            renamed,
            usize::from(lab.kind == Kind::Nft),
            "nftables hooks names"
        );
        ip("link del h3");
        assert_eq!(gate.cover().unwrap(), 0);
    }
}

fn other_groups_can_be_guarded_later(lab: &Lab) {
    let mut gate = lab.open();
    gate.set(0, far()).unwrap();
    gate.set(1, far()).unwrap();
    let [first, second] = settings("lab").groups.try_into().unwrap();
    let new = GuardedGroup {
        name: "new".into(),
        addresses: first.addresses,
    };
    gate.reconfigure(&[new.clone(), second.clone()]).unwrap();
    assert!(!passes(lab, Way::Out, &reply_of(0)), "a new group is shut");
    assert!(
        passes(lab, Way::Out, &reply_of(1)),
        "a group that stays keeps its deadline"
    );
    gate.set(0, far()).unwrap();
    assert!(passes(lab, Way::Out, &reply_of(0)));
    gate.reconfigure(&[second]).unwrap();
    gate.set(0, 0).unwrap();
    assert!(passes(lab, Way::Out, &reply_of(0)), "no longer guarded");
    assert!(!passes(lab, Way::Out, &reply_of(1)));
    assert!(
        gate.reconfigure(&[
            new.clone(),
            GuardedGroup {
                name: "twice".into(),
                ..new
            }
        ])
        .is_err()
    );
}

fn removal_leaves_nothing(lab: &Lab) {
    let gate = lab.open();
    assert!(!passes(lab, Way::Out, &reply_of(0)));
    gate.remove().unwrap();
    await_until("nothing guards any more", || {
        passes(lab, Way::Out, &reply_of(0))
    });
    match lab.kind {
        Kind::Nft => assert_eq!(tool("nft", "list ruleset"), ""),
        Kind::Clsact => assert_eq!(tool("tc", "filter show dev h0 egress"), ""),
        Kind::Tcx => {}
    }
    if lab.kind != Kind::Nft {
        assert_eq!(std::fs::read_dir("/sys/fs/bpf/had").unwrap().count(), 0);
    }
}

/// Pins are global, namespaces are not: what a lost one left goes when another gate opens.
fn a_lost_namespace_is_swept(lab: &Lab) {
    if lab.kind == Kind::Nft {
        // A table lives in its namespace and goes with it.
        return;
    }
    let lost = Namespace::new();
    lost.run(|| {
        ip("link add h1 type veth peer name h2");
        drop(lab.open());
    });
    let count = || std::fs::read_dir("/sys/fs/bpf/had").unwrap().count();
    assert_eq!(count(), 1);
    drop(lost);
    await_until("the pins are swept", || {
        drop(lab.open());
        count() == 1
    });
}
