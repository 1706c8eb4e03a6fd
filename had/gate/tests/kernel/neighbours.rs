//! What others on the host may do to the gate.

use std::net::IpAddr;

use had_gate::{Footing, Gate, GateError, Preference, Rung, Settings, probe};
use nix::unistd::geteuid;

use crate::frames::{ARP, REPLY, Way, arp, ethernet};
use crate::lab::{
    Kind, Lab, PEER, VIPS, again_in_user_namespace, far, in_user_namespace, settings, tell, tool,
};
use crate::wire::passes;

fn reply() -> Vec<u8> {
    ethernet(Way::Out, ARP, &arp(REPLY, VIPS[0], PEER))
}

#[test]
fn nft_flush_ruleset_does_not_open_a_table_that_is_ours() {
    tell(Kind::Nft, |lab| {
        let mut gate = lab.open();
        tool("nft", "flush ruleset");
        assert!(!passes(lab, Way::Out, &reply()));
        gate.set(0, far()).unwrap();
        assert!(passes(lab, Way::Out, &reply()));
        assert_eq!(gate.cover().unwrap(), 0);
    });
}

#[test]
fn a_shared_table_that_is_flushed_is_noticed_at_once() {
    tell(Kind::Nft, |lab| {
        let shared = || {
            Gate::open_on(
                &Settings {
                    preference: Preference::Nft,
                    ..settings("old")
                },
                Footing::Old,
            )
        };
        for harm in [
            "flush ruleset",
            "flush chain netdev had-old saddr4",
            "delete chain netdev had-old in-h0",
        ] {
            let mut gate = shared().unwrap();
            gate.set(0, far()).unwrap();
            assert_eq!(gate.cover().unwrap(), 0, "our own changes are none");
            tool("nft", harm);
            let error = gate.set(0, far()).unwrap_err();
            assert!(matches!(error, GateError::Tampered(_)), "{harm}: {error}");
            assert!(matches!(gate.cover(), Ok(_) | Err(GateError::Tampered(_))));
            let mut again = shared().unwrap();
            assert!(!passes(lab, Way::Out, &reply()), "{harm}");
            again.set(0, far()).unwrap();
        }
    });
}

#[test]
fn a_removed_filter_comes_back() {
    tell(Kind::Clsact, |lab| {
        let mut gate = lab.open();
        tool("tc", "qdisc del dev h0 clsact");
        assert!(passes(lab, Way::Out, &reply()), "somebody took it off");
        assert_eq!(gate.cover().unwrap(), 1);
        assert!(!passes(lab, Way::Out, &reply()));
    });
}

#[test]
fn a_removed_pin_comes_back() {
    tell(Kind::Tcx, |lab: &Lab| {
        let mut gate = lab.open();
        let directory = std::fs::read_dir("/sys/fs/bpf/had")
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let links = || {
            let entries = std::fs::read_dir(&directory).unwrap().flatten();
            let paths = entries.map(|entry| entry.path());
            paths.filter(|path| path.file_name().unwrap().to_str().unwrap().contains('-'))
        };
        assert_eq!(links().count(), 2);
        links().for_each(|pin| std::fs::remove_file(pin).unwrap());
        assert_eq!(gate.cover().unwrap(), 1);
        assert_eq!(links().count(), 2);
        drop(gate);
        assert!(!passes(lab, Way::Out, &reply()), "the pins hold it");
    });
}

#[test]
fn an_address_in_two_groups_is_refused() {
    tell(Kind::Tcx, |lab| {
        let mut settings = settings("lab");
        settings.groups[1].addresses.push(IpAddr::V4(VIPS[0]));
        let error = lab.open_for(&settings).err().unwrap();
        assert!(matches!(error, GateError::TwoGroups { .. }), "{error}");
    });
}

#[test]
fn auto_takes_the_strongest_rung_and_none_must_be_asked_for() {
    tell(Kind::Tcx, |_| {
        let open = |preference| {
            Gate::open(&Settings {
                preference,
                ..settings("lab")
            })
            .unwrap()
        };
        assert_eq!(open(Preference::Auto).rung(), Rung::Bpf);
        let mut none = open(Preference::None);
        assert_eq!(none.rung().to_string(), "none");
        none.set(1, far()).unwrap();
        assert!(none.set(2, far()).is_err());
        let found = probe();
        assert!(
            found.iter().all(|(_, outcome)| outcome.is_ok()),
            "{found:?}"
        );
        assert_eq!(tool("nft", "list ruleset"), "");
    });
}

#[test]
fn a_change_of_rung_leaves_nothing_of_the_other() {
    tell(Kind::Tcx, |lab| {
        let open = |preference, footing| {
            Gate::open_on(
                &Settings {
                    preference,
                    ..settings("lab")
                },
                footing,
            )
            .unwrap()
        };
        for (preference, footing) in [
            (Preference::Nft, Footing::Newest),
            (Preference::Bpf, Footing::Newest),
            (Preference::Nft, Footing::Old),
            (Preference::Bpf, Footing::Old),
            (Preference::Nft, Footing::Newest),
        ] {
            let mut gate = open(preference, footing);
            assert!(
                !passes(lab, Way::Out, &reply()),
                "{preference:?} {footing:?}"
            );
            gate.set(0, far()).unwrap();
            assert!(
                passes(lab, Way::Out, &reply()),
                "{preference:?} {footing:?}"
            );
        }
        drop(open(Preference::None, Footing::Newest));
        assert!(passes(lab, Way::Out, &reply()), "nothing is left");
    });
}

/// The same test plays both parts: root starts it again as `nobody`.
#[test]
fn an_ordinary_user_gets_the_nft_rung_in_a_user_namespace() {
    if geteuid().is_root() && !in_user_namespace() {
        return again_in_user_namespace(Some(65_534));
    }
    tell(Kind::Nft, |lab| {
        let mut gate = Gate::open(&settings("lab")).unwrap();
        assert_eq!(gate.rung(), Rung::Nft, "BPF is not permitted here");
        let outcome = &probe()[0];
        assert!(outcome.0 == Rung::Bpf && outcome.1.is_err(), "{outcome:?}");
        assert!(!passes(lab, Way::Out, &reply()));
        gate.set(0, far()).unwrap();
        assert!(passes(lab, Way::Out, &reply()));
    });
}
