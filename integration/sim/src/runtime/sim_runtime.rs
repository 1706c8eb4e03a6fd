//! The executor as openraft wants it.

use std::future::Future;
use std::io;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::rc::Rc;
use std::time::Duration;

use had_core::time::nanos;
use openraft_rt::{AsyncRuntime, Instant, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot};

use super::context;
use super::kernel::Kernel;
use super::rng::NodeRng;
use super::task::{JoinError, JoinHandle};
use super::timer::{Elapsed, Sleep, Timeout};
use super::watch::SimWatch;

/// tokio's mutex serves in the order of asking and needs none of tokio's runtimes.
pub type SimMutex<T> = TokioMutex<T>;

/// A reading of the running node's `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SimInstant(pub u64);

impl Instant for SimInstant {
    fn now() -> Self {
        Self(context::here(|now, clocks| clocks.mono.read(now)))
    }
}

impl Add<Duration> for SimInstant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for SimInstant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for SimInstant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for SimInstant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl SubAssign<Duration> for SimInstant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// The deterministic executor, seen through openraft's trait: tasks, sleeps and random numbers belong to the node in whose
/// name the caller runs.
#[derive(Debug)]
pub struct SimRuntime(Rc<Kernel>);

impl AsyncRuntime for SimRuntime {
    type JoinError = JoinError;
    type JoinHandle<T: OptionalSend + 'static> = JoinHandle<T>;
    type Sleep = Sleep;
    type Instant = SimInstant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = Timeout<T>;
    type ThreadLocalRng = NodeRng;
    type Mpsc = TokioMpsc;
    type Watch = SimWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = SimMutex<T>;

    fn spawn<T>(future: T) -> JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        context::spawn_on(context::current_node(), future)
    }

    fn sleep(duration: Duration) -> Sleep {
        Self::sleep_until(SimInstant::now() + duration)
    }

    fn sleep_until(deadline: SimInstant) -> Sleep {
        Sleep::until(deadline.0)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Timeout<F> {
        Self::timeout_at(SimInstant::now() + duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: SimInstant,
        future: F,
    ) -> Timeout<F> {
        Timeout::new(deadline.0, future)
    }

    /// A panic ends the run, as it ends the daemon.
    fn is_panic(_error: &JoinError) -> bool {
        false
    }

    fn thread_rng() -> NodeRng {
        NodeRng
    }

    fn new(_threads: usize) -> Self {
        Self(Kernel::new(0))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    /// There is one thread: the function runs as a task of its own.
    fn spawn_blocking<F, T>(function: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = Self::spawn(async move { function() });
        async move { task.await.map_err(io::Error::other) }
    }
}

impl Drop for SimRuntime {
    fn drop(&mut self) {
        self.0.tear_down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openrafts_own_suite_passes_on_the_simulated_runtime() {
        openraft_rt::testing::Suite::<SimRuntime>::test_all();
    }
}
