//! Several seeds at a time, told in their order.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use had_sim::run::{self, Options, Outcome};

/// One seed, run as often as asked.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    /// The hashes of all its runs.
    pub(crate) hashes: Vec<u64>,
}

/// Runs the seeds, and tells of each in order until `tell` has heard enough.
pub(crate) fn run(
    seeds: Range<u64>,
    options: Options,
    repeat: u32,
    threads: u32,
    mut tell: impl FnMut(Finished) -> ControlFlow<()>,
) {
    let next = AtomicU64::new(seeds.start);
    let (done, finished) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (done, next, end) = (done.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || done.send((seed, one(seed, options, repeat))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut expected = seeds.start;
        for (seed, result) in finished {
            early.insert(seed, result);
            while let Some(result) = early.remove(&expected) {
                expected += 1;
                if tell(result).is_break() {
                    next.store(seeds.end, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}

fn one(seed: u64, options: Options, repeat: u32) -> Finished {
    let first = run::run(seed, options);
    let mut hashes = vec![first.hash];
    hashes.extend((1..repeat).map(|_| run::run(seed, options).hash));
    Finished {
        outcome: first,
        hashes,
    }
}
