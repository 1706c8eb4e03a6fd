//! The executor's promises about nodes: who runs, whose clock counts, what dies.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use openraft_rt::{AsyncRuntime, Instant};

use super::{Clock, Clocks, Kernel, NodeIndex, Rate, SimInstant, SimRuntime, true_time};

const MS: u64 = 1_000_000;

fn slow(ppm: i64) -> Clocks {
    let clock = Clock::new(0, 0, Rate::ppm(ppm));
    Clocks {
        boot: clock.clone(),
        mono: clock.clone(),
        raw: clock,
    }
}

/// A task that notes the true time every 10 ms of its node's clock.
fn ticking(kernel: &Kernel, node: NodeIndex) -> Rc<RefCell<Vec<u64>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = Rc::clone(&seen);
    kernel.spawn(node, async move {
        loop {
            SimRuntime::sleep(Duration::from_millis(10)).await;
            notes.borrow_mut().push(true_time() / MS);
        }
    });
    seen
}

#[test]
fn timers_follow_the_clock_of_their_node_also_when_its_rate_changes() {
    let kernel = Kernel::new(1);
    let node = kernel.add_node(slow(-500_000));
    let seen = ticking(&kernel, node);
    kernel.run_until(40 * MS, || false);
    assert_eq!(*seen.borrow(), [20, 40]);
    kernel.slew(node, Rate::TRUE);
    kernel.run_until(60 * MS, || false);
    assert_eq!(*seen.borrow(), [20, 40, 50, 60]);
    kernel.tear_down();
}

#[test]
fn a_frozen_nodes_timers_fire_on_thaw_and_its_clock_has_gone_on() {
    let kernel = Kernel::new(1);
    let node = kernel.add_node(Clocks::ideal());
    let seen = ticking(&kernel, node);
    kernel.run_until(15 * MS, || false);
    kernel.set_stopped(node, true);
    kernel.run_until(55 * MS, || false);
    assert_eq!(*seen.borrow(), [10]);
    kernel.set_stopped(node, false);
    kernel.run_until(66 * MS, || false);
    assert_eq!(*seen.borrow(), [10, 55, 65]);
    kernel.tear_down();
}

#[test]
fn in_suspend_only_boottime_goes_on() {
    let kernel = Kernel::new(1);
    let node = kernel.add_node(Clocks::ideal());
    let seen = ticking(&kernel, node);
    kernel.run_until(15 * MS, || false);
    kernel.set_suspended(node, true);
    kernel.run_until(115 * MS, || false);
    kernel.set_suspended(node, false);
    kernel.run_until(120 * MS, || false);
    assert_eq!(
        *seen.borrow(),
        [10, 120],
        "the timer had 5 ms to go when the host fell asleep"
    );
    let read = kernel.clocks(node, |clocks| {
        (
            clocks.boot.read(120 * MS),
            clocks.mono.read(120 * MS),
            clocks.raw.read(120 * MS),
        )
    });
    assert_eq!(read, (120 * MS, 20 * MS, 20 * MS));
    kernel.tear_down();
}

#[test]
fn a_killed_process_runs_no_further_line_and_others_go_on() {
    let kernel = Kernel::new(1);
    let (first, second) = (
        kernel.add_node(Clocks::ideal()),
        kernel.add_node(Clocks::ideal()),
    );
    let (dead, alive) = (ticking(&kernel, first), ticking(&kernel, second));
    kernel.run_until(15 * MS, || false);
    kernel.kill(first);
    let next_life = ticking(&kernel, first);
    kernel.run_until(30 * MS, || false);
    assert_eq!(
        (
            dead.borrow().len(),
            alive.borrow().len(),
            next_life.borrow().len()
        ),
        (1, 3, 1)
    );
    kernel.tear_down();
}

#[test]
fn a_task_waiting_for_a_killed_one_learns_it() {
    let kernel = Kernel::new(1);
    let node = kernel.add_node(Clocks::ideal());
    let handle = kernel.spawn(node, std::future::pending::<()>());
    kernel.run_until(MS, || false);
    kernel.kill(node);
    assert!(kernel.block_on(handle).is_err());
    kernel.tear_down();
}

#[test]
fn the_same_seed_gives_the_same_random_numbers_and_each_node_its_own() {
    let draw = |seed| {
        let kernel = Kernel::new(seed);
        let nodes = [
            kernel.add_node(Clocks::ideal()),
            kernel.add_node(Clocks::ideal()),
        ];
        let drawn = nodes.map(|node| {
            let handle = kernel.spawn(node, async {
                use rand::RngExt;
                SimRuntime::thread_rng().random::<u64>()
            });
            kernel.block_on(handle).unwrap()
        });
        kernel.tear_down();
        drawn
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    assert_ne!(draw(7)[0], draw(7)[1]);
}

#[test]
fn an_instant_is_the_nodes_monotonic_clock() {
    let kernel = Kernel::new(1);
    let node = kernel.add_node(slow(-80_000));
    let handle = kernel.spawn(node, async {
        SimRuntime::sleep(Duration::from_millis(92)).await;
        (SimInstant::now().0 / MS, true_time() / MS)
    });
    assert_eq!(kernel.block_on(handle), Ok((92, 100)));
    kernel.tear_down();
}
