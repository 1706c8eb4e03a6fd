//! What can befall a node: its process killed or stopped, its host asleep or booted, its clocks slewed.

use std::rc::Rc;

use super::clock::Rate;
use super::kernel::{Kernel, NodeIndex, Task};
use super::node::Clocks;
use super::task::TaskId;

impl Kernel {
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

    /// Whether its process is stopped.
    #[must_use]
    pub fn is_stopped(&self, node: NodeIndex) -> bool {
        self.nodes.borrow()[node].stopped
    }

    /// Whether a host is suspended.
    #[must_use]
    pub fn is_suspended(&self, node: NodeIndex) -> bool {
        self.nodes.borrow()[node].suspended.is_some()
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
