//! Others who claim our addresses are heard.

use std::time::{Duration, Instant};

use super::daemon::{Daemon, VIP4, VIP6};
use super::tap::Tap;
use super::world::{ip, story, until};
use crate::frames::announcement;
use crate::table::Mac;

const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x99]);

#[test]
fn a_claim_while_announcing_is_told_and_answered() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        let tap = Tap::at_peer(&world);
        for (group, address) in [("web", VIP4), ("six", VIP6)] {
            daemon.bring_up(group).await;
            daemon.announce(group, true);
            let own = announcement(address.parse().unwrap(), Mac([2, 0, 0, 0, 0, 1]), false);
            // Past the burst, so that the next of our frames is the answer.
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(1_000) {
                tap.frame(Duration::from_millis(100));
            }
            tap.send(&announcement(address.parse().unwrap(), OTHER, false)[0]);
            let (of, text) = daemon.claim().await;
            assert_eq!(of, group);
            assert_eq!(text, format!("{address} is claimed by 02:00:00:00:00:99"));
            let since = Instant::now();
            while tap.frame(Duration::from_secs(1)).expect("an answer comes") != own[0] {}
            println!("a claim to {address}, answered after {:?}", since.elapsed());
        }
        daemon.net.shutdown().await;
    });
}

#[test]
fn a_storm_of_claims_is_told_once_a_second() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.announce("web", true);
        let tap = Tap::at_peer(&world);
        let claim = &announcement(VIP4.parse().unwrap(), OTHER, false)[0];
        let since = Instant::now();
        let mut told = 0;
        while since.elapsed() < Duration::from_millis(1_800) {
            tap.send(claim);
            told += daemon.claims();
        }
        assert_eq!(told, 2);
        daemon.net.shutdown().await;
    });
}

#[test]
fn what_is_only_prepared_is_still_its_former_owners() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        daemon.bring_up("web").await;
        daemon.bring_up("six").await;
        let tap = Tap::at_peer(&world);
        daemon.announce("six", true);
        let own = announcement(VIP6.parse().unwrap(), Mac([2, 0, 0, 0, 0, 1]), false);
        until("the announcement is on", || {
            tap.frame(Duration::from_secs(1)).as_ref() == own.first()
        });
        tap.send(&announcement(VIP4.parse().unwrap(), OTHER, false)[0]);
        // Judged in order: when this one is told, the other was heard and passed over.
        tap.send(&announcement(VIP6.parse().unwrap(), OTHER, false)[0]);
        let (group, _) = daemon.claim().await;
        assert_eq!(group, "six");
        daemon.net.shutdown().await;
    });
}

#[test]
fn whoever_answers_the_probe_is_a_foreign_claim() {
    story(async |world| {
        let mut daemon = Daemon::start().await;
        world.at_peer(|| {
            ip(&format!("address add {VIP4}/24 dev peer0"));
            ip(&format!("address add {VIP6}/64 dev peer0 nodad"));
        });
        // The kernel joins the group that the IPv6 probe goes to a moment after the address is there.
        until("the peer listens", || {
            world
                .at_peer(|| ip("-6 maddress show dev peer0"))
                .contains("ff02::1:ff00:100")
        });
        for (group, address) in [("web", VIP4), ("six", VIP6)] {
            let since = Instant::now();
            daemon.net.want(&group.into(), &"vip".into(), true, true);
            let (of, text) = daemon.claim().await;
            println!(
                "a probe for {address}, and its answer told after {:?}",
                since.elapsed()
            );
            assert_eq!(of, group);
            assert_eq!(text, format!("{address} is claimed by 02:00:00:00:00:02"));
        }
        daemon.net.shutdown().await;
    });
}
