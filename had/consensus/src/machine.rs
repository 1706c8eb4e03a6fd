//! The replicated state machine, as this crate needs it, and what openraft sees of it.

use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use futures::{Stream, TryStreamExt};
use had_core::ids::{LeaderId, NodeName, VoterId};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};

use crate::runtime::Runtime;
use crate::store::LogStore;
use crate::types::{
    Bytes, EntryBody, LogId, Membership, Snapshot, SnapshotMeta, StoredMembership, Types, leader_id,
};

/// What a majority has decided is applied to it, entry by entry, in the order of the log. It is held in memory: after
/// a restart the last snapshot is restored and the entries after it are applied again.
pub trait Machine: Send + 'static {
    /// The entry at `index`, proposed by `leader`. `None`: a leader's first, blank entry, or a change of voters.
    ///
    /// # Errors
    /// Why this program cannot read it. The consensus ends: it must not answer for what it cannot read.
    fn apply(&mut self, index: u64, leader: LeaderId, payload: Option<&[u8]>)
    -> Result<(), String>;

    /// The voters after the entry at `index`, called just before it is applied. While voters are being changed: the
    /// former and the future ones, since either may still lead.
    fn voters(&mut self, index: u64, voters: &BTreeMap<VoterId, NodeName>);

    /// Everything that was applied, the voters too, as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Takes over a snapshot in place of everything that was applied; the entry at `index`, proposed by `leader`, is
    /// the last one in it.
    ///
    /// # Errors
    /// What is wrong with the bytes. The consensus ends.
    fn restore(&mut self, index: u64, leader: LeaderId, snapshot: &[u8]) -> Result<(), String>;
}

/// All voters of a membership, by id.
pub(crate) fn voters(membership: &Membership) -> BTreeMap<VoterId, NodeName> {
    membership
        .voter_ids()
        .filter_map(|voter| Some((VoterId(voter), membership.get_node(&voter)?.name())))
        .collect()
}

/// openraft's view of a [`Machine`]: it keeps the place in the log, and snapshots in the store.
pub(crate) struct StateMachine<R: Runtime> {
    /// Only ever reached through `&mut`; the lock is there because openraft wants `Sync`.
    machine: Mutex<Box<dyn Machine>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    store: LogStore<R>,
}

impl<R: Runtime> StateMachine<R> {
    pub(crate) fn new(machine: Box<dyn Machine>, store: LogStore<R>) -> Self {
        Self {
            machine: Mutex::new(machine),
            applied: None,
            membership: StoredMembership::default(),
            store,
        }
    }

    fn machine(&mut self) -> &mut dyn Machine {
        self.machine
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
    }

    fn apply_entry(&mut self, at: LogId, body: &EntryBody) -> io::Result<()> {
        let leader = leader_id(at.leader_id);
        let payload = match body {
            EntryBody::Blank => None,
            EntryBody::Normal(payload) => Some(&payload.0[..]),
            EntryBody::Membership(membership) => {
                self.membership = StoredMembership::new(Some(at), membership.clone());
                self.machine().voters(at.index, &voters(membership));
                None
            }
        };
        self.machine()
            .apply(at.index, leader, payload)
            .map_err(io::Error::other)?;
        self.applied = Some(at);
        Ok(())
    }
}

impl<R: Runtime> RaftStateMachine<Types<R>> for StateMachine<R> {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder<R>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<R>>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.apply_entry(entry.log_id, &entry.payload)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder<R> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        };
        let snapshot = Snapshot {
            meta,
            snapshot: self.machine().snapshot().into(),
        };
        SnapshotBuilder {
            snapshot,
            store: self.store.clone(),
            runtime: PhantomData,
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        if let Some(last) = meta.last_log_id {
            let leader = leader_id(last.leader_id);
            self.machine()
                .restore(last.index, leader, &snapshot)
                .map_err(io::Error::other)?;
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.store
            .save_snapshot(Snapshot {
                meta: meta.clone(),
                snapshot,
            })
            .await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.store.snapshot()
    }
}

/// A snapshot as it was when it was asked for, not yet stored.
pub(crate) struct SnapshotBuilder<R: Runtime> {
    snapshot: Snapshot,
    store: LogStore<R>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> RaftSnapshotBuilder<Types<R>> for SnapshotBuilder<R> {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        self.store.save_snapshot(self.snapshot.clone()).await?;
        Ok(self.snapshot.clone())
    }
}
