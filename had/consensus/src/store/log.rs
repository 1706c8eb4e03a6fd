//! openraft's view of the store: reads come from memory, writes go to the disk in order, and are answered by the disk.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::OneshotSender;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::{LogState, OptionalSend};
use redb::WriteTransaction;

use super::{Store, StoreError, tables};
use crate::runtime::{Disk, Runtime};
use crate::types::{Entry, LogId, Snapshot, Types, Vote};

/// Of planted late votes: long enough that a voter is often restarted in between.
const VOTE_DELAY: Duration = Duration::from_secs(1);

/// A [`Store`] whose writes are done by a [`Disk`].
pub(crate) struct LogStore<R: Runtime> {
    store: Store,
    disk: Arc<dyn Disk>,
    /// Planted: votes are written late.
    late_vote: bool,
    runtime: std::marker::PhantomData<fn() -> R>,
}

impl<R: Runtime> Clone for LogStore<R> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            disk: self.disk.clone(),
            late_vote: self.late_vote,
            runtime: std::marker::PhantomData,
        }
    }
}

impl<R: Runtime> LogStore<R> {
    pub(crate) fn new(store: Store, disk: Arc<dyn Disk>) -> Self {
        Self {
            store,
            disk,
            late_vote: false,
            runtime: std::marker::PhantomData,
        }
    }

    /// Plants the mistake of answering a vote before it is written.
    pub(crate) fn with_late_votes(self, late_vote: bool) -> Self {
        Self { late_vote, ..self }
    }

    /// Has a change made, and goes on. Where it fails, everything after it is refused.
    fn change(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let mut pending = Pending {
            store: self.store.clone(),
            done: Some(done),
        };
        self.disk.run(Box::new(move || {
            let outcome = pending.store.write(change);
            pending.finish(outcome);
        }));
    }

    /// Has a change made, and waits for it.
    async fn durable(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) -> io::Result<()> {
        let (done, outcome) = Types::<R>::oneshot::<Result<(), StoreError>>();
        self.change(change, move |outcome| drop(done.send(outcome)));
        outcome
            .await
            .unwrap_or(Err(StoreError::Closed))
            .map_err(Into::into)
    }

    /// Has a snapshot stored in place of the former one, and waits for it. One that is no newer is left out: it was begun here
    /// before the leader sent another, and the entries between the two are gone.
    pub(crate) async fn save_snapshot(&self, snapshot: Snapshot) -> io::Result<()> {
        let last = snapshot.meta.last_log_id;
        {
            let mut memory = self.store.sound()?;
            let stored = memory.snapshot.as_ref();
            let stored = stored.and_then(|stored| stored.meta.last_log_id);
            if last.is_some() && last <= memory.newest.max(stored) {
                return Ok(());
            }
            memory.newest = last;
        }
        let copy = snapshot.clone();
        self.durable(move |change| tables::put_snapshot(change, &copy))
            .await?;
        let mut memory = self.store.sound()?;
        // Writes end in the order in which they were given; whoever waited for them may not.
        if memory.newest == last {
            memory.snapshot = Some(snapshot);
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> io::Result<Option<Snapshot>> {
        Ok(self.store.sound()?.snapshot.clone())
    }

    /// Releases the storage, after everything that was given to the disk before.
    pub(crate) async fn close(&self) {
        let (done, closed) = Types::<R>::oneshot::<()>();
        let store = self.store.clone();
        self.disk.run(Box::new(move || {
            store.close();
            done.send(()).ok();
        }));
        // An error means that the disk dropped the job, and has nothing open any more.
        drop(closed.await);
    }
}

/// Work on its way to the disk. Dropped undone it fails the store: nobody would ever be answered.
struct Pending<F: FnOnce(Result<(), StoreError>)> {
    store: Store,
    done: Option<F>,
}

impl<F: FnOnce(Result<(), StoreError>)> Pending<F> {
    fn finish(&mut self, outcome: Result<(), StoreError>) {
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

impl<F: FnOnce(Result<(), StoreError>)> Drop for Pending<F> {
    fn drop(&mut self) {
        if self.done.is_some() {
            let error = self.store.fail("disk work was dropped undone".into());
            self.finish(Err(error));
        }
    }
}

impl<R: Runtime> RaftLogReader<Types<R>> for LogStore<R> {
    async fn try_get_log_entries<B>(&mut self, range: B) -> io::Result<Vec<Entry>>
    where
        B: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self
            .store
            .sound()?
            .log
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.store.sound()?.vote)
    }
}

impl<R: Runtime> RaftLogStorage<Types<R>> for LogStore<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types<R>>> {
        let memory = self.store.sound()?;
        let last = memory
            .log
            .last_key_value()
            .map(|(_, entry)| entry.log_id)
            .or(memory.purged);
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        let write = move |change: &WriteTransaction| tables::put_vote(change, &vote);
        if self.late_vote {
            let store = self.clone();
            drop(R::spawn(async move {
                R::sleep(VOTE_DELAY).await;
                store.change(write, drop);
            }));
        } else {
            self.durable(write).await?;
        }
        self.store.sound()?.vote = Some(vote);
        Ok(())
    }

    /// Goes to the disk behind the entries that it is about; nobody waits for it. It is what a restart applies at
    /// once, without hearing from a leader first.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.store.sound()?.committed = committed;
        self.change(
            move |change| tables::put_committed(change, committed.as_ref()),
            drop,
        );
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.store.sound()?.committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let copies = entries
            .iter()
            .map(|entry| (entry.log_id.index, entry.clone()));
        self.store.sound()?.log.extend(copies);
        self.change(
            move |change| tables::put_entries(change, &entries),
            move |outcome| flushed.io_completed(outcome.map_err(Into::into)),
        );
        Ok(())
    }

    /// The disk follows in order: what is appended afterwards is on it only once this is.
    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let first = last.map_or(0, |last| last.index + 1);
        drop(self.store.sound()?.log.split_off(&first));
        self.change(move |change| tables::truncate(change, first), drop);
        Ok(())
    }

    async fn purge(&mut self, last: LogId) -> io::Result<()> {
        {
            let mut memory = self.store.sound()?;
            memory.log = memory.log.split_off(&(last.index + 1));
            memory.purged = Some(last);
        }
        self.change(move |change| tables::purge(change, &last), drop);
        Ok(())
    }
}
