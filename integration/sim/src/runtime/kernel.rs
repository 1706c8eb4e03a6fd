//! The executor itself: one ready queue, true time, happenings.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::rngs::SmallRng;

use super::clock::Rate;
use super::node::{Clocks, NodeSlot};
use super::rng::Dice;
use super::task::{JoinHandle, ReadyQueue, TaskId, TaskWaker, joined};
use super::timer::Registration;

/// A node of the executor.
pub type NodeIndex = usize;

/// The node that never stops and whose clocks are true: faults and checks run here.
pub const WORLD: NodeIndex = 0;

/// Polls at one moment of true time after which something is taken to run in a circle. A busy moment has some hundred.
const POLLS_A_MOMENT: u64 = 2_000_000;

/// Something that happens at a true time, whatever any node does.
pub type Happening = Box<dyn FnOnce()>;

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// One task. `work` is away while it is polled.
struct Task {
    tenant: u64,
    node: NodeIndex,
    work: Option<Work>,
    waker: Arc<TaskWaker>,
}

/// The executor of one run.
pub struct Kernel {
    now: Cell<u64>,
    node: Cell<NodeIndex>,
    sequence: Cell<u64>,
    ready: Arc<ReadyQueue>,
    tasks: RefCell<Vec<Option<Task>>>,
    free: RefCell<Vec<usize>>,
    nodes: RefCell<Vec<NodeSlot>>,
    happenings: RefCell<BTreeMap<(u64, u64), Happening>>,
    thaw_in_order: Cell<bool>,
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

thread_local! {
    static KERNEL: RefCell<Option<Rc<Kernel>>> = const { RefCell::new(None) };
}

/// Makes a kernel the one that tasks of this thread see; the former one is put back on drop.
struct Installed(Option<Rc<Kernel>>);

impl Drop for Installed {
    fn drop(&mut self) {
        KERNEL.set(self.0.take());
    }
}

fn with<T>(use_it: impl FnOnce(&Kernel) -> T) -> T {
    let kernel = KERNEL.with_borrow(Clone::clone);
    use_it(&kernel.expect("only called from within a task, a happening or a kernel's own methods"))
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

    fn next_sequence(&self) -> u64 {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        sequence
    }

    fn install(self: &Rc<Self>) -> Installed {
        Installed(KERNEL.replace(Some(Rc::clone(self))))
    }

    /// Does something in the name of a node.
    fn as_node<T>(&self, node: NodeIndex, what: impl FnOnce() -> T) -> T {
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
    fn remove(&self, id: TaskId) -> Option<Work> {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks[id.place].take_if(|task| task.tenant == id.tenant)?;
        self.free.borrow_mut().push(id.place);
        task.work
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
        while let Some(task) = self.ready.pop() {
            self.poll(task);
            polls += 1;
            assert!(
                polls < POLLS_A_MOMENT,
                "something runs in a circle at {} ns",
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

    /// Ends a node's process: its tasks are dropped where they stand.
    pub fn kill(&self, node: NodeIndex) {
        {
            let slot = &mut self.nodes.borrow_mut()[node];
            slot.life += 1;
            slot.dying = true;
            slot.stopped = false;
            slot.held.clear();
        }
        let tasks: Vec<TaskId> = {
            let tasks = self.tasks.borrow();
            let of_node = |(place, task): (usize, &Option<Task>)| {
                let task = task.as_ref().filter(|task| task.node == node)?;
                Some(TaskId {
                    place,
                    tenant: task.tenant,
                })
            };
            tasks.iter().enumerate().filter_map(of_node).collect()
        };
        for id in tasks {
            // A task that is being polled has its work away: `poll` drops it when it returns.
            if self.tasks.borrow()[id.place]
                .as_ref()
                .is_some_and(|task| task.work.is_some())
            {
                let work = self.remove(id);
                self.as_node(node, || drop(work));
            }
        }
        self.nodes.borrow_mut()[node].dying = false;
    }

    /// Stops a node's process as SIGSTOP does, or lets it go on. What came meanwhile comes in any order.
    pub fn set_stopped(&self, node: NodeIndex, stopped: bool) {
        self.nodes.borrow_mut()[node].stopped = stopped;
        self.release(node);
    }

    /// What came to a node that stood still is taken up in the order in which it came, not in any order.
    pub fn thaw_in_order(&self) {
        self.thaw_in_order.set(true);
    }

    /// Suspends a host, or wakes it: `CLOCK_MONOTONIC` and `CLOCK_MONOTONIC_RAW` stand still meanwhile.
    pub fn set_suspended(&self, node: NodeIndex, suspended: bool) {
        {
            let now = self.now.get();
            let slot = &mut self.nodes.borrow_mut()[node];
            if suspended && slot.suspended.is_none() {
                slot.suspended = Some((slot.clocks.mono.rate(), slot.clocks.raw.rate()));
                slot.clocks.mono.set_rate(now, Rate::STOPPED);
                slot.clocks.raw.set_rate(now, Rate::STOPPED);
            } else if !suspended && let Some((mono, raw)) = slot.suspended.take() {
                slot.clocks.mono.set_rate(now, mono);
                slot.clocks.raw.set_rate(now, raw);
            }
            slot.clocks_changed();
        }
        self.release(node);
    }

    /// Slews `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` together, from now on.
    pub fn slew(&self, node: NodeIndex, rate: Rate) {
        let now = self.now.get();
        let slot = &mut self.nodes.borrow_mut()[node];
        slot.clocks.boot.set_rate(now, rate);
        match &mut slot.suspended {
            Some((mono, _)) => *mono = rate,
            None => slot.clocks.mono.set_rate(now, rate),
        }
        slot.clocks_changed();
    }

    /// Another life of the host, with clocks that start anew. Its process must have ended.
    pub fn reboot(&self, node: NodeIndex, clocks: Clocks) {
        let slot = &mut self.nodes.borrow_mut()[node];
        slot.clocks = clocks;
        slot.suspended = None;
        slot.clocks_changed();
    }

    /// Whether a node's tasks run.
    #[must_use]
    pub fn runs(&self, node: NodeIndex) -> bool {
        self.nodes.borrow()[node].runs()
    }

    /// Looks at a node's clocks.
    pub fn clocks<T>(&self, node: NodeIndex, look: impl FnOnce(&Clocks) -> T) -> T {
        look(&self.nodes.borrow()[node].clocks)
    }

    /// Drops everything that still waits. Without this a run's tasks would be dropped where no kernel can be asked.
    pub fn tear_down(self: &Rc<Self>) {
        let _installed = self.install();
        let count = self.nodes.borrow().len();
        for node in (0..count).rev() {
            self.kill(node);
            self.nodes.borrow_mut()[node].dying = true;
        }
        let happenings = std::mem::take(&mut *self.happenings.borrow_mut());
        drop(happenings);
    }

    fn release(&self, node: NodeIndex) {
        let slot = &mut self.nodes.borrow_mut()[node];
        if slot.runs() {
            let mut held = std::mem::take(&mut slot.held);
            if !self.thaw_in_order.get() {
                slot.dice.shuffle(&mut held);
            }
            held.into_iter().for_each(|task| self.ready.push(task));
        }
    }
}

/// Something with the running kernel.
pub fn on<T>(what: impl FnOnce(&Kernel) -> T) -> T {
    with(what)
}

/// The node in whose name the present task runs.
#[must_use]
pub fn current_node() -> NodeIndex {
    with(|kernel| kernel.node.get())
}

/// Looks at the running node's clocks: true time and they.
pub fn here<T>(look: impl FnOnce(u64, &Clocks) -> T) -> T {
    with(|kernel| {
        look(
            kernel.now.get(),
            &kernel.nodes.borrow()[kernel.node.get()].clocks,
        )
    })
}

/// True time, nanoseconds from the start of the run. No node can know it.
#[must_use]
pub fn true_time() -> u64 {
    with(Kernel::now)
}

/// A task of a node.
pub fn spawn_on<F>(node: NodeIndex, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    with(|kernel| kernel.spawn(node, future))
}

/// Lets something happen at a true time (at once, where that has passed).
pub fn at(time: u64, what: impl FnOnce() + 'static) {
    with(|kernel| {
        let key = (time.max(kernel.now.get()), kernel.next_sequence());
        kernel.happenings.borrow_mut().insert(key, Box::new(what));
    });
}

/// Lets something happen after a stretch of true time.
pub fn after(delay: Duration, what: impl FnOnce() + 'static) {
    at(true_time() + had_core::time::nanos(delay), what);
}

/// Draws from the running node's random source.
pub(super) fn draw<T>(with_source: impl FnOnce(&mut SmallRng) -> T) -> T {
    with(|kernel| with_source(kernel.nodes.borrow_mut()[kernel.node.get()].dice.inner()))
}

/// Waits for a deadline on the running node: `None` where it has come.
pub(super) fn wait(
    deadline: u64,
    registered: Option<Registration>,
    waker: &Waker,
) -> Option<Registration> {
    let (former, registration) = with(|kernel| {
        let node = kernel.node.get();
        let slot = &mut kernel.nodes.borrow_mut()[node];
        let former =
            registered.and_then(|old| (old.node == node).then(|| slot.remove_timer(old.key)));
        if slot.clocks.mono.read(kernel.now.get()) >= deadline {
            return (former, None);
        }
        let key = registered.map_or_else(|| (deadline, kernel.next_sequence()), |old| old.key);
        slot.add_timer(key, waker.clone());
        (former, Some(Registration { node, key }))
    });
    drop(former);
    registration
}

/// Forgets a timer.
pub(super) fn cancel(registration: Registration) {
    let kernel = KERNEL.with_borrow(Clone::clone);
    if let Some(kernel) = kernel {
        let waker = kernel.nodes.borrow_mut()[registration.node].remove_timer(registration.key);
        drop(waker);
    }
}
