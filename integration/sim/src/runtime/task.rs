//! Tasks, their wakers and their handles.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A task's place in the executor and which of its tenants is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TaskId {
    pub(super) place: usize,
    pub(super) tenant: u64,
}

/// The tasks that want to be polled, in the order in which they were woken.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue(Mutex<VecDeque<TaskId>>);

impl ReadyQueue {
    pub(super) fn push(&self, task: TaskId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(task);
    }

    pub(super) fn pop(&self) -> Option<TaskId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

/// Wakes one task; a task that is already in the queue is not queued twice.
#[derive(Debug)]
pub(super) struct TaskWaker {
    task: TaskId,
    queued: AtomicBool,
    ready: Arc<ReadyQueue>,
}

impl TaskWaker {
    pub(super) fn new(task: TaskId, ready: Arc<ReadyQueue>) -> Arc<Self> {
        Arc::new(Self {
            task,
            queued: AtomicBool::new(false),
            ready,
        })
    }

    pub(super) fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Relaxed)
    }

    /// To be called before each poll.
    pub(super) fn rearm(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.task);
        }
    }
}

/// Why a task has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JoinError;

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task ended with its node's process")
    }
}

impl std::error::Error for JoinError {}

#[derive(Debug)]
enum Outcome<T> {
    Open(Option<Waker>),
    Reported(Result<T, JoinError>),
    Taken,
}

/// The way to a task's result. Dropping it leaves the task alone.
#[derive(Debug)]
pub struct JoinHandle<T>(Arc<Mutex<Outcome<T>>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Outcome::Open(waiter) = &mut *outcome {
            *waiter = Some(context.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Reported(result) => Poll::Ready(result),
            Outcome::Open(_) | Outcome::Taken => Poll::Ready(Err(JoinError)),
        }
    }
}

/// Reports the result; where it is dropped before, that there is none.
struct Reporter<T>(Arc<Mutex<Outcome<T>>>);

impl<T> Reporter<T> {
    /// The first report counts.
    fn report(&self, result: Result<T, JoinError>) {
        let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Outcome::Open(waiter) = &mut *outcome {
            let waiter = waiter.take();
            *outcome = Outcome::Reported(result);
            drop(outcome);
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}

impl<T> Drop for Reporter<T> {
    fn drop(&mut self) {
        self.report(Err(JoinError));
    }
}

/// A future that reports its result, and the handle on which it is reported.
pub(super) fn joined<F: Future>(future: F) -> (impl Future<Output = ()>, JoinHandle<F::Output>) {
    let outcome = Arc::new(Mutex::new(Outcome::Open(None)));
    let reporter = Reporter(Arc::clone(&outcome));
    let task = async move {
        let result = future.await;
        reporter.report(Ok(result));
    };
    (task, JoinHandle(outcome))
}
