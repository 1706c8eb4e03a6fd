//! What the kernel tells, and what is asked of it: one thing at a time, so that events and wishes are heard meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use had_core::spec::VipSpec;
use tokio::time::{Instant, sleep};

use super::Adapter;
use crate::Leave;
use crate::events::News;
use crate::reconcile::{Action, reconcile};
use crate::table::{AddressKey, Change, Holder, Link, Table};
use crate::wishes::{Key, Wish};

/// Address changes in one go; between goes, events and wishes are heard.
const ACTIONS_A_GO: usize = 256;
/// Changes kept while an answer of the kernel is on its way; beyond it, everything is looked at again. Some 400 KiB.
const CHANGES_MEANWHILE: usize = 4_096;
/// Before the kernel is asked again after it gave no answer, or its lists changed too fast.
const DUMP_PAUSE: Duration = Duration::from_millis(50);

/// Something asked of the kernel came back.
pub(super) enum Done {
    Dump(io::Result<Table>),
    Actions(Vec<(Action, io::Result<()>)>),
}

impl Adapter {
    /// Takes in what the kernel told.
    pub(super) fn hear(&mut self, news: News) {
        if news.overrun {
            tracing::warn!("events of the kernel were lost; looking at everything again");
        }
        self.stale |= news.overrun;
        for change in news.changes {
            if let Some(kept) = &mut self.meanwhile {
                if kept.len() < CHANGES_MEANWHILE {
                    kept.push(change.clone());
                } else {
                    self.stale = true;
                }
            }
            self.apply(change);
        }
    }

    fn apply(&mut self, change: Change) {
        if let Change::Link(link) = &change {
            let old = self.table.link(link.index).cloned();
            self.note_link(old.as_ref(), link);
        }
        self.failures
            .retain(|action, _| !concerns(&change, *action));
        self.table.apply(change);
    }

    /// An interface appeared or changed: the gate covers it before anything is put on it, and where packets leave by it
    /// again, or under another hardware address, the network is told anew.
    fn note_link(&mut self, old: Option<&Link>, new: &Link) {
        if old.is_none_or(|old| old.name != new.name) {
            (self.links)();
        }
        let was_usable = old.is_some_and(Link::is_usable);
        let moved = old.is_some_and(|old| old.mac != new.mac);
        if new.is_usable() && (!was_usable || moved) {
            let now = Instant::now();
            for ((group, _), place) in &self.places {
                if *place == Ok(new.index) {
                    self.announcer.again(group, now);
                }
            }
        }
    }

    /// What is to be asked of the kernel next; one thing at a time.
    pub(super) fn next_work(&mut self) -> Option<BoxFuture<'static, Done>> {
        let requests = self.requests.clone();
        if self.stale {
            self.stale = false;
            self.meanwhile = Some(Vec::new());
            return Some(Box::pin(async move {
                let result = requests.dump().await;
                if result.is_err() {
                    sleep(DUMP_PAUSE).await;
                }
                Done::Dump(result)
            }));
        }
        let wanted = self
            .wishes
            .vips
            .iter()
            .filter(|(_, (_, wish))| wish.up)
            .filter_map(|(key, (spec, _))| Some((spec.address, *self.places[key].as_ref().ok()?)))
            .collect();
        let mut actions = reconcile(&wanted, &self.table);
        let untouched = self.wishes.untouched();
        actions.retain(|action| {
            let address = action.key().address;
            let late = || matches!(action, Action::Add(_)) && self.is_lapsed(address);
            !self.failures.contains_key(action) && !untouched.contains(&address) && !late()
        });
        actions.truncate(ACTIONS_A_GO);
        if actions.is_empty() {
            return None;
        }
        self.meanwhile = Some(Vec::new());
        Some(Box::pin(async move {
            Done::Actions(requests.perform(actions).await)
        }))
    }

    /// Whether an address is wanted under a lease which has ended: a moment later it is not. The guard may have taken it off.
    fn is_lapsed(&self, address: IpAddr) -> bool {
        let of_address = |((group, _), (spec, _)): (&Key, &(VipSpec, Wish))| {
            (spec.address == address).then(|| group.clone())
        };
        let mut groups = self.wishes.vips.iter().filter_map(of_address);
        groups.any(|group| (self.leave)(&group) == Leave::Lapsed)
    }

    /// An answer of the kernel came. Events heard while it was on its way may be newer than it, and are replayed over it:
    /// else an address that was put on and deleted in that time would be taken for there.
    pub(super) fn finish(&mut self, done: Done) {
        let heard_meanwhile = self.meanwhile.take().unwrap_or_default();
        match done {
            Done::Dump(Ok(table)) => {
                for link in table.links() {
                    let old = self.table.link(link.index).cloned();
                    self.note_link(old.as_ref(), link);
                }
                self.failures.retain(|action, _| {
                    let key = action.key();
                    self.table.about(key) == table.about(key)
                });
                self.table = table;
            }
            Done::Dump(Err(error)) => {
                tracing::warn!(%error, "asking the kernel for its interfaces and addresses");
                self.stale = true;
            }
            Done::Actions(results) => {
                for (action, result) in results {
                    self.finish_action(action, result);
                }
            }
        }
        for change in heard_meanwhile {
            self.apply(change);
        }
    }

    /// The table learns a success at once; the kernel's event about it comes later and changes nothing.
    fn finish_action(&mut self, action: Action, result: io::Result<()>) {
        let errno = result.as_ref().err().and_then(io::Error::raw_os_error);
        match (action, result) {
            (Action::Add(key), Ok(())) => {
                self.doubted.remove(&key);
                self.table.apply(Change::Address(key, Holder::Ours));
            }
            (Action::Remove(key), Ok(())) => self.table.apply(Change::AddressGone(key)),
            (Action::Remove(key), Err(_)) if errno == Some(libc::EADDRNOTAVAIL) => {
                self.table.apply(Change::AddressGone(key));
            }
            // There, but not in the table: look, and refuse only what a look did not explain.
            (Action::Add(key), Err(_))
                if errno == Some(libc::EEXIST) && self.doubted.insert(key) =>
            {
                self.stale = true;
            }
            (Action::Add(key), Err(error)) => self.refused(action, "adding", key, &error),
            (Action::Remove(key), Err(error)) => self.refused(action, "removing", key, &error),
        }
    }

    /// The table may be behind the kernel: look again, then say it. Tried again at the next look, or when something changes
    /// about the address or its interface.
    fn refused(&mut self, action: Action, doing: &str, key: AddressKey, error: &io::Error) {
        let AddressKey { address, index, .. } = key;
        let text = format!(
            "{doing} {address} on {}: {error}",
            self.table.name_of(index)
        );
        tracing::warn!("{text}");
        self.failures.insert(action, text);
        self.stale = true;
    }

    /// The last thing: by a fresh table, so that nothing is left behind because an event was still on its way.
    /// Whether nothing of ours is left, as the kernel says.
    pub(super) async fn take_all_down(&mut self) -> bool {
        if let Ok(table) = self.requests.dump().await {
            self.table = table;
        }
        let actions = reconcile(&BTreeMap::new(), &self.table);
        for (action, result) in self.requests.perform(actions).await {
            if let Err(error) = result {
                tracing::warn!(?action, %error, "at the end");
            }
        }
        match self.requests.dump().await {
            // Nor may one that somebody else put on go on without its gate.
            Ok(table) => {
                let foreign =
                    |(spec, _): &(VipSpec, Wish)| table.held_by_others(spec.address).is_some();
                let left = self.wishes.vips.values().any(foreign);
                reconcile(&BTreeMap::new(), &table).is_empty() && !left
            }
            Err(error) => {
                tracing::warn!(%error, "cannot see whether anything is left");
                false
            }
        }
    }
}

/// Whether a change may make a refused action possible.
fn concerns(change: &Change, action: Action) -> bool {
    let refused = action.key();
    match change {
        Change::Link(link) => link.index == refused.index,
        Change::LinkGone(index) | Change::Switched(index) => *index == refused.index,
        Change::Address(key, _) | Change::AddressGone(key) => key.address == refused.address,
    }
}
