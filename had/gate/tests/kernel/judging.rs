//! Which packets the gate looks at, and what it lets by.

use std::time::Duration;

use crate::frames::{
    ARP, IPV4, IPV6, REPLY, REQUEST, Way, arp, ethernet, ipv4, tagged, udp4, udp6,
};
use crate::lab::{
    HOST, HOST6, Kind, Lab, PEER, PEER6, VIPS, VIPS6, boot_in, boot_ns, far, ip, settings,
};
use crate::traffic::{NOBODY, guarded, harmless};
use crate::tun::Tunnel;
use crate::wire::{EVERYTHING, Packets, TRIES, passes, passes_with};

crate::stories!(
    shut_nothing_of_a_guarded_address_passes,
    open_everything_passes,
    what_claims_nothing_always_passes,
    tagged_frames_are_judged,
    scattered_packets_are_judged,
    runts_that_might_hide_an_address_are_dropped,
    headless_interfaces_are_judged,
    groups_open_and_shut_by_themselves,
    foreign_claims_are_heard_while_shut,
    drops_are_counted_by_direction,
);

fn shut_nothing_of_a_guarded_address_passes(lab: &Lab) {
    let mut gate = lab.open();
    for deadline in [0, 1, boot_ns()] {
        gate.set(0, deadline).unwrap();
        for (way, what, frame) in guarded(0) {
            assert!(
                !passes(lab, way, &frame),
                "{way:?}: {what} passed a shut gate"
            );
        }
    }
}

fn open_everything_passes(lab: &Lab) {
    let mut gate = lab.open();
    gate.set(0, far()).unwrap();
    for (way, what, frame) in guarded(0) {
        assert!(
            passes(lab, way, &frame),
            "{way:?}: {what} did not pass an open gate"
        );
    }
}

fn what_claims_nothing_always_passes(lab: &Lab) {
    let mut gate = lab.open();
    for until in [0, far()] {
        gate.set(0, until).unwrap();
        for (way, what, frame) in harmless() {
            assert!(passes(lab, way, &frame), "{way:?}: {what} did not pass");
        }
    }
}

fn tagged_frames_are_judged(lab: &Lab) {
    let mut gate = lab.open();
    let from_vip = ethernet(Way::Out, IPV4, &udp4(VIPS[0], PEER));
    let to_vip = ethernet(Way::In, IPV4, &udp4(PEER, VIPS[0]));
    let mut frames = vec![(Way::In, tagged(&to_vip, 0x8100))];
    if lab.kind != Kind::Nft {
        // nftables sees inline tags on the way out as an unknown protocol; the VLAN's own interface is judged there.
        frames.push((Way::Out, tagged(&from_vip, 0x8100)));
        frames.push((Way::Out, tagged(&tagged(&from_vip, 0x8100), 0x88a8)));
    }
    for (way, frame) in frames {
        gate.set(0, 0).unwrap();
        assert!(!passes(lab, way, &frame), "{way:?}, shut");
        gate.set(0, far()).unwrap();
        assert!(passes(lab, way, &frame), "{way:?}, open");
    }
}

/// A packet whose network header lies in another page than its Ethernet header.
fn scattered_packets_are_judged(lab: &Lab) {
    let mut gate = lab.open();
    let data = [7; 5000];
    let frame = ethernet(Way::Out, IPV4, &ipv4(VIPS[0], PEER, 0, 0, &data));
    let inward = ethernet(Way::In, IPV4, &ipv4(PEER, VIPS[0], 0, 0, &data));
    let send = Packets::send_scattered;
    for (way, frame) in [(Way::Out, &frame), (Way::In, &inward)] {
        assert!(!passes_with(lab, way, frame, send), "{way:?}, shut");
        gate.set(0, far()).unwrap();
        assert!(passes_with(lab, way, frame, send), "{way:?}, open");
        gate.set(0, 0).unwrap();
    }
}

fn runts_that_might_hide_an_address_are_dropped(lab: &Lab) {
    let mut gate = lab.open();
    gate.set(0, far()).unwrap();
    let whole = [
        ethernet(Way::Out, IPV4, &udp4(HOST, PEER)),
        ethernet(Way::Out, ARP, &arp(REPLY, HOST, PEER)),
        ethernet(Way::Out, IPV6, &udp6(HOST6, PEER6)),
    ];
    for frame in whole {
        assert!(passes(lab, Way::Out, &frame));
        let passed = passes(lab, Way::Out, &frame[..14 + 10]);
        // nftables does not match what it cannot read; the address is not in the frame either.
        assert_eq!(passed, lab.kind == Kind::Nft, "{frame:x?}");
    }
}

/// tun: the packet begins with its network header.
fn headless_interfaces_are_judged(lab: &Lab) {
    let mut gate = lab.open();
    let Some(tunnel) = Tunnel::new("tun0") else {
        eprintln!("not run: /dev/net/tun is not for ordinary users here");
        return;
    };
    ip("link set tun0 up");
    assert_eq!(gate.cover().unwrap(), 1);
    let host = HOST;
    for (open, until) in [(false, 0), (true, far())] {
        gate.set(0, until).unwrap();
        for (vip, own, peer) in [
            (udp4(PEER, VIPS[0]), udp4(PEER, host), udp4(VIPS[0], PEER)),
            (
                udp6(PEER6, VIPS6[0]),
                udp6(PEER6, HOST6),
                udp6(VIPS6[0], PEER6),
            ),
        ] {
            assert_eq!(tunnel.passes_in(&vip, &own), open, "in, open: {open}");
            assert_eq!(tunnel.passes_out(&peer), open, "out, open: {open}");
        }
    }
}

fn groups_open_and_shut_by_themselves(lab: &Lab) {
    let mut gate = lab.open();
    let frames = [0, 1].map(|group| ethernet(Way::Out, ARP, &arp(REPLY, VIPS[group], PEER)));
    let pass = || frames.each_ref().map(|frame| passes(lab, Way::Out, frame));
    assert_eq!(pass(), [false, false]);
    gate.set(1, far()).unwrap();
    assert_eq!(pass(), [false, true]);
    gate.set(0, far()).unwrap();
    assert_eq!(pass(), [true, true]);
    gate.set(1, 0).unwrap();
    assert_eq!(pass(), [true, false]);
    assert!(gate.set(2, far()).is_err(), "there is no third group");
}

/// A listener that taps everything hears also what the gate drops; one for ARP alone hears announcements.
fn foreign_claims_are_heard_while_shut(lab: &Lab) {
    let _gate = lab.open();
    let dropped = ethernet(Way::In, ARP, &arp(REQUEST, NOBODY, VIPS[0]));
    let claim = ethernet(Way::In, ARP, &arp(REQUEST, VIPS[0], VIPS[0]));
    let (tap, arp_alone) = (Packets::on("h0", EVERYTHING), Packets::on("h0", ARP));
    let sender = lab.peer.run(|| Packets::on("p0", 0));
    sender.send(&dropped);
    sender.send(&claim);
    tap.await_frame(&dropped);
    tap.await_frame(&claim);
    arp_alone.await_frame(&claim);
}

fn drops_are_counted_by_direction(lab: &Lab) {
    let mut gate = lab.open();
    let way_out = ethernet(Way::Out, ARP, &arp(REPLY, VIPS[0], PEER));
    let way_in = ethernet(Way::In, ARP, &arp(REQUEST, PEER, VIPS[0]));
    let before = gate.dropped();
    assert!(!passes(lab, Way::Out, &way_out));
    assert!(!passes(lab, Way::In, &way_in));
    assert!(!passes(lab, Way::In, &way_in));
    let after = gate.dropped();
    assert_eq!(after.egress - before.egress, TRIES as u64);
    let tries = after.ingress - before.ingress;
    assert!(
        (1..=2 * TRIES as u64).contains(&tries),
        "{tries}: some may be lost before the gate"
    );
    gate.set(0, boot_in(Duration::from_secs(600))).unwrap();
    assert!(passes(lab, Way::In, &way_in));
    assert_eq!(gate.dropped(), after);
    assert!(
        lab.open_for(&settings("other")).is_ok(),
        "another instance beside it"
    );
}
