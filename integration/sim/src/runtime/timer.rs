//! Waiting on a node's `CLOCK_MONOTONIC`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::context;

/// Ends when the node's monotonic clock shows the deadline or more.
#[derive(Debug)]
pub struct Sleep {
    deadline: u64,
    registered: Option<Registration>,
}

/// Where a timer stands in the executor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registration {
    pub(super) node: usize,
    pub(super) key: (u64, u64),
}

impl Sleep {
    /// Until the running node's monotonic clock shows so many nanoseconds.
    #[must_use]
    pub fn until(deadline: u64) -> Self {
        Self {
            deadline,
            registered: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let registered = self.registered.take();
        self.registered = context::wait(self.deadline, registered, context.waker());
        if self.registered.is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(registration) = self.registered.take() {
            context::cancel(registration);
        }
    }
}

/// The time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}

/// A future with a deadline. The future is asked first, so a result in time counts.
#[derive(Debug)]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F> Timeout<F> {
    pub(super) fn new(deadline: u64, future: F) -> Self {
        Self {
            future: Box::pin(future),
            sleep: Sleep::until(deadline),
        }
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep)
            .poll(context)
            .map(|()| Err(Elapsed))
    }
}
