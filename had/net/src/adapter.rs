//! The task: one loop over everything that can happen, after each of which wanted and actual are compared again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use had_core::ids::{GroupName, NodeName};
use had_core::ports::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::addresses::{Connection, Requests};
use crate::announce::Announcer;
use crate::claims::Claims;
use crate::decode::Tag;
use crate::events::{Events, News};
use crate::outlets::Outlets;
use crate::packet::Heard;
use crate::place::place;
use crate::reconcile::{Action, reconcile};
use crate::report::{Reports, Situation};
use crate::table::{AddressKey, Change, Holder, Link, Table};
use crate::wishes::{Desk, Key, Wishes};

/// Between looks at everything, whatever the events said: mends what no event told, and tries again what was refused.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// Address changes in one go; between goes, events and wishes are heard.
const ACTIONS_A_GO: usize = 256;
/// Changes kept while a dump is on its way; beyond it the dump is repeated. Some 400 KiB.
const CHANGES_DURING_DUMP: usize = 4_096;

/// What the task is started with.
pub(crate) struct Parts {
    pub(crate) node: NodeName,
    pub(crate) tag: Tag,
    pub(crate) desk: Arc<Desk>,
    pub(crate) requests: Requests,
    pub(crate) connection: Connection,
    pub(crate) news: Events,
    pub(crate) receive_buffer: libc::c_int,
    pub(crate) table: Table,
    pub(crate) events: Box<dyn Fn(Event) + Send>,
    pub(crate) links: Box<dyn Fn() + Send>,
}

/// Something asked of the kernel came back.
enum Done {
    Dump(io::Result<Table>),
    Actions(Vec<(Action, io::Result<()>)>),
}

pub(crate) struct Adapter {
    node: NodeName,
    desk: Arc<Desk>,
    requests: Requests,
    /// Ends the requests' connection with this task.
    _connection: Connection,
    events: Box<dyn Fn(Event) + Send>,
    links: Box<dyn Fn() + Send>,
    wishes: Wishes,
    table: Table,
    places: BTreeMap<Key, Result<u32, String>>,
    /// The virtual IPs that are wanted and on their interface.
    there: BTreeSet<Key>,
    /// Refused by the kernel; tried again at the next look.
    failures: BTreeMap<Action, String>,
    reports: Reports,
    announcer: Announcer,
    claims: Claims,
    outlets: Outlets,
    /// The table may have missed something.
    stale: bool,
    /// Changes heard while a dump is on its way, to be replayed over it; `None` where none is.
    during_dump: Option<Vec<Change>>,
}

impl Adapter {
    /// Runs until the wishes say shutdown; then everything of ours is off.
    pub(crate) async fn run(parts: Parts) {
        let Parts {
            node,
            tag,
            desk,
            requests,
            connection,
            news,
            receive_buffer,
            table,
            events,
            links,
        } = parts;
        let (outlets, mut claims) = Outlets::new();
        let mut adapter = Self {
            node,
            desk: Arc::clone(&desk),
            requests,
            _connection: connection,
            events,
            links,
            wishes: Wishes::default(),
            table,
            places: BTreeMap::new(),
            there: BTreeSet::new(),
            failures: BTreeMap::new(),
            reports: Reports::default(),
            announcer: Announcer::default(),
            claims: Claims::default(),
            outlets,
            stale: false,
            during_dump: None,
        };
        (adapter.links)();
        adapter.read_wishes();
        adapter
            .serve(news, &mut claims, || Events::subscribe(tag, receive_buffer))
            .await;
    }

    async fn serve(
        &mut self,
        news: Events,
        claims: &mut mpsc::Receiver<Heard>,
        subscribe: impl Fn() -> io::Result<Events>,
    ) {
        let desk = Arc::clone(&self.desk);
        let mut news = Some(news);
        let mut work: Option<BoxFuture<'static, Done>> = None;
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.settle();
            if self.wishes.shutdown && work.is_none() {
                return self.take_all_down().await;
            }
            if work.is_none() {
                work = self.next_work();
            }
            let announce_at = self.announcer.next();
            tokio::select! {
                heard = wait(news.as_mut().map(Events::next)) => match heard {
                    Ok(heard) => self.hear(heard),
                    Err(error) => {
                        tracing::warn!(%error, "the kernel's events ended; subscribing anew");
                        news = None;
                    }
                },
                done = wait(work.as_mut()) => {
                    work = None;
                    self.finish(done);
                }
                () = desk.changed() => self.read_wishes(),
                Some(heard) = claims.recv() => self.judge(heard),
                () = wait(announce_at.map(sleep_until)) => self.announce_due(),
                _ = look.tick() => {
                    self.stale = true;
                    self.failures.clear();
                    self.outlets.try_again();
                    if news.is_none() {
                        news = subscribe().ok();
                    }
                }
            }
        }
    }

    /// Takes over what the daemon wants now. A wanted announcement leaves before anything else is done.
    fn read_wishes(&mut self) {
        let before = std::mem::replace(&mut self.wishes, self.desk.read());
        let wishes = &self.wishes;
        self.announcer
            .retain(|group| wishes.announced.contains_key(group));
        let now = Instant::now();
        for (group, burst) in &wishes.announced {
            if before.announced.get(group) != Some(burst) {
                self.announcer.begin(group, now);
            }
        }
        self.announce_due();
    }

    /// Takes in what the kernel told.
    fn hear(&mut self, news: News) {
        if news.overrun {
            tracing::warn!("events of the kernel were lost; looking at everything again");
        }
        self.stale |= news.overrun;
        for change in news.changes {
            if let Some(kept) = &mut self.during_dump {
                if kept.len() < CHANGES_DURING_DUMP {
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

    /// Compares wanted and actual, tells what changed, and sends what is due.
    fn settle(&mut self) {
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

    fn announce_due(&mut self) {
        for group in self.announcer.take_due(Instant::now()) {
            for key in self.there.iter().filter(|key| key.0 == group) {
                if let (Some(Ok(index)), Some((spec, _))) =
                    (self.places.get(key), self.wishes.vips.get(key))
                {
                    self.outlets.announce(*index, spec.address, &self.table);
                }
            }
        }
    }

    fn judge(&mut self, heard: Heard) {
        let now = Instant::now();
        let claim = self
            .claims
            .judge(heard.index, heard.sighting, &self.table, now);
        if let Some((group, text)) = claim {
            tracing::warn!(%group, "{text}");
            self.announcer.once(&group, now);
            (self.events)(Event::ForeignClaim { group, text });
        }
    }

    /// What is to be asked of the kernel next; one thing at a time.
    fn next_work(&mut self) -> Option<BoxFuture<'static, Done>> {
        let requests = self.requests.clone();
        if self.stale {
            self.stale = false;
            self.during_dump = Some(Vec::new());
            return Some(Box::pin(async move { Done::Dump(requests.dump().await) }));
        }
        let wanted = self
            .wishes
            .vips
            .iter()
            .filter(|(_, (_, wish))| wish.up)
            .filter_map(|(key, (spec, _))| Some((spec.address, *self.places[key].as_ref().ok()?)))
            .collect();
        let mut actions = reconcile(&wanted, &self.table);
        actions.retain(|action| !self.failures.contains_key(action));
        actions.truncate(ACTIONS_A_GO);
        if actions.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            Done::Actions(requests.perform(actions).await)
        }))
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Dump(Ok(table)) => {
                let replay = self.during_dump.take().unwrap_or_default();
                for link in table.links() {
                    let old = self.table.link(link.index).cloned();
                    self.note_link(old.as_ref(), link);
                }
                self.table = table;
                for change in replay {
                    self.apply(change);
                }
            }
            Done::Dump(Err(error)) => {
                self.during_dump = None;
                tracing::warn!(%error, "asking the kernel for its interfaces and addresses");
            }
            Done::Actions(results) => {
                for (action, result) in results {
                    self.finish_action(action, result);
                }
            }
        }
    }

    /// The table learns a success at once; the kernel's event about it comes later and changes nothing.
    fn finish_action(&mut self, action: Action, result: io::Result<()>) {
        let errno = result.as_ref().err().and_then(io::Error::raw_os_error);
        match (action, result) {
            (Action::Add(key), Ok(())) => {
                self.table.apply(Change::Address(key, Holder::Ours));
            }
            (Action::Remove(key), Ok(())) => self.table.apply(Change::AddressGone(key)),
            (Action::Remove(key), Err(_)) if errno == Some(libc::EADDRNOTAVAIL) => {
                self.table.apply(Change::AddressGone(key));
            }
            (Action::Add(key), Err(error)) => {
                self.refused(
                    action,
                    format!(
                        "adding {} to {}: {error}",
                        key.address,
                        self.table.name_of(key.index)
                    ),
                );
            }
            (Action::Remove(key), Err(error)) => {
                self.refused(
                    action,
                    format!(
                        "removing {} from {}: {error}",
                        key.address,
                        self.table.name_of(key.index)
                    ),
                );
            }
        }
    }

    /// The table may be behind the kernel: look again, then say it, and try again at the next look.
    fn refused(&mut self, action: Action, text: String) {
        tracing::warn!("{text}");
        self.failures.insert(action, text);
        self.stale = true;
    }

    async fn take_all_down(&mut self) {
        let actions = reconcile(&BTreeMap::new(), &self.table);
        for (action, result) in self.requests.perform(actions).await {
            if let Err(error) = result {
                tracing::warn!(?action, %error, "at the end");
            }
        }
    }
}

/// Waits for the future, or for ever where there is none.
async fn wait<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
