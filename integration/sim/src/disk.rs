//! A host's disk: what is written, what is synced, and what a crash leaves of it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::runtime::Dice;

/// The disk of one host. It outlives every process that opens it.
#[derive(Clone, Debug, Default)]
pub struct HostDisk(Arc<Mutex<Content>>, Arc<Mutex<Option<Content>>>);

#[derive(Default)]
struct Content {
    /// What a process reads: the page cache.
    written: Vec<u8>,
    /// What a loss of power leaves for certain.
    synced: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
    /// Which opening of the disk may write; earlier ones belong to dead processes.
    opening: u64,
    trouble: Option<Trouble>,
    /// A store was created on it. Until then it is a file beside the store's own, and the next process begins anew.
    whole: bool,
    /// The present opening was refused something.
    failed: bool,
}

/// What a disk refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It is full: nothing more is written, what is there can be read and synced.
    Full,
    /// What is written cannot be synced. It stays in the page cache, to be synced when the disk is well again; a kernel that
    /// takes it for clean all the same is not modelled.
    NoSync,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("written", &self.written.len())
            .field("unsynced", &self.unsynced.len())
            .field("opening", &self.opening)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Change {
    Length(usize),
    Bytes { offset: usize, data: Vec<u8> },
}

impl Change {
    fn survives(&self, salt: u64) -> bool {
        match self {
            Self::Length(_) => true,
            Self::Bytes { offset, .. } => Dice::new(salt, *offset as u64).chance(500),
        }
    }

    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Bytes { offset, data } => {
                let end = offset + data.len();
                if end > to.len() {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl HostDisk {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one life of a process; what earlier lives still try to write is refused from here on.
    #[must_use]
    pub fn open(&self) -> OpenDisk {
        let mut content = self.content();
        content.opening += 1;
        content.failed = false;
        if !content.whole {
            content.written.clear();
            content.synced.clear();
            content.unsynced.clear();
        }
        OpenDisk {
            disk: self.clone(),
            opening: content.opening,
        }
    }

    /// The store that was created on it gets its name: from now on it stays.
    pub fn is_whole(&self) {
        self.content().whole = true;
    }

    /// Puts another, empty disk in, or the first one back. Processes that had the other one open are dead.
    pub fn exchange(&self) {
        let mut aside = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let opening = self.content().opening + 1;
        let other = aside.take();
        let is_back = other.is_some();
        let mut other = other.unwrap_or_default();
        other.opening = opening;
        let former = std::mem::replace(&mut *self.content(), other);
        *aside = (!is_back).then_some(former);
    }

    /// From now on the disk refuses something, or nothing any more.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.content().trouble = trouble;
    }

    /// Whether the process that opened it last was refused something.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.content().failed
    }

    /// The process died: what it wrote stays, and it writes nothing more (a killed process runs no destructors).
    pub fn process_died(&self) {
        self.content().opening += 1;
    }

    /// The host lost its power: of what was not synced, any part may have reached the disk, in any order. Which part
    /// follows from where it was written, not from the order of writing, which the database does not promise.
    pub fn power_lost(&self, dice: &mut Dice) {
        let mut content = self.content();
        content.opening += 1;
        let mut left = std::mem::take(&mut content.synced);
        let everything_gone = dice.chance(500);
        let salt = dice.any();
        for change in std::mem::take(&mut content.unsynced) {
            if !everything_gone && change.survives(salt) {
                change.apply(&mut left);
            }
        }
        content.written.clone_from(&left);
        content.synced = left;
    }

    /// The disk was replaced by an empty one.
    pub fn wipe(&self) {
        let mut content = self.content();
        *content = Content {
            opening: content.opening + 1,
            trouble: content.trouble,
            ..Content::default()
        };
    }
}

/// A disk as one process sees it.
#[derive(Clone, Debug)]
pub struct OpenDisk {
    disk: HostDisk,
    opening: u64,
}

impl OpenDisk {
    fn mine(&self) -> io::Result<MutexGuard<'_, Content>> {
        let content = self.disk.content();
        if content.opening == self.opening {
            Ok(content)
        } else {
            Err(io::Error::other(
                "the process that opened this disk is dead",
            ))
        }
    }

    /// The disk, unless it is in this trouble.
    fn unless(&self, trouble: Trouble, why: io::ErrorKind) -> io::Result<MutexGuard<'_, Content>> {
        let mut content = self.mine()?;
        if content.trouble == Some(trouble) {
            content.failed = true;
            return Err(why.into());
        }
        Ok(content)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut content = self.unless(Trouble::Full, io::ErrorKind::StorageFull)?;
        change.apply(&mut content.written);
        content.unsynced.push(change);
        Ok(())
    }
}

fn place(value: u64) -> usize {
    usize::try_from(value).expect("a simulated disk fits into memory")
}

fn out_of_range() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "read past the end of the disk")
}

impl StorageBackend for OpenDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.mine()?.written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.mine()?;
        let offset = place(offset);
        let found = content
            .written
            .get(offset..offset + out.len())
            .ok_or_else(out_of_range)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(place(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.unless(Trouble::NoSync, io::ErrorKind::Other)?;
        let content = &mut *guard;
        for change in content.unsynced.drain(..) {
            change.apply(&mut content.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes {
            offset: place(offset),
            data: data.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");

    fn put(disk: &HostDisk, number: u64) -> Database {
        let database = Database::builder()
            .create_with_backend(disk.open())
            .unwrap();
        disk.is_whole();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(TABLE)
            .unwrap()
            .insert(number, number)
            .unwrap();
        transaction.commit().unwrap();
        database
    }

    fn get(disk: &HostDisk, number: u64) -> bool {
        let database = Database::builder()
            .create_with_backend(disk.open())
            .unwrap();
        let transaction = database.begin_read().unwrap();
        let Ok(table) = transaction.open_table(TABLE) else {
            return false;
        };
        table.get(number).unwrap().is_some()
    }

    #[test]
    fn what_was_committed_outlives_process_and_power() {
        let disk = HostDisk::default();
        let database = put(&disk, 1);
        disk.process_died();
        drop(database);
        assert!(get(&disk, 1));
        for seed in 0..50 {
            let database = put(&disk, seed);
            disk.power_lost(&mut Dice::new(seed, 0));
            drop(database);
            assert!((0..=seed).all(|number| get(&disk, number)), "seed {seed}");
        }
    }

    #[test]
    fn an_unsynced_write_is_gone_after_a_loss_of_power_and_there_after_the_death_of_the_process() {
        let disk = HostDisk::default();
        let open = disk.open();
        disk.is_whole();
        open.write(0, &[7; 8]).unwrap();
        disk.process_died();
        let mut read = [0; 8];
        disk.open().read(0, &mut read).unwrap();
        assert_eq!(read, [7; 8]);
        assert!(
            open.write(0, &[8; 8]).is_err(),
            "a dead process writes nothing"
        );
        let gone = (0..20).any(|seed| {
            let disk = HostDisk::default();
            disk.open().write(0, &[7; 8]).unwrap();
            disk.power_lost(&mut Dice::new(seed, 0));
            disk.content().written.is_empty()
        });
        assert!(gone);
    }

    #[test]
    fn a_full_disk_and_one_that_does_not_sync_refuse_until_they_are_well_and_keep_what_was_there() {
        for trouble in [Trouble::Full, Trouble::NoSync] {
            let disk = HostDisk::default();
            let database = put(&disk, 1);
            assert!(!disk.has_failed());
            disk.set_trouble(Some(trouble));
            let transaction = database.begin_write().unwrap();
            let written = transaction.open_table(TABLE).unwrap().insert(2, 2).is_ok();
            assert!(!(written && transaction.commit().is_ok()), "{trouble:?}");
            assert!(disk.has_failed(), "{trouble:?}");
            disk.process_died();
            drop(database);
            disk.set_trouble(None);
            assert!(get(&disk, 1), "{trouble:?}");
            assert!(!disk.has_failed(), "another process");
        }
    }

    #[test]
    fn a_store_that_was_never_finished_is_begun_anew() {
        let disk = HostDisk::default();
        disk.open().write(0, &[7; 8]).unwrap();
        disk.process_died();
        assert_eq!(disk.open().len().unwrap(), 0);
        drop(put(&disk, 1));
        assert!(get(&disk, 1));
    }

    #[test]
    fn a_wiped_disk_is_empty() {
        let disk = HostDisk::default();
        drop(put(&disk, 1));
        disk.wipe();
        assert!(!get(&disk, 1));
    }
}
