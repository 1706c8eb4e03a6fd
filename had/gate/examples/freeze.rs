//! Freezes the process that renews a lease, and measures how long the address goes on answering.
//!
//! `cargo run -p had-gate --example freeze [RUNS]` as root, or below `unshare -Urn` (nftables alone). Everything
//! happens in network namespaces that end with it.
//!
//! In each run a process renews a 300 ms lease as fast as it can, a client asks the address without a pause, and
//! SIGSTOP comes at some moment of the second renewal interval or later. Half a second after the deadline the process
//! is thawed: it finishes the renewal that it was in, which is late, and ends. `thawed` counts answers after that.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use had_gate::Gate;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

#[path = "../tests/kernel/frames.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the conformance tests"
)]
mod frames;
#[path = "../tests/kernel/lab.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the conformance tests"
)]
mod lab;
#[path = "../tests/kernel/service.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the conformance tests"
)]
mod service;
#[path = "../tests/kernel/wire.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the conformance tests"
)]
mod wire;

use lab::{Kind, Lab, add_vips, boot_in, boot_ns, in_user_namespace};
use service::{Client, Echo};

const LEASE: Duration = Duration::from_millis(300);
const RUNS: usize = 25;
const MS: f64 = 1e6;

fn main() {
    // On a busy machine the client would measure its own waiting; an ordinary user does.
    // SAFETY: a plain system call.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    println!(
        "last answer after the last deadline that a renewal asked for, ms; median renewal, us"
    );
    println!(
        "{:<8}{:>6}{:>10}{:>10}{:>10}{:>9}{:>10}",
        "gate", "runs", "min", "p50", "max", "thawed", "renewal"
    );
    let kinds = [Kind::Tcx, Kind::Clsact, Kind::Nft];
    for kind in kinds
        .into_iter()
        .filter(|kind| *kind == Kind::Nft || !in_user_namespace())
    {
        lab::tell(kind, measure);
    }
}

fn measure(lab: &Lab) {
    let runs = std::env::args()
        .nth(1)
        .map_or(RUNS, |text| text.parse().expect("a number of runs"));
    let renewal = renewal_time(&mut lab.open());
    add_vips();
    let _echo = Echo::start();
    let [client, _] = Client::for_both_families(lab, 0);
    let shared = Shared::new();
    let mut late = 0;
    let mut after: Vec<f64> = (0..runs)
        .map(|run| {
            let (last, answers) = freeze_once(lab, &client, shared, run);
            late += answers;
            last
        })
        .collect();
    after.sort_by(f64::total_cmp);
    let name = format!("{:?}", lab.kind).to_lowercase();
    let (min, p50, max) = (after[0], after[runs / 2], after[runs - 1]);
    println!("{name:<8}{runs:>6}{min:>10.2}{p50:>10.2}{max:>10.2}{late:>9}{renewal:>10.2}");
}

/// The median of a thousand, microseconds.
fn renewal_time(gate: &mut Gate) -> f64 {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let (until, start) = (boot_in(LEASE), Instant::now());
            gate.set(0, until).expect("the kernel obeys");
            start.elapsed()
        })
        .collect();
    times.sort();
    times[500].as_secs_f64() * 1e6
}

/// Returns when the last answer came, relative to the last deadline, and how many came after the thaw.
fn freeze_once(lab: &Lab, client: &Client, shared: &Shared, run: usize) -> (f64, usize) {
    shared.end.store(false, Ordering::SeqCst);
    let writer = start_writer(lab, shared);
    while !client.is_answered() {}
    let freeze_at = boot_ns() + 20_000_000 + (run as u64 * 7_919_113) % 30_000_000;
    let mut last = boot_ns();
    while boot_ns() < freeze_at {
        last = client.answered_at().unwrap_or(last);
    }
    kill(writer, Signal::SIGSTOP).expect("the writer runs");
    waitpid(writer, Some(WaitPidFlag::WUNTRACED)).expect("the writer stops");
    let deadline = shared.until.load(Ordering::SeqCst);
    while boot_ns() < deadline + 500_000_000 {
        last = client.answered_at().unwrap_or(last);
    }
    shared.end.store(true, Ordering::SeqCst);
    kill(writer, Signal::SIGCONT).expect("the writer is there");
    waitpid(writer, None).expect("the writer ends");
    let watched_until = boot_in(LEASE);
    let mut answers = 0;
    while boot_ns() < watched_until {
        answers += usize::from(client.is_answered());
    }
    ((last as f64 - deadline as f64) / MS, answers)
}

/// What the two processes share.
struct Shared {
    /// The deadline of the renewal that was begun last.
    until: AtomicU64,
    end: AtomicBool,
}

impl Shared {
    fn new() -> &'static Self {
        let length = NonZeroUsize::new(4096).expect("not zero");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh page of zeroes, valid for both fields, that is never unmapped.
        unsafe {
            let page: NonNull<Self> =
                mmap_anonymous(None, length, protection, MapFlags::MAP_SHARED)
                    .expect("a page of memory")
                    .cast();
            page.as_ref()
        }
    }
}

fn start_writer(lab: &Lab, shared: &Shared) -> Pid {
    // SAFETY: the child uses nothing of other threads (glibc's allocator is safe to use after fork).
    match unsafe { fork() }.expect("room for a process") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let mut gate = lab.open();
            while !shared.end.load(Ordering::SeqCst) {
                let until = boot_in(LEASE);
                shared.until.store(until, Ordering::SeqCst);
                gate.set(0, until).expect("the kernel obeys");
                thread::sleep(Duration::from_micros(20));
            }
            std::process::exit(0)
        }
    }
}
