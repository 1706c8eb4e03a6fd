//! Addresses come, stay and go.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use had_core::ids::GroupName;
use had_core::ports::ResourceStatus;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressProtocol};

use super::daemon::{Daemon, VIP4, VIP6, settings};
use super::world::{World, ip, key, story, summary};
use crate::decode::Tag;
use crate::events::{Events, RECEIVE_BUFFER};
use crate::reconcile::Action;
use crate::{Leave, Remover, Settings};

/// The kernel's least: a few events.
const TINY_BUFFER: i32 = 1;
/// Events of a burst.
const BURST: u32 = 5_000;

#[test]
fn both_families_come_marked_as_ours_and_go() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.until_ready("web", Ok(())).await;
        daemon.want("web", true);
        let up = ResourceStatus::Up("10.77.0.100/24 on eth0".into());
        daemon.until_status("web", &up).await;
        daemon.want("six", true);
        let up = ResourceStatus::Up("fd00:77::100/64 on eth0".into());
        daemon.until_status("six", &up).await;

        let eth0 = world.eth0().await;
        let marked = AddressAttribute::Protocol(AddressProtocol::Other(72));
        let four = world.attributes(key(eth0, VIP4)).await;
        assert!(four.contains(&marked), "{four:?}");
        let six = world.attributes(key(eth0, VIP6)).await;
        assert!(six.contains(&marked), "{six:?}");
        let flags = AddressFlags::Nodad
            | AddressFlags::Deprecated
            | AddressFlags::Noprefixroute
            | AddressFlags::Permanent;
        assert!(six.contains(&AddressAttribute::Flags(flags)), "{six:?}");
        let routes = ip("-6 route show");
        assert!(!routes.contains("fd00:77::100"), "{routes}");

        for group in ["web", "six"] {
            daemon.want(group, false);
            daemon.until_status(group, &ResourceStatus::Down).await;
        }
        assert_eq!(world.table().await.ours().count(), 0);
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_host_of_its_own_address_connects_from_it_and_not_from_the_virtual_one() {
    story(async |_world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        assert!(ip("route get 10.77.0.2").contains("src 10.77.0.1 "));
        assert!(ip("route get fd00:77::2").contains("src fd00:77::1 "));
        daemon.net.shutdown().await;
    });
}

#[test]
fn strays_of_this_cluster_go_and_everything_else_stays() {
    story(async |world| {
        let eth0 = world.eth0().await;
        let strays = vec![
            Action::Add(key(eth0, "10.77.0.66")),
            Action::Add(key(eth0, VIP4)),
            Action::Add(key(eth0, "fd00:77::66")),
        ];
        for (_, result) in world.requests.perform(strays).await {
            result.unwrap();
        }
        let (other, _connection) = crate::addresses::Requests::open(Tag::of("mail")).unwrap();
        other
            .perform(vec![Action::Add(key(eth0, "10.77.0.67"))])
            .await
            .remove(0)
            .1
            .unwrap();
        let daemon = Daemon::start().await;
        let shown = ip("address show dev eth0");
        for gone in ["10.77.0.66", VIP4, "fd00:77::66"] {
            assert!(!shown.contains(gone), "{gone}: {shown}");
        }
        for stays in ["10.77.0.67/32", "10.77.0.1/24", "fd00:77::1/64"] {
            assert!(shown.contains(stays), "{stays}: {shown}");
        }
        daemon.net.shutdown().await;
    });
}

#[test]
fn what_is_inherited_is_left_alone_until_the_daemon_has_decided() {
    story(async |world| {
        let eth0 = world.eth0().await;
        let left = ["10.77.0.66", VIP4, VIP6].map(|address| Action::Add(key(eth0, address)));
        for (_, result) in world.requests.perform(left.to_vec()).await {
            result.unwrap();
        }
        let settings = Settings {
            inherited: ["web".into()].into(),
            ..settings()
        };
        let mut daemon = Daemon::start_with(settings, || (), RECEIVE_BUFFER).await;
        let up = ResourceStatus::Up("10.77.0.100/24 on eth0".into());
        daemon.until_status("web", &up).await;
        let shown = ip("address show dev eth0");
        assert!(shown.contains(VIP4), "{shown}");
        for stray in ["10.77.0.66", VIP6] {
            assert!(!shown.contains(stray), "{stray}: {shown}");
        }
        daemon.net.hands_off(&"web".into(), false);
        daemon.want("web", false);
        daemon.until_status("web", &ResourceStatus::Down).await;
        assert_eq!(world.table().await.ours().count(), 0);
        daemon.net.shutdown().await;
    });
}

/// Somebody took it off while no daemon ran: it stays off until it is known whose it is, and then comes.
#[test]
fn an_inherited_address_that_is_gone_comes_back_with_the_decision() {
    story(async |world| {
        let settings = Settings {
            inherited: ["web".into()].into(),
            ..settings()
        };
        let mut daemon = Daemon::start_with(settings, || (), RECEIVE_BUFFER).await;
        daemon.until_ready("web", Ok(())).await;
        assert!(daemon.is_silent_about_resources());
        assert_eq!(world.table().await.ours().count(), 0);
        daemon.net.hands_off(&"web".into(), false);
        let up = ResourceStatus::Up("10.77.0.100/24 on eth0".into());
        daemon.until_status("web", &up).await;
        daemon.net.shutdown().await;
    });
}

#[test]
fn an_address_that_somebody_deletes_is_back_in_milliseconds() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        let eth0 = world.eth0().await;
        for address in [VIP4, VIP6] {
            let mut times = Vec::new();
            // Often enough to delete it also while the adapter's own addition is still being told.
            for _ in 0..500 {
                let deleted = world
                    .requests
                    .perform(vec![Action::Remove(key(eth0, address))])
                    .await;
                deleted.into_iter().for_each(|(_, result)| result.unwrap());
                let since = Instant::now();
                world.until_holds(address, true).await;
                times.push(since.elapsed());
            }
            assert!(
                times.iter().all(|time| *time < Duration::from_secs(1)),
                "{times:?}"
            );
            summary(&format!("deleted, and {address} back"), times);
        }
        daemon.net.shutdown().await;
    });
}

/// A daemon that was frozen wakes: its guard has taken the address off, and the lease is looked at before anything is put back.
#[test]
fn an_address_whose_lease_has_lapsed_is_not_put_back_before_it_is_opened_again() {
    story(async |world| {
        let lapsed = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&lapsed);
        let leave = move |group: &GroupName| match now.load(Ordering::SeqCst) {
            true if group.as_str() == "web" => Leave::Lapsed,
            _ => Leave::Open,
        };
        let mut daemon = Daemon::start_under(settings(), || (), leave, RECEIVE_BUFFER).await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        lapsed.store(true, Ordering::SeqCst);
        let four: std::net::IpAddr = VIP4.parse().unwrap();
        let remover = Remover::open("web").unwrap();
        let gone = remover.take_off(|address| address == four).await;
        assert_eq!(gone.unwrap(), [four]);
        // Deleted after it, and back: so the first had its turn.
        let eth0 = world.eth0().await;
        let six = vec![Action::Remove(key(eth0, VIP6))];
        for (_, result) in world.requests.perform(six).await {
            result.unwrap();
        }
        world.until_holds(VIP6, true).await;
        assert!(!world.holds(VIP4).await);
        lapsed.store(false, Ordering::SeqCst);
        daemon.net.look();
        world.until_holds(VIP4, true).await;
        daemon.net.shutdown().await;
    });
}

#[test]
fn taking_off_leaves_everything_else_alone() {
    story(async |world| {
        let eth0 = world.eth0().await;
        let ours = [VIP4, "10.77.0.66"].map(|address| Action::Add(key(eth0, address)));
        for (_, result) in world.requests.perform(ours.to_vec()).await {
            result.unwrap();
        }
        let named = ["10.77.0.1", VIP4].map(|address| address.parse::<std::net::IpAddr>().unwrap());
        let remover = Remover::open("web").unwrap();
        let nothing = remover.take_off(|_| false).await;
        assert_eq!(nothing.unwrap(), [] as [std::net::IpAddr; 0]);
        let gone = remover.take_off(|address| named.contains(&address)).await;
        assert_eq!(gone.unwrap(), named[1..]);
        let shown = ip("address show dev eth0");
        assert!(!shown.contains(VIP4), "{shown}");
        for stays in ["10.77.0.1/24", "10.77.0.66/32"] {
            assert!(shown.contains(stays), "{stays}: {shown}");
        }
    });
}

#[test]
fn the_hosts_own_address_outlives_ours_even_when_it_was_away() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        ip("address del 10.77.0.1/24 dev eth0");
        world.until_holds(VIP4, true).await;
        ip("address add 10.77.0.1/24 dev eth0");
        daemon.want("web", false);
        daemon.until_status("web", &ResourceStatus::Down).await;
        assert!(ip("address show dev eth0").contains("10.77.0.1/24"));
        daemon.net.shutdown().await;
    });
}

#[test]
fn an_address_of_somebody_else_is_named_and_left_alone() {
    story(async |_world| {
        let complaint = "10.77.0.100 is already configured on eth0 by somebody else; remove it";
        ip("address add 10.77.0.100/24 dev eth0");
        let mut daemon = Daemon::start().await;
        daemon.until_ready("web", Err(complaint)).await;
        daemon.want("web", true);
        daemon
            .until_status("web", &ResourceStatus::Failed(complaint.into()))
            .await;
        ip("address del 10.77.0.100/24 dev eth0");
        daemon.until_ready("web", Ok(())).await;
        let up = ResourceStatus::Up("10.77.0.100/24 on eth0".into());
        daemon.until_status("web", &up).await;
        daemon.net.shutdown().await;
    });
}

#[test]
fn shutdown_and_a_smaller_configuration_take_off_what_is_up() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        let only_web = settings().vips.into_iter().take(1).collect();
        daemon.net.configure(only_web);
        world.until_holds(VIP6, false).await;
        assert!(world.holds(VIP4).await);
        daemon.net.shutdown().await;
        assert_eq!(world.table().await.ours().count(), 0);
    });
}

#[test]
fn the_socket_says_when_it_lost_events() {
    story(async |_world| {
        let mut events = Events::subscribe(Tag::of("web"), TINY_BUFFER).unwrap();
        burst("");
        assert!(events.next().await.unwrap().overrun);
    });
}

#[test]
fn lost_events_are_made_good_at_once() {
    story(async |world| {
        let mut daemon = Daemon::start_with(settings(), || (), TINY_BUFFER).await;
        daemon.bring_up("web").await;
        let mut times = Vec::new();
        for _ in 0..10 {
            // The deletion stands in the middle of the burst, whose events cannot all be heard.
            burst(&format!("address del {VIP4}/32 dev eth0\n"));
            let since = Instant::now();
            world.until_holds(VIP4, true).await;
            times.push(since.elapsed());
        }
        assert!(
            times
                .iter()
                .all(|time| *time < Duration::from_millis(1_000)),
            "{times:?}"
        );
        summary(
            "5000 events, most of them lost, and the address back",
            times,
        );
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_burst_of_events_delays_nothing_for_long() {
    story(async |world: World| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        burst(&format!("address del {VIP4}/32 dev eth0\n"));
        let since = Instant::now();
        world.until_holds(VIP4, true).await;
        summary("5000 events, and the address back", vec![since.elapsed()]);
        assert!(since.elapsed() < Duration::from_secs(1));
        daemon.net.shutdown().await;
    });
}

/// Adds and deletes addresses on the loopback, with one more command in the middle.
fn burst(middle: &str) {
    let mut child = Command::new("timeout")
        .args(["20", "ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("iproute2 and coreutils are installed");
    let mut lines = String::new();
    for number in 0..BURST / 2 {
        if number == BURST / 4 {
            lines.push_str(middle);
        }
        let address = format!("10.200.{}.{}/32 dev lo\n", number / 250, number % 250);
        lines.push_str(&format!("address add {address}address del {address}"));
    }
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}
