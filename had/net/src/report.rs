//! What is told about each virtual IP, and that nothing is told twice. Pure.

use std::collections::BTreeMap;

use had_core::ports::{Event, ResourceStatus};
use had_core::spec::VipSpec;

use crate::place::{held_by_others, obstacle};
use crate::reconcile::Action;
use crate::table::{AddressKey, Table};
use crate::wishes::{Key, Wish, Wishes};

/// What is known besides the kernel's table.
pub(crate) struct Situation<'a> {
    pub(crate) table: &'a Table,
    /// Where each virtual IP belongs, or why nowhere.
    pub(crate) places: &'a BTreeMap<Key, Result<u32, String>>,
    /// Changes that the kernel refused, and why.
    pub(crate) failures: &'a BTreeMap<Action, String>,
}

/// What was said last about each virtual IP.
#[derive(Default)]
pub(crate) struct Reports {
    said: BTreeMap<Key, Said>,
    /// The configuration of which it was said.
    configured: u64,
}

#[derive(Default)]
struct Said {
    ready: Option<Result<(), String>>,
    status: Option<ResourceStatus>,
    answered: u64,
}

impl Reports {
    /// The events that tell what changed since the last call, and that answer new wishes.
    pub(crate) fn news(&mut self, wishes: &Wishes, situation: &Situation<'_>) -> Vec<Event> {
        // Whoever listens may have forgotten, with a former configuration, what it was told.
        if std::mem::replace(&mut self.configured, wishes.configured) != wishes.configured {
            self.said.clear();
        }
        let mut events = Vec::new();
        for (key, (spec, wish)) in &wishes.vips {
            let (group, resource) = key.clone();
            let said = self.said.entry(key.clone()).or_default();
            let ready = ready(spec, &situation.places[key], situation);
            if said.ready.as_ref() != Some(&ready) {
                said.ready = Some(ready.clone());
                events.push(Event::Ready {
                    group: group.clone(),
                    resource: resource.clone(),
                    ready,
                });
            }
            let Some(status) = status(spec, *wish, &situation.places[key], situation) else {
                continue;
            };
            if said.answered != wish.asked || said.status.as_ref() != Some(&status) {
                said.answered = wish.asked;
                said.status = Some(status.clone());
                events.push(Event::Resource {
                    group,
                    resource,
                    status,
                });
            }
        }
        events
    }
}

fn ready(
    spec: &VipSpec,
    place: &Result<u32, String>,
    situation: &Situation<'_>,
) -> Result<(), String> {
    let index = place.clone()?;
    obstacle(spec, index, situation.table).map_or(Ok(()), Err)
}

/// `None` where a change is under way, or nothing was ever wanted.
fn status(
    spec: &VipSpec,
    wish: Wish,
    place: &Result<u32, String>,
    situation: &Situation<'_>,
) -> Option<ResourceStatus> {
    if wish.asked == 0 {
        None
    } else if wish.up {
        status_up(spec, place, situation)
    } else {
        status_down(spec, situation)
    }
}

fn status_up(
    spec: &VipSpec,
    place: &Result<u32, String>,
    situation: &Situation<'_>,
) -> Option<ResourceStatus> {
    let VipSpec {
        address, prefix, ..
    } = spec;
    let table = situation.table;
    let index = match place {
        Ok(index) => *index,
        Err(reason) => return Some(ResourceStatus::Failed(reason.clone())),
    };
    let key = AddressKey::host(index, *address);
    if table.holds(&key) {
        let text = format!("{address}/{prefix} on {}", table.name_of(index));
        return Some(ResourceStatus::Up(text));
    }
    held_by_others(*address, table)
        .or_else(|| situation.failures.get(&Action::Add(key)).cloned())
        .map(ResourceStatus::Failed)
}

fn status_down(spec: &VipSpec, situation: &Situation<'_>) -> Option<ResourceStatus> {
    let left = situation
        .table
        .ours()
        .find(|key| key.address == spec.address);
    match left {
        None => Some(ResourceStatus::Down),
        Some(key) => situation
            .failures
            .get(&Action::Remove(*key))
            .cloned()
            .map(ResourceStatus::Failed),
    }
}

#[cfg(test)]
mod tests {
    use had_core::spec::InterfaceSpec;

    use super::*;
    use crate::table::{Change, Holder, Link};

    struct Story {
        wishes: Wishes,
        table: Table,
        place: Result<u32, String>,
        failures: BTreeMap<Action, String>,
        reports: Reports,
    }

    impl Story {
        fn new() -> Self {
            let mut wishes = Wishes::default();
            let address = "10.77.0.100".parse().unwrap();
            let spec = VipSpec {
                address,
                prefix: 24,
                interface: InterfaceSpec::BySubnet,
            };
            wishes.configure(vec![("web".into(), "vip".into(), spec)]);
            let mut story = Self {
                wishes,
                table: Table::default(),
                place: Ok(2),
                failures: BTreeMap::new(),
                reports: Reports::default(),
            };
            story.carrier(true);
            story
        }

        fn carrier(&mut self, carrier: bool) {
            self.table.apply(Change::Link(Link {
                index: 2,
                name: "eth0".into(),
                mac: None,
                loopback: false,
                up: true,
                carrier,
            }));
        }

        fn key() -> AddressKey {
            AddressKey::host(2, "10.77.0.100".parse().unwrap())
        }

        fn want(&mut self, up: bool) {
            assert!(self.wishes.want(&("web".into(), "vip".into()), up, false));
        }

        fn news(&mut self) -> Vec<String> {
            let places = BTreeMap::from([(("web".into(), "vip".into()), self.place.clone())]);
            let situation = Situation {
                table: &self.table,
                places: &places,
                failures: &self.failures,
            };
            self.reports
                .news(&self.wishes, &situation)
                .into_iter()
                .map(|event| match event {
                    Event::Ready { ready, .. } => format!("{ready:?}"),
                    Event::Resource { status, .. } => format!("{status:?}"),
                    other => format!("unexpected {other:?}"),
                })
                .collect()
        }
    }

    #[test]
    fn readiness_is_said_at_first_and_when_it_changes() {
        let mut story = Story::new();
        assert_eq!(story.news(), ["Ok(())"]);
        assert!(story.news().is_empty());
        story.carrier(false);
        assert_eq!(story.news(), [r#"Err("interface eth0 has no carrier")"#]);
        story.carrier(true);
        assert_eq!(story.news(), ["Ok(())"]);
    }

    #[test]
    fn every_wish_is_answered_once_it_is_true() {
        let mut story = Story::new();
        story.want(true);
        assert_eq!(story.news(), ["Ok(())"]);
        story
            .table
            .apply(Change::Address(Story::key(), Holder::Ours));
        assert_eq!(story.news(), [r#"Up("10.77.0.100/24 on eth0")"#]);
        story.want(true);
        assert_eq!(story.news(), [r#"Up("10.77.0.100/24 on eth0")"#]);
        story.want(false);
        assert!(story.news().is_empty());
        story.table.apply(Change::AddressGone(Story::key()));
        assert_eq!(story.news(), ["Down"]);
    }

    #[test]
    fn failures_say_why() {
        let mut story = Story::new();
        story.want(true);
        story.news();
        story
            .failures
            .insert(Action::Add(Story::key()), "refused".into());
        assert_eq!(story.news(), [r#"Failed("refused")"#]);
        story.place = Err("interface eth0 does not exist".into());
        assert_eq!(
            story.news(),
            [
                r#"Err("interface eth0 does not exist")"#,
                r#"Failed("interface eth0 does not exist")"#
            ]
        );
    }
}
