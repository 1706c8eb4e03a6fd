//! One machine's namespaces: network, mounts and processes, held by a thread and a process of ours.

use std::fs;
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace whose processes all end together.
///
/// A thread lives in it and runs what has to run there ([`Namespace::call`]): sockets opened there stay in the
/// namespace, processes started there are children of this process *and* members of the namespace's process tree.
pub(crate) struct Namespace {
    name: String,
    network: OwnedFd,
    init: Pid,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Namespace {
    /// Makes one.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let (jobs, work) = channel::<Job>();
        let (born, birth) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || live(&born, &work))
            .context("starting a thread")?;
        let (network, init) = birth
            .recv()
            .map_err(|_| anyhow!("its thread ended"))
            .flatten()
            .with_context(|| format!("making the namespace of {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            network,
            init,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Runs something inside and waits for its value.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, answer) = channel();
        let job: Job = Box::new(move || drop(send.send(what())));
        let jobs = self.jobs.as_ref().expect("the thread lives until drop");
        jobs.send(job)
            .map_err(|_| anyhow!("the thread of {} ended", self.name))?;
        answer
            .recv()
            .map_err(|_| anyhow!("the thread of {} ended", self.name))?
    }

    /// The network namespace, to put a cable's end into.
    pub(crate) fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// Kills every process inside at once: the kernel ends a process namespace with its first process.
    pub(crate) fn kill(&self) -> Result<()> {
        kill(self.init, Signal::SIGKILL).with_context(|| format!("killing {}", self.name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Children of this process that ran inside have been reaped by their owner (`Host`), else this would wait for
        // them. Nothing can be done about a failure here, and the lab's end removes the namespace in any case.
        let _ = self.kill();
        let _ = waitpid(self.init, None);
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: makes the namespaces, then runs jobs until nobody can send any.
fn live(born: &Sender<Result<(OwnedFd, Pid)>>, work: &Receiver<Job>) {
    match make() {
        Ok(made) => {
            if born.send(Ok(made)).is_ok() {
                work.iter().for_each(|job| job());
            }
        }
        Err(error) => drop(born.send(Err(error))),
    }
}

/// Moves the calling thread into new namespaces and starts their first process.
fn make() -> Result<(OwnedFd, Pid)> {
    unshare(
        CloneFlags::CLONE_FS
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWPID,
    )
    .context("unshare")?;
    let network = fs::File::open("/proc/thread-self/ns/net").context("holding the network")?;
    // Usable at once: no second of duplicate address detection for link-local addresses.
    fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").context("switching DAD off")?;
    let (mut ready, said) = std::io::pipe().context("making a pipe")?;
    // SAFETY: the child calls nothing but system calls until its end.
    match unsafe { fork() }.context("forking the first process")? {
        ForkResult::Parent { child } => {
            drop(said);
            told_ready(&mut ready)?;
            Ok((network.into(), child))
        }
        ForkResult::Child => first_process(said.as_raw_fd()),
    }
}

/// Reads what the first process says before it settles: zero, or the error of a mount.
fn told_ready(ready: &mut PipeReader) -> Result<()> {
    let mut byte = [u8::MAX];
    ready
        .read_exact(&mut byte)
        .context("the first process ended")?;
    match byte[0] {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(i32::from(code))).context("mounting /proc"),
    }
}

/// Process 1 of the namespace: reaps orphans until it is killed. Only system calls: the memory is a copy of a process
/// with threads.
fn first_process(said: RawFd) -> ! {
    // The thread that forked it is the namespace's own: with it ends the namespace.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let code = own_mounts();
    // SAFETY: writes one byte from the stack to an open descriptor; then closes what other hosts hold, which nobody in
    // this process uses.
    unsafe {
        libc::write(said, std::ptr::from_ref(&code).cast(), 1);
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
    }
    let mut child = SigSet::empty();
    child.add(Signal::SIGCHLD);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&child), None);
    loop {
        while waitpid(Pid::from_raw(-1), None).is_ok() {}
        let _ = child.wait();
    }
}

/// What a machine has of its own: its processes in `/proc`, its interfaces in `/sys`, its pins in `/sys/fs/bpf`.
/// Returns 0 or an error number.
fn own_mounts() -> u8 {
    let none: Option<&str> = None;
    let file_system = |kind, place| mount(Some(kind), place, Some(kind), MsFlags::empty(), none);
    let proc = file_system("proc", "/proc");
    // Not everywhere permitted to an ordinary user, and then of no use to one either.
    let _ = file_system("sysfs", "/sys");
    let _ = file_system("bpf", "/sys/fs/bpf");
    match proc {
        // EPERM: an ordinary user inside a container, see `enter`.
        Ok(()) | Err(nix::errno::Errno::EPERM) => 0,
        Err(error) => u8::try_from(error as i32).unwrap_or(u8::MAX),
    }
}
