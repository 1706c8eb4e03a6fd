//! Whether a frame is somebody else's claim to an address that we hold or ask for, and how often that is said. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use had_core::ids::GroupName;
use tokio::time::Instant;

use crate::frames::Sighting;
use crate::table::Table;

/// At most one report and one defence a group in this time. RFC 5227 §2.4 (c) would defend every 10 s at most, for hosts
/// that cannot know who is right; here the lease says it, and clients follow the last announcement they heard.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// What is watched, and when each group last heard a claim.
#[derive(Default)]
pub(crate) struct Claims {
    watched: BTreeMap<(u32, IpAddr), GroupName>,
    reported: BTreeMap<GroupName, Instant>,
}

impl Claims {
    /// From here on these addresses, each on its interface, are watched.
    pub(crate) fn watch(&mut self, watched: BTreeMap<(u32, IpAddr), GroupName>) {
        let groups: Vec<_> = watched.values().collect();
        self.reported.retain(|group, _| groups.contains(&group));
        self.watched = watched;
    }

    /// The group whose address is claimed by somebody else, with a sentence for people; `None` where the frame is no claim
    /// to a watched address, is our own, or the group heard one a moment ago.
    pub(crate) fn judge(
        &mut self,
        index: u32,
        sighting: Sighting,
        table: &Table,
        now: Instant,
    ) -> Option<(GroupName, String)> {
        let group = self.watched.get(&(index, sighting.address))?;
        if table.has_mac(sighting.mac) {
            return None;
        }
        if self
            .reported
            .get(group)
            .is_some_and(|last| now < *last + CLAIM_INTERVAL)
        {
            return None;
        }
        self.reported.insert(group.clone(), now);
        Some((
            group.clone(),
            format!("{} is claimed by {}", sighting.address, sighting.mac),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Change, Link, Mac};

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn sighting(mac: Mac) -> Sighting {
        Sighting {
            address: "10.77.0.100".parse().unwrap(),
            mac,
        }
    }

    fn table() -> Table {
        let mut table = Table::default();
        table.apply(Change::Link(Link {
            index: 2,
            name: "eth0".into(),
            mac: Some(OWN),
            loopback: false,
            up: true,
            carrier: true,
        }));
        table
    }

    #[test]
    fn only_a_foreign_claim_to_a_watched_address_counts() {
        let (mut claims, table, now) = (Claims::default(), table(), Instant::now());
        assert_eq!(claims.judge(2, sighting(OTHER), &table, now), None);
        claims.watch(BTreeMap::from([((2, sighting(OWN).address), "web".into())]));
        assert_eq!(claims.judge(2, sighting(OWN), &table, now), None);
        assert_eq!(claims.judge(3, sighting(OTHER), &table, now), None);
        let (group, text) = claims.judge(2, sighting(OTHER), &table, now).unwrap();
        assert_eq!(group, "web".into());
        assert_eq!(text, "10.77.0.100 is claimed by 02:00:00:00:00:02");
    }

    #[test]
    fn a_group_says_it_once_a_second() {
        let (mut claims, table, start) = (Claims::default(), table(), Instant::now());
        claims.watch(BTreeMap::from([((2, sighting(OWN).address), "web".into())]));
        let said = (0..30)
            .filter(|tenth| {
                let now = start + Duration::from_millis(100) * *tenth;
                claims.judge(2, sighting(OTHER), &table, now).is_some()
            })
            .count();
        assert_eq!(said, 3);
    }
}
