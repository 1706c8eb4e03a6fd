//! The kernel that runs on this thread, for tasks that cannot hold it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use rand::rngs::SmallRng;

use super::kernel::{Kernel, NodeIndex};
use super::node::Clocks;
use super::task::JoinHandle;
use super::timer::Registration;

thread_local! {
    static KERNEL: RefCell<Option<Rc<Kernel>>> = const { RefCell::new(None) };
}

/// Makes a kernel the one that tasks of this thread see; the former one is put back on drop.
pub(super) struct Installed(Option<Rc<Kernel>>);

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
    pub(super) fn install(self: &Rc<Self>) -> Installed {
        Installed(KERNEL.replace(Some(Rc::clone(self))))
    }
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
