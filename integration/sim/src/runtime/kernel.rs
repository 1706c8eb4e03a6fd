//! The executor itself: one ready queue, true time, happenings.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::node::{Clocks, NodeSlot};
use super::rng::Dice;
use super::task::{JoinHandle, ReadyQueue, TaskId, TaskWaker, joined};

/// A node of the executor.
pub type NodeIndex = usize;

/// The node that never stops and whose clocks are true: faults and checks run here.
pub const WORLD: NodeIndex = 0;

/// Polls at one moment of true time after which something is taken to run in a circle. A busy moment has some hundred.
const POLLS_A_MOMENT: u64 = 2_000_000;

/// So many polls show who is in such a circle.
const CIRCLE: u64 = 1_000;

/// Something that happens at a true time, whatever any node does.
pub(super) type Happening = Box<dyn FnOnce()>;

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// One task. `work` is away while it is polled.
pub(super) struct Task {
    pub(super) tenant: u64,
    pub(super) node: NodeIndex,
    pub(super) work: Option<Work>,
    waker: Arc<TaskWaker>,
    /// Its future's type, for whoever looks for a task that never rests.
    what: &'static str,
}

/// The executor of one run.
pub struct Kernel {
    pub(super) now: Cell<u64>,
    pub(super) node: Cell<NodeIndex>,
    pub(super) sequence: Cell<u64>,
    pub(super) ready: Arc<ReadyQueue>,
    pub(super) tasks: RefCell<Vec<Option<Task>>>,
    free: RefCell<Vec<usize>>,
    pub(super) nodes: RefCell<Vec<NodeSlot>>,
    pub(super) happenings: RefCell<BTreeMap<(u64, u64), Happening>>,
    pub(super) thaw_in_order: Cell<bool>,
    seed: u64,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("seed", &self.seed)
            .field("now", &self.now.get())
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// An executor whose only node is [`WORLD`].
    #[must_use]
    pub fn new(seed: u64) -> Rc<Self> {
        let kernel = Rc::new(Self {
            now: Cell::new(0),
            node: Cell::new(WORLD),
            sequence: Cell::new(0),
            ready: Arc::default(),
            tasks: RefCell::default(),
            free: RefCell::default(),
            nodes: RefCell::default(),
            happenings: RefCell::default(),
            thaw_in_order: Cell::new(false),
            seed,
        });
        kernel.add_node(Clocks::ideal());
        kernel
    }

    /// A further node.
    pub fn add_node(&self, clocks: Clocks) -> NodeIndex {
        let mut nodes = self.nodes.borrow_mut();
        let index = nodes.len();
        nodes.push(NodeSlot::new(
            clocks,
            Dice::new(self.seed, 1_000 + index as u64),
        ));
        index
    }

    /// True time, nanoseconds from the start of the run.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    pub(super) fn next_sequence(&self) -> u64 {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        sequence
    }

    /// Does something in the name of a node.
    pub(super) fn as_node<T>(&self, node: NodeIndex, what: impl FnOnce() -> T) -> T {
        let former = self.node.replace(node);
        let result = what();
        self.node.set(former);
        result
    }

    /// A task of a node; nothing is started on a node whose process is being torn down.
    pub fn spawn<F>(&self, node: NodeIndex, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (task, handle) = joined(future);
        if self.nodes.borrow()[node].dying {
            return handle;
        }
        let work: Work = Box::pin(task);
        let tenant = self.next_sequence();
        let mut tasks = self.tasks.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            tasks.push(None);
            tasks.len() - 1
        });
        let waker = TaskWaker::new(TaskId { place, tenant }, Arc::clone(&self.ready));
        Waker::from(Arc::clone(&waker)).wake();
        tasks[place] = Some(Task {
            tenant,
            node,
            work: Some(work),
            waker,
            what: std::any::type_name::<F>(),
        });
        handle
    }

    /// Polls a task, unless it is gone or its node does not run.
    fn poll(&self, id: TaskId) {
        let (mut work, waker, node, life) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks[id.place]
                .as_mut()
                .filter(|task| task.tenant == id.tenant)
            else {
                return;
            };
            let slot = &mut self.nodes.borrow_mut()[task.node];
            if !slot.runs() {
                slot.held.push(id);
                return;
            }
            let work = task
                .work
                .take()
                .expect("a task is never polled from within its own poll");
            (work, Arc::clone(&task.waker), task.node, slot.life)
        };
        waker.rearm();
        let waker = Waker::from(waker);
        let done = self.as_node(node, || {
            work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
        });
        // Where the task ended its own process, it is not put back but dropped with the others.
        if done || self.nodes.borrow()[node].life != life {
            self.remove(id);
            self.as_node(node, || drop(work));
        } else if let Some(task) = self.tasks.borrow_mut()[id.place].as_mut() {
            task.work = Some(work);
        }
    }

    /// Frees a task's place; its work is returned so that it is dropped outside of every borrow.
    pub(super) fn remove(&self, id: TaskId) -> Option<Work> {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks[id.place].take_if(|task| task.tenant == id.tenant)?;
        self.free.borrow_mut().push(id.place);
        task.work
    }

    /// Does something before the run, as a happening would.
    pub fn within<T>(self: &Rc<Self>, what: impl FnOnce() -> T) -> T {
        let _installed = self.install();
        self.as_node(WORLD, what)
    }

    /// Runs until true time `end`, or until `enough` says so (asked before every step of time).
    pub fn run_until(self: &Rc<Self>, end: u64, enough: impl Fn() -> bool) {
        let _installed = self.install();
        loop {
            self.drain();
            if enough() || !self.step(end) {
                return;
            }
        }
    }

    fn drain(&self) {
        let mut polls = 0;
        let mut circle = BTreeSet::new();
        while let Some(task) = self.ready.pop() {
            self.poll(task);
            polls += 1;
            if polls >= POLLS_A_MOMENT - CIRCLE {
                let tasks = self.tasks.borrow();
                circle.extend(
                    tasks[task.place]
                        .as_ref()
                        .map(|task| (task.node, task.what)),
                );
            }
            assert!(
                polls < POLLS_A_MOMENT,
                "something runs in a circle at {} ns: {circle:#?}",
                self.now.get()
            );
        }
    }

    /// Goes on to the next timer or happening; `false` where there is none until `end`.
    fn step(&self, end: u64) -> bool {
        let happening = self.happenings.borrow().keys().next().map(|(at, _)| *at);
        let timer = {
            let mut nodes = self.nodes.borrow_mut();
            nodes.iter_mut().filter_map(NodeSlot::next_timer).min()
        };
        let next = match (happening, timer) {
            (Some(happening), Some(timer)) => happening.min(timer),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => u64::MAX,
        };
        if next > end {
            self.now.set(end.max(self.now.get()));
            return false;
        }
        self.now.set(next.max(self.now.get()));
        if happening == Some(next) {
            let first = self.happenings.borrow_mut().pop_first();
            if let Some((_, what)) = first {
                self.as_node(WORLD, what);
            }
        } else {
            self.fire_timers();
        }
        true
    }

    fn fire_timers(&self) {
        let count = self.nodes.borrow().len();
        for node in 0..count {
            while let Some(waker) = self.pop_due(node) {
                waker.wake();
            }
        }
    }

    fn pop_due(&self, node: NodeIndex) -> Option<Waker> {
        self.nodes.borrow_mut()[node].pop_due(self.now.get())
    }

    /// Drives a future that lives outside of the executor, as [`WORLD`].
    ///
    /// # Panics
    /// Where the future waits and nothing is left that could wake it.
    pub fn block_on<F: Future>(self: &Rc<Self>, future: F) -> F::Output {
        let _installed = self.install();
        let mut future = std::pin::pin!(future);
        let flag = TaskWaker::new(
            TaskId {
                place: usize::MAX,
                tenant: 0,
            },
            Arc::default(),
        );
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            flag.rearm();
            let polled = self.as_node(WORLD, || {
                future.as_mut().poll(&mut Context::from_waker(&waker))
            });
            if let Poll::Ready(output) = polled {
                return output;
            }
            while !flag.is_queued() {
                self.drain();
                assert!(
                    flag.is_queued() || self.step(u64::MAX - 1),
                    "the future waits, and nothing is left that could wake it"
                );
            }
        }
    }
}
