//! A watch channel that wakes its receivers in the order in which they began to wait.
//!
//! tokio's spreads its receivers over shards that it draws from a process-wide random source: two runs of one seed would
//! wake them in another order.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, Waker};

use openraft_rt::watch::{RecvError, SendError};
use openraft_rt::{OptionalSend, OptionalSync, Watch, WatchReceiver, WatchSender};

/// The [`Watch`] of the simulator.
#[derive(Debug)]
pub struct SimWatch;

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    control: Mutex<Control>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

#[derive(Debug, Default)]
struct Control {
    version: u64,
    closed: bool,
    waiting: Vec<(u64, Waker)>,
    next_waiter: u64,
}

impl<T> Shared<T> {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Seen<'_, T> {
        Seen(self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn announce(&self, change: impl FnOnce(&mut Control)) {
        let woken = {
            let mut control = self.control();
            change(&mut control);
            std::mem::take(&mut control.waiting)
        };
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// A look at the value.
#[derive(Debug)]
pub struct Seen<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Seen<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Changes the value.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.announce(|control| control.closed = true);
        }
    }
}

/// Follows the value.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    fn new(shared: &Arc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            seen,
        }
    }

    fn poll_changed(
        &mut self,
        waiter: &mut Waiter<'_, T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), RecvError>> {
        let mut control = self.shared.control();
        if control.version != self.seen {
            self.seen = control.version;
            return Poll::Ready(Ok(()));
        }
        if control.closed {
            return Poll::Ready(Err(RecvError(())));
        }
        let waker = context.waker().clone();
        if let Some(place) = waiter.place(&control) {
            control.waiting[place].1 = waker;
        } else {
            control.next_waiter += 1;
            let number = control.next_waiter;
            control.waiting.push((number, waker));
            waiter.number = Some(number);
        }
        Poll::Pending
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(&self.shared, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A receiver's place among those that wait; given up when the wait is.
struct Waiter<'a, T> {
    shared: &'a Shared<T>,
    number: Option<u64>,
}

impl<T> Waiter<'_, T> {
    fn place(&self, control: &Control) -> Option<usize> {
        control
            .waiting
            .iter()
            .position(|(number, _)| Some(*number) == self.number)
    }
}

impl<T> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        if self.number.is_some() {
            let removed = {
                let mut control = self.shared.control();
                self.place(&control)
                    .map(|place| control.waiting.remove(place))
            };
            drop(removed);
        }
    }
}

impl Watch for SimWatch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = Seen<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Shared {
            value: RwLock::new(init),
            control: Mutex::default(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
        });
        let receiver = Receiver::new(&shared, 0);
        (Sender(shared), receiver)
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<SimWatch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.load(Ordering::Relaxed) == 0 {
            return Err(SendError(value));
        }
        self.send_if_modified(|current| {
            *current = value;
            true
        });
        Ok(())
    }

    fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        let modified = modify(&mut self.0.value.write().unwrap_or_else(PoisonError::into_inner));
        if modified {
            self.0.announce(|control| control.version += 1);
        }
        modified
    }

    fn borrow_watched(&self) -> Seen<'_, T> {
        self.0.look()
    }

    fn subscribe(&self) -> Receiver<T> {
        let version = self.0.control().version;
        Receiver::new(&self.0, version)
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<SimWatch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        let shared = Arc::clone(&self.shared);
        let mut waiter = Waiter {
            shared: &shared,
            number: None,
        };
        poll_fn(|context| self.poll_changed(&mut waiter, context)).await
    }

    fn borrow_watched(&self) -> Seen<'_, T> {
        self.shared.look()
    }

    fn borrow_and_update(&mut self) -> Seen<'_, T> {
        self.seen = self.shared.control().version;
        self.shared.look()
    }
}
