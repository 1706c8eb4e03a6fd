//! Wanted against actual: where each address belongs, what is told, watched and announced.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use had_core::ids::GroupName;
use tokio::time::Instant;

use super::Adapter;
use crate::Leave;
use crate::place::place;
use crate::report::Situation;
use crate::table::AddressKey;
use crate::wishes::Key;

impl Adapter {
    /// Compares wanted and actual, tells what changed, and sends what is due.
    pub(super) fn settle(&mut self) {
        self.find_places();
        self.find_there();
        self.outlets.keep(
            self.places.values().filter_map(|place| place.as_ref().ok()),
            &self.table,
        );
        self.outlets.probe(&self.wishes, &self.places, &self.table);
        self.claims.watch(self.watched());
        self.announce_due();
        let situation = Situation {
            table: &self.table,
            places: &self.places,
            failures: &self.failures,
        };
        for event in self.reports.news(&self.wishes, &situation) {
            (self.events)(event);
        }
    }

    fn find_places(&mut self) {
        let found = self.wishes.vips.iter().map(|(key, (spec, _))| {
            let last = self
                .places
                .get(key)
                .and_then(|place| place.as_ref().ok().copied());
            (key.clone(), place(spec, &self.node, &self.table, last))
        });
        self.places = found.collect();
    }

    /// An announced address that came (back) is announced again: whoever tried meanwhile may have forgotten it.
    fn find_there(&mut self) {
        let there: BTreeSet<Key> = self
            .wishes
            .vips
            .iter()
            .filter(|(key, (spec, wish))| {
                let Some(Ok(index)) = self.places.get(key) else {
                    return false;
                };
                wish.up && self.table.holds(&AddressKey::host(*index, spec.address))
            })
            .map(|(key, _)| key.clone())
            .collect();
        let now = Instant::now();
        for (group, _) in there.difference(&self.there) {
            self.announcer.again(group, now);
        }
        self.there = there;
    }

    /// What is announced and there, and what was asked for with a probe: an address that is only prepared behind a shut
    /// gate is still its former owner's.
    fn watched(&self) -> BTreeMap<(u32, IpAddr), GroupName> {
        let mut watched = BTreeMap::new();
        for (key, (spec, wish)) in &self.wishes.vips {
            let Some(Ok(index)) = self.places.get(key) else {
                continue;
            };
            let announced = self.there.contains(key) && self.announcer.is_on(&key.0);
            if wish.probe.is_some() || announced {
                watched.insert((*index, spec.address), key.0.clone());
            }
        }
        watched
    }

    pub(super) fn announce_due(&mut self) {
        let due = self.announcer.take_due(Instant::now());
        let due = due
            .into_iter()
            .filter(|group| (self.leave)(group) == Leave::Open);
        for group in due {
            for key in self.there.iter().filter(|key| key.0 == group) {
                if let (Some(Ok(index)), Some((spec, _))) =
                    (self.places.get(key), self.wishes.vips.get(key))
                {
                    self.outlets.announce(*index, spec.address, &self.table);
                }
            }
        }
    }
}
