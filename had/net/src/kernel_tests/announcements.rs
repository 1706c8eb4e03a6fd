//! What the link hears about our addresses.

use std::time::{Duration, Instant};

use super::daemon::{Daemon, VIP4, VIP6};
use super::tap::Tap;
use super::world::{World, ip, story, summary, until};
use crate::frames::{announcement, probe};
use crate::table::Mac;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// The burst is over by then, and the refresh far away.
const BURST: Duration = Duration::from_millis(1_500);

/// The frames about `address` within `time`, each with its age.
fn listen(tap: &Tap, expected: &[Vec<u8>], time: Duration) -> Vec<(Duration, Vec<u8>)> {
    let since = Instant::now();
    let mut frames = Vec::new();
    while let Some(left) = time
        .checked_sub(since.elapsed())
        .filter(|left| !left.is_zero())
    {
        if let Some(frame) = tap.frame(left).filter(|frame| expected.contains(frame)) {
            frames.push((since.elapsed(), frame));
        }
    }
    frames
}

#[test]
fn the_burst_reaches_the_peer_byte_by_byte_and_the_first_frame_at_once() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        for (group, address, forms) in [("web", VIP4, 2), ("six", VIP6, 1)] {
            daemon.bring_up(group).await;
            let expected = announcement(address.parse().unwrap(), OWN, false);
            let tap = Tap::at_peer(&world);
            daemon.announce(group, true);
            let frames = listen(&tap, &expected, BURST);
            daemon.announce(group, false);
            assert_eq!(frames.len(), 5 * forms, "{frames:?}");
            for form in &expected {
                assert_eq!(frames.iter().filter(|(_, frame)| frame == form).count(), 5);
            }
            assert!(frames[0].0 < Duration::from_millis(50), "{:?}", frames[0].0);
        }
        daemon.net.shutdown().await;
    });
}

#[test]
fn the_first_frame_leaves_within_microseconds() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        let expected = announcement(VIP4.parse().unwrap(), OWN, false);
        let mut times = Vec::new();
        for _ in 0..50 {
            let tap = Tap::at_peer(&world);
            let since = Instant::now();
            daemon.announce("web", true);
            while tap.frame(BURST).expect("a frame comes") != expected[0] {}
            times.push(since.elapsed());
        }
        summary("announce, and the first frame at the peer", times);
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_neighbour_that_knew_the_former_owner_learns_the_new_one() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        world.at_peer(|| {
            for address in [VIP4, VIP6] {
                ip(&format!(
                    "neighbour replace {address} lladdr 02:00:00:00:00:99 dev peer0 nud stale"
                ));
            }
        });
        for (group, address) in [("web", VIP4), ("six", VIP6)] {
            daemon.bring_up(group).await;
            daemon.announce(group, true);
            until("the neighbour learns", || {
                let known = world.at_peer(|| ip(&format!("neighbour show {address} dev peer0")));
                known.contains("02:00:00:00:00:01")
            });
        }
        daemon.net.shutdown().await;
    });
}

#[test]
fn nothing_is_announced_of_an_address_that_is_not_up_and_everything_once_it_is() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        let expected = announcement(VIP4.parse().unwrap(), OWN, false);
        let tap = Tap::at_peer(&world);
        daemon.announce("web", true);
        assert!(listen(&tap, &expected, BURST).is_empty());
        daemon.bring_up("web").await;
        assert_eq!(listen(&tap, &expected, BURST).len(), 10);
        daemon.net.shutdown().await;
    });
}

#[test]
fn the_carriers_return_and_a_new_hardware_address_are_announced_at_once() {
    story(async |world: World| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.announce("web", true);
        let old = announcement(VIP4.parse().unwrap(), OWN, false);
        let tap = Tap::at_peer(&world);
        assert!(!listen(&tap, &old, BURST).is_empty());

        let tap = Tap::at_peer(&world);
        world.at_peer(|| ip("link set peer0 down"));
        daemon
            .until_ready("web", Err("interface eth0 has no carrier"))
            .await;
        world.at_peer(|| ip("link set peer0 up"));
        assert_eq!(listen(&tap, &old, BURST).len(), 10);

        ip("link set eth0 address 02:00:00:00:00:03");
        let new = announcement(VIP4.parse().unwrap(), Mac([2, 0, 0, 0, 0, 3]), false);
        assert_eq!(listen(&tap, &new, BURST).len(), 10);
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_probe_leaves_where_one_is_wanted_and_only_there() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        for (group, address) in [("web", VIP4), ("six", VIP6)] {
            let expected = vec![probe(address.parse().unwrap(), OWN)];
            let tap = Tap::at_peer(&world);
            daemon.bring_up(group).await;
            daemon.want(group, false);
            daemon.net.want(&group.into(), &"vip".into(), true, true);
            let frames = listen(&tap, &expected, Duration::from_millis(500));
            assert_eq!(frames.len(), 1, "{frames:?}");
        }
        daemon.net.shutdown().await;
    });
}
