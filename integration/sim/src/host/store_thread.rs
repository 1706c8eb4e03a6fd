//! The place where a daemon's disk work is done: one job after the other, each taking its time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use had_consensus::{Disk, Job, Runtime};
use had_core::time::MonoTime;
use openraft_rt::{AsyncRuntime, Instant};
use rand::RngExt;
use tokio::sync::mpsc;

use crate::runtime::{SimInstant, SimRuntime};

/// An fsync, measured for redb on ext4: 0.28 ms half the time, 0.43 ms at the 99th percentile.
const SYNC_US: std::ops::Range<u64> = 150..450;
/// Now and then the disk is busy with something else.
const BUSY_PER_MILLE: u64 = 10;
const BUSY_US: std::ops::Range<u64> = 1_000..25_000;

/// Gives jobs to a task that belongs to the daemon and dies with it: a job not begun is then never done.
struct StoreThread(mpsc::UnboundedSender<Job>);

impl Disk for StoreThread {
    fn run(&self, job: Job) {
        // Where the task is gone the job is dropped, which its giver notices.
        drop(self.0.send(job));
    }
}

fn take_time() -> Duration {
    let mut dice = SimRuntime::thread_rng();
    let busy = dice.random_range(0..1_000) < BUSY_PER_MILLE;
    Duration::from_micros(dice.random_range(if busy { BUSY_US } else { SYNC_US }))
}

impl Runtime for SimRuntime {
    fn mono_now() -> MonoTime {
        MonoTime(SimInstant::now().0)
    }

    fn disk() -> io::Result<Arc<dyn Disk>> {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        drop(Self::spawn(async move {
            while let Some(job) = queue.recv().await {
                // Half before and half after: a crash meets jobs that are done and not yet answered.
                let half = take_time() / 2;
                Self::sleep(half).await;
                job();
                Self::sleep(half).await;
            }
        }));
        Ok(Arc::new(StoreThread(jobs)))
    }
}
