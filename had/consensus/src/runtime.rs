//! What the consensus runs on: an openraft runtime whose clock can be placed on `CLOCK_MONOTONIC`, and a place for disk work.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;

use had_core::time::MonoTime;
use nix::time::{ClockId, clock_gettime};
use openraft_rt::AsyncRuntime;
use openraft_rt::deterministic_rng::DeterministicRng;

/// The production runtime: tokio, the kernel's clock, a thread for the disk.
pub type System = openraft_rt_tokio::TokioRuntime;

/// Tasks, timers, channels and random numbers (openraft's part), the clock and the disk (ours).
pub trait Runtime: AsyncRuntime {
    /// `CLOCK_MONOTONIC` of the node whose task is running. It must go at the rate of the runtime's instants.
    fn mono_now() -> MonoTime;

    /// A place for the disk work of one store.
    ///
    /// # Errors
    /// Where none can be had (no thread could be started).
    fn disk() -> io::Result<Arc<dyn Disk>>;
}

/// A piece of disk work; it may block for as long as an fsync takes.
pub type Job = Box<dyn FnOnce() + Send>;

/// Does the disk work of one store.
///
/// Jobs are done in the order in which they are given, each complete before the next begins. A job that is dropped
/// undone counts as a failed disk.
pub trait Disk: Send + Sync + 'static {
    /// Does the job now or later.
    fn run(&self, job: Job);
}

/// Does every job at once, in the caller: for a store in memory and for simulated disks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Disk for Inline {
    fn run(&self, job: Job) {
        job();
    }
}

/// Does the jobs on a thread of its own, so that no fsync ever holds up a heartbeat.
///
/// The queue has no bound of its own: the engine is its only source, and waits for the answers of what it gave.
#[derive(Debug)]
pub struct Thread {
    jobs: mpsc::Sender<Job>,
}

impl Thread {
    /// Starts the thread; it ends when this value is dropped and the queue is empty.
    ///
    /// # Errors
    /// Where the operating system refuses a thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("had-store".into())
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job();
                }
            })?;
        Ok(Self { jobs })
    }
}

impl Disk for Thread {
    fn run(&self, job: Job) {
        // Where the thread is gone the job comes back inside the error and is dropped, which its giver notices.
        drop(self.jobs.send(job));
    }
}

impl Runtime for System {
    fn mono_now() -> MonoTime {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .expect("Linux has had CLOCK_MONOTONIC since 2.6, and the pointer is valid");
        let part =
            |value: i64| u64::try_from(value).expect("the monotonic clock is never negative");
        MonoTime(part(now.tv_sec()) * 1_000_000_000 + part(now.tv_nsec()))
    }

    fn disk() -> io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(Thread::start()?))
    }
}

impl<R: Runtime> Runtime for DeterministicRng<R> {
    fn mono_now() -> MonoTime {
        R::mono_now()
    }

    fn disk() -> io::Result<Arc<dyn Disk>> {
        R::disk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_does_jobs_in_order() {
        let disk = Thread::start().unwrap();
        let (done, seen) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            disk.run(Box::new(move || done.send(number).unwrap()));
        }
        drop(done);
        assert_eq!(
            seen.iter().collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_clock_goes_with_the_instants_of_the_runtime() {
        let (mono, instant) = (System::mono_now(), std::time::Instant::now());
        while instant.elapsed().as_millis() < 5 {
            std::hint::spin_loop();
        }
        assert!(System::mono_now().since(mono) >= instant.elapsed().mul_f64(0.5));
    }
}
