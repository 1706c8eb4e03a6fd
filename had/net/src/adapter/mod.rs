//! The task: one loop over everything that can happen, after each of which wanted and actual are compared again.

mod kernel;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use had_core::ids::{GroupName, NodeName};
use had_core::ports::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::Leave;
use crate::addresses::{Connection, Requests};
use crate::announce::Announcer;
use crate::claims::Claims;
use crate::decode::Tag;
use crate::events::Events;
use crate::outlets::Outlets;
use crate::packet::Heard;
use crate::reconcile::Action;
use crate::report::Reports;
use crate::table::{AddressKey, Change, Table};
use crate::wishes::{Desk, Key, Wishes};
use kernel::Done;

/// Between looks at everything, whatever the events said: mends what no event told, and tries again what was refused.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

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
    pub(crate) leave: Box<dyn Fn(&GroupName) -> Leave + Send>,
}

pub(crate) struct Adapter {
    node: NodeName,
    desk: Arc<Desk>,
    requests: Requests,
    /// Ends the requests' connection with this task.
    _connection: Connection,
    events: Box<dyn Fn(Event) + Send>,
    links: Box<dyn Fn() + Send>,
    leave: Box<dyn Fn(&GroupName) -> Leave + Send>,
    wishes: Wishes,
    table: Table,
    places: BTreeMap<Key, Result<u32, String>>,
    /// The virtual IPs that are wanted and on their interface.
    there: BTreeSet<Key>,
    /// Refused by the kernel; tried again at the next look.
    failures: BTreeMap<Action, String>,
    /// Additions that met an address of which the table knew nothing, since the last look.
    doubted: BTreeSet<AddressKey>,
    reports: Reports,
    announcer: Announcer,
    claims: Claims,
    outlets: Outlets,
    /// The table may have missed something.
    stale: bool,
    /// Changes heard while an answer of the kernel is on its way, to be replayed over it; `None` where none is.
    meanwhile: Option<Vec<Change>>,
}

impl Adapter {
    /// Runs until the wishes say shutdown; whether everything of ours is off then.
    pub(crate) async fn run(parts: Parts) -> bool {
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
            leave,
        } = parts;
        let (outlets, mut claims) = Outlets::new();
        let mut adapter = Self {
            node,
            desk: Arc::clone(&desk),
            requests,
            _connection: connection,
            events,
            links,
            leave,
            wishes: Wishes::default(),
            table,
            places: BTreeMap::new(),
            there: BTreeSet::new(),
            failures: BTreeMap::new(),
            doubted: BTreeSet::new(),
            reports: Reports::default(),
            announcer: Announcer::default(),
            claims: Claims::default(),
            outlets,
            stale: false,
            meanwhile: None,
        };
        (adapter.links)();
        adapter.read_wishes();
        adapter
            .serve(news, &mut claims, || Events::subscribe(tag, receive_buffer))
            .await
    }

    async fn serve(
        &mut self,
        news: Events,
        claims: &mut mpsc::Receiver<Heard>,
        subscribe: impl Fn() -> io::Result<Events>,
    ) -> bool {
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
                    self.doubted.clear();
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

    fn judge(&mut self, heard: Heard) {
        let now = Instant::now();
        let claim = self
            .claims
            .judge(heard.index, heard.sighting, &self.table, now);
        if let Some((group, text)) = claim {
            self.announcer.once(&group, now);
            (self.events)(Event::ForeignClaim { group, text });
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
