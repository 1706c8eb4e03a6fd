//! What happens to an interface is told at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use had_core::ports::ResourceStatus;
use had_core::spec::InterfaceSpec;

use super::daemon::{Daemon, VIP4, VIP6, settings};
use super::world::{Notes, ip, story, summary};
use crate::events::RECEIVE_BUFFER;

#[test]
fn a_lost_carrier_is_told_at_once_and_its_return_too() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.until_ready("web", Ok(())).await;
        let (mut lost, mut back) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let since = Instant::now();
            world.at_peer(|| ip("link set peer0 down"));
            daemon
                .until_ready("web", Err("interface eth0 has no carrier"))
                .await;
            lost.push(since.elapsed());
            let since = Instant::now();
            world.at_peer(|| ip("link set peer0 up"));
            daemon.until_ready("web", Ok(())).await;
            back.push(since.elapsed());
        }
        // The commands take their part of it, on a busy machine the greater one.
        let in_time = lost.iter().filter(|time| time.as_millis() < 100).count();
        assert!(in_time > lost.len() / 2, "{lost:?}");
        summary("carrier lost, and told (with the command)", lost);
        summary("carrier back, and told (with the command)", back);
        daemon.net.shutdown().await;
    });
}

#[test]
fn an_interface_set_down_is_told_and_its_addresses_are_there_afterwards() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        ip("link set eth0 down");
        daemon
            .until_ready("web", Err("interface eth0 is down"))
            .await;
        daemon
            .until_ready("six", Err("interface eth0 is down"))
            .await;
        ip("link set eth0 up");
        daemon.until_ready("six", Ok(())).await;
        world.until_holds(VIP4, true).await;
        world.until_holds(VIP6, true).await;
        let shown = ip("-6 address show dev eth0");
        let ours = shown
            .lines()
            .find(|line| line.contains(VIP6))
            .expect("it is there");
        assert!(!ours.contains("tentative"), "{ours}");
        daemon.net.shutdown().await;
    });
}

#[test]
fn an_interface_that_comes_back_is_covered_before_it_bears_the_address() {
    story(async |world| {
        let notes = Notes::default();
        let links = {
            let notes = notes.clone();
            move || {
                let there = nix::ifaddrs::getifaddrs().unwrap().any(|interface| {
                    interface
                        .address
                        .is_some_and(|address| address.to_string().starts_with(VIP4))
                });
                notes.note(if there { "too late" } else { "covered" });
            }
        };
        let mut named = settings();
        for (_, _, spec) in &mut named.vips {
            spec.interface = InterfaceSpec::Named("eth0".into());
        }
        let mut daemon = Daemon::start_with(named, links, RECEIVE_BUFFER).await;
        daemon.bring_up("web").await;
        let calls = notes.all().len();
        ip("link del eth0");
        let gone = "interface eth0 does not exist";
        daemon
            .until_status("web", &ResourceStatus::Failed(gone.into()))
            .await;
        world.lay_cable();
        let up = ResourceStatus::Up("10.77.0.100/24 on eth0".into());
        daemon.until_status("web", &up).await;
        assert!(world.holds(VIP4).await);
        assert!(notes.all().len() > calls, "the new interface was told");
        assert!(
            notes.all().iter().all(|note| note == "covered"),
            "{:?}",
            notes.all()
        );
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_renamed_interface_keeps_its_address() {
    story(async |world| {
        let mut per_node = settings();
        for (_, _, spec) in &mut per_node.vips {
            let names = BTreeMap::from([("h1".into(), "eth0".to_owned())]);
            spec.interface = InterfaceSpec::PerNode(names);
        }
        let mut daemon = Daemon::start_with(per_node, || (), RECEIVE_BUFFER).await;
        daemon.bring_up("web").await;
        ip("link property add dev eth0 altname spare");
        ip("link set eth0 down");
        ip("link set eth0 name wan0");
        ip("link set wan0 up");
        let up = ResourceStatus::Up("10.77.0.100/24 on wan0".into());
        daemon.until_status("web", &up).await;
        let table = world.table().await;
        let index = table.link_named("wan0").unwrap().index;
        assert!(table.holds(&super::world::key(index, VIP4)));
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_node_without_the_subnet_says_so_until_it_has_it() {
    story(async |_world| {
        ip("address del 10.77.0.1/24 dev eth0");
        let mut daemon = Daemon::start().await;
        daemon
            .until_ready(
                "web",
                Err("no interface has a subnet that holds 10.77.0.100"),
            )
            .await;
        ip("address add 10.77.0.1/24 dev eth0");
        daemon.until_ready("web", Ok(())).await;
        assert!(daemon.is_silent_about_resources());
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_refused_address_is_named_and_put_on_as_soon_as_it_can_be() {
    const SWITCH: &str = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("six").await;
        std::fs::write(SWITCH, "1").unwrap();
        let refused = "adding fd00:77::100 on eth0: Permission denied (os error 13)";
        daemon
            .until_status("six", &ResourceStatus::Failed(refused.into()))
            .await;
        std::fs::write(SWITCH, "0").unwrap();
        let since = Instant::now();
        daemon
            .until_status("six", &ResourceStatus::Up("fd00:77::100/64 on eth0".into()))
            .await;
        // The next look would have been three seconds after the start.
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "not only at the next look"
        );
        assert!(world.holds(VIP6).await);
        daemon.net.shutdown().await;
    });
}
