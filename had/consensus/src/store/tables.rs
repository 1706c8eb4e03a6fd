//! The layout on disk, format 1.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `system` | `format`, `voter` | u64, little endian |
//! | `system` | `vote`, `committed`, `purged`, `snapshot` | our protobuf messages |
//! | `log` | index | an entry |
//! | `values` | a name | bytes of the daemon |

use std::collections::BTreeMap;

use had_core::ids::VoterId;
use prost::Message;
use redb::{Database, Durability, ReadableTable, TableDefinition, WriteTransaction};

use super::{Memory, OpenError};
use crate::types::{Entry, LogId, Snapshot, Vote};
use crate::wire::{self, WireError};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u64 = 1;

const SYSTEM: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("system");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

const KEY_FORMAT: &str = "format";
const KEY_VOTER: &str = "voter";
const KEY_VOTE: &str = "vote";
const KEY_COMMITTED: &str = "committed";
const KEY_PURGED: &str = "purged";
const KEY_SNAPSHOT: &str = "snapshot";

type Outcome = Result<(), redb::Error>;

/// One durable transaction.
pub(super) fn commit(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Outcome,
) -> Outcome {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    change(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn put(change: &WriteTransaction, key: &str, value: &[u8]) -> Outcome {
    change.open_table(SYSTEM)?.insert(key, value)?;
    Ok(())
}

pub(super) fn put_vote(change: &WriteTransaction, vote: &Vote) -> Outcome {
    put(change, KEY_VOTE, &wire::Vote::from(vote).encode_to_vec())
}

pub(super) fn put_committed(change: &WriteTransaction, committed: Option<&LogId>) -> Outcome {
    match committed {
        Some(id) => put(
            change,
            KEY_COMMITTED,
            &wire::LogId::from(id).encode_to_vec(),
        ),
        None => change
            .open_table(SYSTEM)?
            .remove(KEY_COMMITTED)
            .map(drop)
            .map_err(Into::into),
    }
}

pub(super) fn put_snapshot(change: &WriteTransaction, snapshot: &Snapshot) -> Outcome {
    put(
        change,
        KEY_SNAPSHOT,
        &wire::Snapshot::from(snapshot).encode_to_vec(),
    )
}

pub(super) fn put_value(change: &WriteTransaction, name: &str, value: &[u8]) -> Outcome {
    change.open_table(VALUES)?.insert(name, value)?;
    Ok(())
}

pub(super) fn put_entries(change: &WriteTransaction, entries: &[Entry]) -> Outcome {
    let mut log = change.open_table(LOG)?;
    for entry in entries {
        log.insert(
            entry.log_id.index,
            &wire::Entry::from(entry).encode_to_vec()[..],
        )?;
    }
    Ok(())
}

/// Deletes the entries from `first` on.
pub(super) fn truncate(change: &WriteTransaction, first: u64) -> Outcome {
    change.open_table(LOG)?.retain_in(first.., |_, _| false)?;
    Ok(())
}

/// Deletes the entries up to `last`, and keeps its id.
pub(super) fn purge(change: &WriteTransaction, last: &LogId) -> Outcome {
    change
        .open_table(LOG)?
        .retain_in(..=last.index, |_, _| false)?;
    put(change, KEY_PURGED, &wire::LogId::from(last).encode_to_vec())
}

/// Reads everything; where there is nothing, makes a new store for the voter `fresh`.
pub(super) fn load(database: &Database, fresh: VoterId) -> Result<(VoterId, Memory), OpenError> {
    prepare(database, fresh).map_err(database_error)?;
    let mut system = read_system(database).map_err(database_error)?;
    let found = number(&mut system, KEY_FORMAT)?;
    if found > FORMAT {
        return Err(OpenError::Newer {
            found,
            known: FORMAT,
        });
    }
    let voter = VoterId(number(&mut system, KEY_VOTER)?);
    let mut memory = Memory {
        values: read_values(database).map_err(database_error)?,
        vote: record::<wire::Vote, _>(&mut system, KEY_VOTE)?,
        committed: record::<wire::LogId, _>(&mut system, KEY_COMMITTED)?,
        purged: record::<wire::LogId, _>(&mut system, KEY_PURGED)?,
        log: read_log(database)?,
        ..Memory::default()
    };
    if let Some(bytes) = system.remove(KEY_SNAPSHOT) {
        memory.snapshot = Some(decode::<wire::Snapshot, _>(KEY_SNAPSHOT, &bytes)?);
    }
    check(&mut memory)?;
    Ok((voter, memory))
}

/// Makes the tables, and writes format and voter into a new store.
fn prepare(database: &Database, fresh: VoterId) -> Outcome {
    commit(database, |change| {
        change.open_table(LOG)?;
        change.open_table(VALUES)?;
        let mut system = change.open_table(SYSTEM)?;
        if system.get(KEY_FORMAT)?.is_none() {
            system.insert(KEY_FORMAT, &FORMAT.to_le_bytes()[..])?;
            system.insert(KEY_VOTER, &fresh.0.to_le_bytes()[..])?;
        }
        Ok(())
    })
}

fn read_system(database: &Database) -> Result<BTreeMap<String, Vec<u8>>, redb::Error> {
    read_strings(database, SYSTEM)
}

fn read_values(database: &Database) -> Result<BTreeMap<String, Vec<u8>>, redb::Error> {
    read_strings(database, VALUES)
}

fn read_strings(
    database: &Database,
    table: TableDefinition<'_, &'static str, &'static [u8]>,
) -> Result<BTreeMap<String, Vec<u8>>, redb::Error> {
    use redb::ReadableDatabase;
    let mut found = BTreeMap::new();
    for item in database.begin_read()?.open_table(table)?.iter()? {
        let (key, value) = item?;
        found.insert(key.value().to_owned(), value.value().to_owned());
    }
    Ok(found)
}

fn read_log(database: &Database) -> Result<BTreeMap<u64, Entry>, OpenError> {
    use redb::ReadableDatabase;
    let read = || -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let mut found = Vec::new();
        for item in database.begin_read()?.open_table(LOG)?.iter()? {
            let (index, value) = item?;
            found.push((index.value(), value.value().to_owned()));
        }
        Ok(found)
    };
    let mut log = BTreeMap::new();
    for (index, bytes) in read().map_err(database_error)? {
        let entry: Entry = decode::<wire::Entry, _>("an entry", &bytes)?;
        if entry.log_id.index != index {
            return Err(OpenError::Damaged(format!(
                "entry {index} says that it is another"
            )));
        }
        log.insert(index, entry);
    }
    Ok(log)
}

/// The log must have no holes, since Raft looks at its end alone.
fn check(memory: &mut Memory) -> Result<(), OpenError> {
    let first = memory.purged.map_or(0, |purged| purged.index + 1);
    for (expected, found) in (first..).zip(memory.log.keys()) {
        if *found != expected {
            return Err(OpenError::Damaged(format!(
                "entry {expected} of the log is missing"
            )));
        }
    }
    let last = memory
        .log
        .last_key_value()
        .map(|(_, entry)| entry.log_id)
        .or(memory.purged);
    // A leader may learn that an entry is committed before its own disk has it; a crash then leaves this order.
    if memory.committed.map(|id| id.index) > last.map(|id| id.index) {
        memory.committed = last;
    }
    Ok(())
}

fn number(system: &mut BTreeMap<String, Vec<u8>>, key: &'static str) -> Result<u64, OpenError> {
    system
        .remove(key)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes)
        .ok_or_else(|| OpenError::Damaged(format!("its {key} is missing")))
}

fn record<M, T>(
    system: &mut BTreeMap<String, Vec<u8>>,
    key: &'static str,
) -> Result<Option<T>, OpenError>
where
    M: Message + Default + Into<T>,
{
    system
        .remove(key)
        .map(|bytes| match M::decode(&bytes[..]) {
            Ok(message) => Ok(message.into()),
            Err(error) => Err(OpenError::Record {
                record: key,
                source: error.into(),
            }),
        })
        .transpose()
}

fn decode<M, T>(record: &'static str, bytes: &[u8]) -> Result<T, OpenError>
where
    M: Message + Default,
    T: TryFrom<M, Error = WireError>,
{
    M::decode(bytes)
        .map_err(WireError::from)
        .and_then(T::try_from)
        .map_err(|source| OpenError::Record { record, source })
}

fn database_error(error: redb::Error) -> OpenError {
    OpenError::Database(Box::new(error))
}
