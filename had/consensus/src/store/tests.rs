//! The store against openraft's own conformance suite, and against what a data directory can hold.

use std::collections::BTreeMap;

use had_core::ids::{LeaderId, NodeName};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use redb::TableDefinition;
use redb::backends::InMemoryBackend;

use super::*;
use crate::machine::{Machine, StateMachine};
use crate::runtime::{Disk, Inline, Job, System, Thread};
use crate::types::{EntryBody, Payload, RaftLeader, Types};

/// Keeps nothing: the suite looks at places in the log only.
struct Forgetful;

impl Machine for Forgetful {
    fn apply(&mut self, _: u64, _: LeaderId, _: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }
    fn voters(&mut self, _: u64, _: &BTreeMap<VoterId, NodeName>) {}
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restore(&mut self, _: u64, _: LeaderId, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

struct Builder(fn() -> Arc<dyn Disk>);

impl StoreBuilder<Types<System>, LogStore<System>, StateMachine<System>, ()> for Builder {
    async fn build(
        &self,
    ) -> Result<((), LogStore<System>, StateMachine<System>), StorageError<Types<System>>> {
        let store = Store::with_backend(InMemoryBackend::new(), VoterId(1)).unwrap();
        let log = LogStore::new(store, (self.0)());
        Ok(((), log.clone(), StateMachine::new(Box::new(Forgetful), log)))
    }
}

#[tokio::test]
async fn the_store_is_what_openraft_asks_for_with_a_thread() {
    Suite::test_all(Builder(|| Arc::new(Thread::start().unwrap())))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_store_is_what_openraft_asks_for_inline() {
    Suite::test_all(Builder(|| Arc::new(Inline))).await.unwrap();
}

/// One that was begun before the leader sent a newer one, and is stored after it.
#[tokio::test]
async fn an_older_snapshot_does_not_take_the_place_of_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), VoterId(1)).unwrap();
    let log = LogStore::<System>::new(store, Arc::new(Thread::start().unwrap()));
    let ends_at = |index| Snapshot {
        meta: openraft::SnapshotMeta {
            last_log_id: Some(at(index)),
            ..Default::default()
        },
        snapshot: format!("up to {index}").into_bytes().into(),
    };
    log.save_snapshot(ends_at(79)).await.unwrap();
    let (newer, older) = tokio::join!(
        log.save_snapshot(ends_at(99)),
        log.save_snapshot(ends_at(87))
    );
    newer.and(older).unwrap();
    let kept = |log: &LogStore<System>| log.snapshot().unwrap().unwrap().meta.last_log_id;
    assert_eq!(kept(&log), Some(at(99)));
    log.close().await;
    let store = Store::open(folder.path(), VoterId(1)).unwrap();
    let log = LogStore::<System>::new(store, Arc::new(Inline));
    assert_eq!(kept(&log), Some(at(99)));
}

fn at(index: u64) -> LogId {
    LogId::new(
        RaftLeader {
            term: 3,
            node_id: 7,
        },
        index,
    )
}

fn entry(index: u64) -> Entry {
    let payload = EntryBody::Normal(Payload(index.to_le_bytes().as_slice().into()));
    Entry {
        log_id: at(index),
        payload,
    }
}

#[test]
fn what_was_stored_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let vote = Vote {
        leader_id: at(0).leader_id,
        committed: true,
    };
    {
        let store = Store::open(directory.path(), VoterId(11)).unwrap();
        assert!(store.is_blank());
        store.set_number("cluster", 42).unwrap();
        store
            .write(|change| tables::put_vote(change, &vote))
            .unwrap();
        let entries: Vec<Entry> = (0..10).map(entry).collect();
        store
            .write(|change| tables::put_entries(change, &entries))
            .unwrap();
        store.write(|change| tables::truncate(change, 8)).unwrap();
        store.write(|change| tables::purge(change, &at(2))).unwrap();
        store
            .write(|change| tables::put_committed(change, Some(&at(5))))
            .unwrap();
    }
    let store = Store::open(directory.path(), VoterId(12)).unwrap();
    assert_eq!(store.voter(), VoterId(11), "a voter keeps its id");
    assert_eq!(store.number("cluster"), Some(42));
    assert!(!store.is_blank());
    let memory = store.memory();
    assert_eq!(memory.vote, Some(vote));
    assert_eq!(
        memory.log.values().cloned().collect::<Vec<_>>(),
        (3..8).map(entry).collect::<Vec<_>>()
    );
    assert_eq!(
        (memory.purged, memory.committed),
        (Some(at(2)), Some(at(5)))
    );
}

#[test]
fn a_second_opening_of_one_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(directory.path(), VoterId(1)).unwrap();
    let refused = Store::open(directory.path(), VoterId(2)).unwrap_err();
    assert!(matches!(refused, OpenError::InUse), "{refused}");
    drop(first);
    Store::open(directory.path(), VoterId(2)).unwrap();
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(BESIDE), b"half a header").unwrap();
    drop(Store::open(directory.path(), VoterId(1)).unwrap());
    assert!(!directory.path().join(BESIDE).exists());
    let again = Store::open(directory.path(), VoterId(2)).unwrap();
    assert_eq!(again.voter(), VoterId(1), "what was made stays");
}

/// Writes one record into the file of a closed store.
fn tamper(directory: &Path, table: &str, key: &str, value: &[u8]) {
    let database = Database::create(directory.join(FILE)).unwrap();
    let table = TableDefinition::<&str, &[u8]>::new(table);
    let change = database.begin_write().unwrap();
    change
        .open_table(table)
        .unwrap()
        .insert(key, value)
        .unwrap();
    change.commit().unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path(), VoterId(1)).unwrap());
    tamper(directory.path(), "system", "format", &2_u64.to_le_bytes());
    let refused = Store::open(directory.path(), VoterId(1)).unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { found: 2, known: 1 }),
        "{refused}"
    );
}

#[test]
fn an_unreadable_vote_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path(), VoterId(1)).unwrap());
    tamper(directory.path(), "system", "vote", &[0xff; 9]);
    let refused = Store::open(directory.path(), VoterId(1)).unwrap_err();
    assert!(
        matches!(refused, OpenError::Record { record: "vote", .. }),
        "{refused}"
    );
}

#[test]
fn a_hole_in_the_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), VoterId(1)).unwrap();
    store
        .write(|change| tables::put_entries(change, &[entry(0), entry(2)]))
        .unwrap();
    drop(store);
    let refused = Store::open(directory.path(), VoterId(1)).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FILE), [7; 8192]).unwrap();
    Store::open(directory.path(), VoterId(1)).unwrap_err();
}

/// Loses every job.
struct Lost;

impl Disk for Lost {
    fn run(&self, job: Job) {
        drop(job);
    }
}

#[tokio::test]
async fn a_lost_write_fails_the_store_and_is_told_once() {
    use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
    let store = Store::with_backend(InMemoryBackend::new(), VoterId(1)).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    store.on_fault(move |fault| told.send(fault.to_owned()).unwrap());
    let mut log = LogStore::<System>::new(store.clone(), Arc::new(Lost));
    log.append([entry(0)], IOFlushed::noop()).await.unwrap();
    assert_eq!(heard.recv().unwrap(), "disk work was dropped undone");
    log.try_get_log_entries(0..1).await.unwrap_err();
    log.save_vote(&Vote {
        leader_id: at(0).leader_id,
        committed: false,
    })
    .await
    .unwrap_err();
    store.set_number("cluster", 1).unwrap_err();
    assert!(heard.recv().is_err(), "told once");
}
