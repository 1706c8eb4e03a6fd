//! From an ordinary program into the lab process: root of its own namespaces, and the end of everything below it.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, fork, geteuid, getppid, setgroups, setresgid, setresuid,
};

/// Where the lab keeps its files: a tmpfs that only the lab process and its hosts see. Short, because a Unix socket's
/// path has room for 107 bytes.
pub const FILES: &str = "/run";

/// The exit code of a program that could not make its lab.
pub const CANNOT: u8 = 77;

/// How the supervised body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Killed(Signal),
    /// It was ended when its time had passed.
    TimedOut,
}

/// How to run a body.
#[derive(Debug, Default)]
pub struct Terms {
    /// End it when this has passed.
    pub limit: Option<Duration>,
    /// Where its output goes instead of this program's.
    pub output: Option<OwnedFd>,
    /// Become this ordinary user first (only root can).
    pub user: Option<u32>,
}

/// Runs `body` as the lab process and ends with its exit code. To be called before the program has started any thread.
pub fn enter(body: impl FnOnce() -> Result<ExitCode>) -> ExitCode {
    match supervise(Terms::default(), body) {
        Ok(Ended::Exited(code)) => ExitCode::from(code),
        Ok(Ended::Killed(signal)) => {
            eprintln!("error: the lab was ended by {signal}");
            ExitCode::FAILURE
        }
        Ok(Ended::TimedOut) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `body` in a lab process of its own and waits for its end.
///
/// # Errors
/// Where this program already has threads, or cannot fork.
pub fn supervise(terms: Terms, body: impl FnOnce() -> Result<ExitCode>) -> Result<Ended> {
    let threads = fs::read_dir("/proc/self/task")
        .context("counting threads")?
        .count();
    ensure!(
        threads == 1,
        "a lab process can only be made before the first thread ({threads} run)"
    );
    let program = nix::unistd::getpid();
    // SAFETY: this process has one thread, so the child's memory is consistent.
    match unsafe { fork() }.context("forking the lab's supervisor")? {
        ForkResult::Parent { child } => {
            drop(terms.output);
            wait_for(child, terms.limit)
        }
        ForkResult::Child => {
            let code = match become_supervisor(program, &terms) {
                Ok(mapped) => hold(mapped, body),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    CANNOT
                }
            };
            std::process::exit(i32::from(code))
        }
    }
}

/// Waits for the supervisor; at the limit it is killed, and with it the lab.
fn wait_for(child: Pid, limit: Option<Duration>) -> Result<Ended> {
    let start = Instant::now();
    loop {
        let flags = limit.map(|_| WaitPidFlag::WNOHANG);
        match waitpid(child, flags).context("waiting for the lab")? {
            WaitStatus::Exited(_, code) => {
                return Ok(Ended::Exited(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            WaitStatus::Signaled(_, signal, _) => return Ok(Ended::Killed(signal)),
            _ if limit.is_some_and(|limit| start.elapsed() > limit) => {
                kill(child, Signal::SIGKILL).context("ending the lab")?;
                waitpid(child, None).context("waiting for the lab")?;
                return Ok(Ended::TimedOut);
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Ends with the program, writes where it should, and gets namespaces of its own. Says whether they are an ordinary
/// user's.
fn become_supervisor(program: Pid, terms: &Terms) -> Result<bool> {
    if let Some(output) = &terms.output {
        for standard in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: both descriptors are open, and the standard ones belong to this process alone.
            Errno::result(unsafe { libc::dup2(output.as_raw_fd(), standard) })?;
        }
    }
    if let Some(user) = terms.user {
        let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
        setgroups(&[])
            .and_then(|()| setresgid(gid, gid, gid))
            .context("leaving root's groups")?;
        setresuid(uid, uid, uid).context("becoming an ordinary user")?;
        // A process that changed its user is not dumpable, and its own files in /proc are root's.
        prctl::set_dumpable(true).context("owning the own files in /proc")?;
    }
    // After the change of user, which clears it.
    prctl::set_pdeathsig(Signal::SIGKILL).context("ending with the program")?;
    if getppid() != program {
        bail!("the program ended while its lab was made");
    }
    own_namespaces()
}

/// Mount, process and network namespaces; where that is not permitted, inside a user namespace in which this user is
/// root.
fn own_namespaces() -> Result<bool> {
    let wanted = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    let (uid, gid) = (geteuid(), nix::unistd::getegid());
    match unshare(wanted) {
        Ok(()) => return Ok(false),
        Err(Errno::EPERM) => {}
        Err(error) => return Err(error).context(IMPOSSIBLE),
    }
    unshare(CloneFlags::CLONE_NEWUSER).context(IMPOSSIBLE)?;
    // user_namespaces(7): setgroups is denied first, then one id of each kind may be mapped without privileges.
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).with_context(|| format!("writing {file}: {IMPOSSIBLE}"))?;
    }
    unshare(wanted).context(IMPOSSIBLE)?;
    Ok(true)
}

/// What a person can do about it.
const IMPOSSIBLE: &str = "no namespaces can be made here: run this as root, or as a user who may make user namespaces \
     (sysctl user.max_user_namespaces above 0, and where they exist kernel.unprivileged_userns_clone=1 and \
     kernel.apparmor_restrict_unprivileged_userns=0)";

/// Forks the lab process and waits for it.
fn hold(mapped: bool, body: impl FnOnce() -> Result<ExitCode>) -> u8 {
    // SAFETY: the supervisor has one thread, so the child's memory is consistent.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).unwrap_or(u8::MAX),
            _ => 1,
        },
        Ok(ForkResult::Child) => {
            let outcome = catch_unwind(AssertUnwindSafe(|| prepare(mapped).and_then(|()| body())));
            let code = match outcome {
                Ok(Ok(code)) => u8::from(code != ExitCode::SUCCESS),
                Ok(Err(error)) => {
                    eprintln!("error: {error:#}");
                    1
                }
                Err(_) => 101,
            };
            std::process::exit(i32::from(code))
        }
        Err(error) => {
            eprintln!("error: forking the lab: {error}");
            CANNOT
        }
    }
}

/// Makes the lab process at home: ends with its supervisor, sees its own processes, has a place for files.
fn prepare(mapped: bool) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("ending with the supervisor")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("keeping mounts to ourselves")?;
    let seen = mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none);
    // Inside a container an ordinary user may not: the processes are then seen under their outer numbers.
    if let Err(error) = seen
        && !mapped
    {
        return Err(error).context("mounting /proc");
    }
    mount(
        Some("rig"),
        FILES,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .with_context(|| format!("mounting a tmpfs on {FILES}"))
}

/// Whether the calling process is root outside of any user namespace: what needs BPF works only then.
///
/// # Errors
/// Where `/proc/self/uid_map` cannot be read.
pub fn is_real_root() -> io::Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    Ok(geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"]))
}
