//! A disk that loses power in the middle of a transaction, at every byte of it: what was acknowledged before is there
//! afterwards, and the last transaction is there whole or not at all.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use had_consensus::Store;
use had_core::ids::VoterId;
use redb::StorageBackend;

const VOTER: VoterId = VoterId(7);
/// Longer than what one page has left, so that a tree grows.
const VALUE: [u8; 600] = [0xa5; 600];

/// One change of the disk.
#[derive(Clone, Debug)]
enum Change {
    Length(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Change {
    /// In how many places it can be torn.
    fn places(&self) -> usize {
        match self {
            Self::Write(_, data) => data.len(),
            Self::Length(_) | Self::Sync => 1,
        }
    }

    /// Makes so many bytes of it true.
    fn apply(&self, image: &mut Vec<u8>, bytes: usize) {
        match self {
            Self::Length(length) if bytes > 0 => image.resize(*length as usize, 0),
            Self::Write(offset, data) => {
                let start = *offset as usize;
                image[start..start + bytes].copy_from_slice(&data[..bytes]);
            }
            Self::Length(_) | Self::Sync => {}
        }
    }
}

/// A disk in memory that notes what is done to it, and fails at one sync if it is told to.
#[derive(Clone, Debug)]
struct Disk {
    image: Arc<Mutex<Vec<u8>>>,
    journal: Arc<Mutex<Vec<Change>>>,
    syncs_left: Arc<AtomicUsize>,
}

impl Disk {
    fn of(image: Vec<u8>) -> Self {
        Self {
            image: Arc::new(Mutex::new(image)),
            journal: Arc::default(),
            syncs_left: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    fn note(&self, change: Change) {
        let bytes = change.places();
        change.apply(&mut self.image.lock().unwrap(), bytes);
        self.journal.lock().unwrap().push(change);
    }

    fn image(&self) -> Vec<u8> {
        self.image.lock().unwrap().clone()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let start = offset as usize;
        out.copy_from_slice(&self.image.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.note(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        if self.syncs_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.syncs_left.store(0, Ordering::SeqCst);
            return Err(Error::from(ErrorKind::StorageFull));
        }
        self.note(Change::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.note(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// A disk on which four values are acknowledged.
fn with_four() -> Disk {
    let disk = Disk::of(Vec::new());
    let store = Store::with_backend(disk.clone(), VOTER).unwrap();
    for name in ["1", "2", "3", "4"] {
        store.set_value(name, &VALUE).unwrap();
    }
    drop(store);
    disk
}

/// Opens what a loss of power has left. Whether the last value is there.
fn opens(image: Vec<u8>, place: &str) -> bool {
    let store = Store::with_backend(Disk::of(image), VoterId(99))
        .unwrap_or_else(|error| panic!("torn {place}: {error:?}"));
    assert_eq!(store.voter(), VOTER, "torn {place}");
    for name in ["1", "2", "3", "4"] {
        assert_eq!(
            store.value(name).as_deref(),
            Some(&VALUE[..]),
            "torn {place}"
        );
    }
    match store.value("last") {
        None => false,
        Some(value) => {
            assert_eq!(value, VALUE, "torn {place}");
            true
        }
    }
}

#[test]
fn power_lost_at_any_byte_of_a_transaction_loses_nothing_that_was_acknowledged() {
    let disk = with_four();
    let store = Store::with_backend(disk.clone(), VOTER).unwrap();
    let before = disk.image();
    disk.journal.lock().unwrap().clear();
    store.set_value("last", &VALUE).unwrap();
    let changes = disk.journal.lock().unwrap().clone();
    let (mut image, mut states) = (before, 0);
    for (number, change) in changes.iter().enumerate() {
        for bytes in 0..change.places() {
            let mut torn = image.clone();
            change.apply(&mut torn, bytes);
            opens(torn, &format!("at byte {bytes} of change {number}"));
            states += 1;
        }
        change.apply(&mut image, change.places());
    }
    assert!(
        states > 4_096,
        "only {states} states: is there a transaction?"
    );
    assert!(opens(image, "not at all"), "acknowledged, and lost");
}

#[test]
fn a_sync_that_fails_acknowledges_nothing_and_ends_the_store() {
    let mut failed = 0;
    for syncs in 0..8 {
        let disk = with_four();
        let store = Store::with_backend(disk.clone(), VOTER).unwrap();
        disk.syncs_left.store(syncs, Ordering::SeqCst);
        let stored = store.set_value("last", &VALUE).is_ok();
        if !stored {
            failed += 1;
            store.set_value("later", &VALUE).unwrap_err();
            assert_eq!(store.value("last"), None, "told although it was refused");
        }
        let there = opens(disk.image(), &format!("after {syncs} syncs"));
        assert!(there || !stored, "acknowledged, and lost");
    }
    assert!(failed > 0, "no sync failed");
}
