//! What must outlive the process: the voter's id, its vote, log and snapshot, and a few values of the daemon.
//!
//! Everything is read when the store is opened and kept in memory (the log is bounded by the snapshots); afterwards the
//! disk is only written, and every write is on the disk when it is answered. After the first failed write the store
//! answers nothing any more.

mod log;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use had_core::ids::VoterId;
use redb::{Builder, Database, DatabaseError, StorageBackend, WriteTransaction};

pub(crate) use log::LogStore;

use crate::types::{Entry, LogId, Snapshot, Vote};
use crate::wire::WireError;

/// The file within the data directory.
const FILE: &str = "consensus.redb";

/// Bytes of the database's pages kept in memory: what one write touches.
const CACHE: usize = 1 << 20;

/// Where it is made.
const BESIDE: &str = "consensus.redb.new";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process uses this data directory")]
    InUse,
    /// A newer program wrote it.
    #[error(
        "it was written by a newer version of this program (format {found}, this one reads up to {known})"
    )]
    Newer {
        /// Its format.
        found: u64,
        /// The newest format that this program reads.
        known: u64,
    },
    /// Its content contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A record in it cannot be read.
    #[error("a record in it ({record}) {source}")]
    Record {
        /// Which.
        record: &'static str,
        /// What is wrong.
        source: WireError,
    },
    /// The database refuses it.
    #[error("the database cannot be opened")]
    Database(#[source] Box<redb::Error>),
    /// The directory refuses it.
    #[error("the directory cannot be used")]
    Directory(#[source] io::Error),
}

impl OpenError {
    /// What the disk says, where it is the disk that refuses: a full one, one that is mounted for reading alone.
    #[must_use]
    pub fn refusal(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Directory(error) => Some(error.kind()),
            Self::Database(error) => match &**error {
                redb::Error::Io(error) => Some(error.kind()),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Why something was not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A write failed, this one or an earlier one. Nothing is stored after it.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The consensus on it has ended.
    #[error("the store is closed")]
    Closed,
}

/// One voter's store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    voter: VoterId,
    /// `None` once closed.
    database: Mutex<Option<Database>>,
    memory: Mutex<Memory>,
}

/// Is told why the store failed.
type Tell = Box<dyn FnOnce(&str) + Send>;

/// What the disk holds, and what is on its way there.
#[derive(Default)]
struct Memory {
    values: BTreeMap<String, Vec<u8>>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    log: BTreeMap<u64, Entry>,
    snapshot: Option<Snapshot>,
    /// Where the newest snapshot ends that was given to the disk, in this life.
    newest: Option<LogId>,
    /// Why nothing is stored any more.
    fault: Option<String>,
    /// Told once of the fault.
    on_fault: Option<Tell>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("vote", &self.vote)
            .field("entries", &self.log.len())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a data directory, which must exist. `fresh` becomes the voter's id where there is none yet.
    ///
    /// # Errors
    /// Where another process uses it, it cannot be read, or a newer program wrote it.
    pub fn open(directory: &Path, fresh: VoterId) -> Result<Self, OpenError> {
        let file = directory.join(FILE);
        if !file.exists() {
            make(&directory.join(BESIDE), &file)?;
        }
        let database = builder().create(file).map_err(refused)?;
        // The new file's name must be as durable as its content.
        fs::File::open(directory)
            .and_then(|entry| entry.sync_all())
            .map_err(OpenError::Directory)?;
        Self::on(database, fresh)
    }

    /// Opens a store on storage of any kind, such as a simulated disk.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_backend(backend: impl StorageBackend, fresh: VoterId) -> Result<Self, OpenError> {
        Self::on(
            builder().create_with_backend(backend).map_err(refused)?,
            fresh,
        )
    }

    fn on(database: Database, fresh: VoterId) -> Result<Self, OpenError> {
        let (voter, memory) = tables::load(&database, fresh)?;
        let inner = Inner {
            voter,
            database: Mutex::new(Some(database)),
            memory: Mutex::new(memory),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The id of the voter that this store makes: drawn when it was created, never changed.
    #[must_use]
    pub fn voter(&self) -> VoterId {
        self.inner.voter
    }

    /// Whether it has never been part of a cluster: no vote, no log, no snapshot.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let memory = self.memory();
        memory.vote.is_none() && memory.log.is_empty() && memory.purged.is_none()
    }

    /// A value that was stored under a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.memory().values.get(name).cloned()
    }

    /// A number that was stored under a name with [`Store::set_number`].
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// Stores a value under a name. It blocks for an fsync.
    ///
    /// # Errors
    /// Where it could not be stored; then nothing can be any more.
    pub fn set_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(|change| tables::put_value(change, name, value))?;
        self.memory()
            .values
            .insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Stores a number under a name, as [`Store::set_value`].
    ///
    /// # Errors
    /// As [`Store::set_value`].
    pub fn set_number(&self, name: &str, number: u64) -> Result<(), StoreError> {
        self.set_value(name, &number.to_le_bytes())
    }

    /// Releases the storage; nothing is stored any more.
    pub(crate) fn close(&self) {
        self.memory().on_fault = None;
        *self
            .inner
            .database
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Calls `tell` once, when the store fails; at once where it has failed already.
    pub(crate) fn on_fault(&self, tell: impl FnOnce(&str) + Send + 'static) {
        let mut memory = self.memory();
        match memory.fault.clone() {
            Some(fault) => {
                drop(memory);
                tell(&fault);
            }
            None => memory.on_fault = Some(Box::new(tell)),
        }
    }

    /// Never held during disk work.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses once the store has failed: what is in memory may then be on no disk.
    fn sound(&self) -> Result<MutexGuard<'_, Memory>, StoreError> {
        let memory = self.memory();
        match &memory.fault {
            Some(fault) => Err(StoreError::Failed(fault.clone())),
            None => Ok(memory),
        }
    }

    /// Nothing is stored or read any more.
    fn fail(&self, fault: String) -> StoreError {
        let mut memory = self.memory();
        let fault = memory.fault.get_or_insert(fault).clone();
        let tell = memory.on_fault.take();
        drop(memory);
        if let Some(tell) = tell {
            tell(&fault);
        }
        StoreError::Failed(fault)
    }

    /// Makes a change, all of it or nothing, and returns once it is on the disk.
    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let database = self
            .inner
            .database
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(self.sound()?);
        let Some(open) = database.as_ref() else {
            return Err(StoreError::Closed);
        };
        let outcome = tables::commit(open, change);
        drop(database);
        outcome.map_err(|error| self.fail(error.to_string()))
    }
}

/// Makes an empty database beside, and gives it its name when it is whole: one whose making was cut short, by a full disk or
/// a loss of power, could never be opened again. Where another process is as far, its file stands.
fn make(beside: &Path, file: &Path) -> Result<(), OpenError> {
    let unless = |kind| move |error: &io::Error| error.kind() != kind;
    let absent = fs::remove_file(beside).err();
    if let Some(error) = absent.filter(unless(io::ErrorKind::NotFound)) {
        return Err(OpenError::Directory(error));
    }
    drop(builder().create(beside).map_err(refused)?);
    let taken = fs::hard_link(beside, file).err();
    if let Some(error) = taken.filter(unless(io::ErrorKind::AlreadyExists)) {
        return Err(OpenError::Directory(error));
    }
    fs::remove_file(beside).map_err(OpenError::Directory)
}

/// Nothing is read once the store is open, so pages need not be kept: by itself the database keeps the whole file.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

fn refused(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse,
        other => OpenError::Database(Box::new(other.into())),
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests;
