//! Processes that outlive the command which started them: found, named, killed.
//!
//! This program is the subreaper of all that it starts: what loses its parent becomes its child, whatever group or
//! session it moved to. A daemon that a test forgot is found here, and only what descends from this program is.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// What a process that is just ending may take before it counts as left behind.
const ENDING: Duration = Duration::from_secs(1);

/// How often to look whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// Whether every child of this process is one to be swept.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// Takes in whatever loses its parent below this process.
///
/// # Errors
/// The kernel refuses (it has known this since Linux 3.4).
pub(crate) fn adopt() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Waits a moment for every child to end, kills the rest and names them. To be called when no command runs.
/// Does nothing in a process that does not [`adopt`].
pub(crate) fn sweep() -> Vec<String> {
    if !ADOPTS.load(Ordering::Relaxed) {
        return Vec::new();
    }
    let mine = Pid::this();
    let patience = Instant::now() + ENDING;
    let mut named = Vec::new();
    loop {
        reap();
        let children = children_of(mine, Path::new("/proc"));
        if children.is_empty() {
            return named;
        }
        if Instant::now() >= patience {
            for (child, name) in children {
                named.push(format!("{name} (process {child})"));
                // ESRCH only says that it has ended meanwhile.
                let _ = kill(child, Signal::SIGKILL);
            }
        }
        thread::sleep(POLL);
    }
}

fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status.pid().is_none() {
            return;
        }
    }
}

fn children_of(parent: Pid, proc: &Path) -> Vec<(Pid, String)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (name, its_parent) = name_and_parent(&stat)?;
            (its_parent == parent.as_raw()).then(|| (Pid::from_raw(pid), name.to_owned()))
        })
        .collect()
}

/// From `/proc/PID/stat`, proc_pid_stat(5): `pid (name) state parent …`; the name may hold spaces and parentheses.
fn name_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let parent = tail.split_whitespace().nth(1)?.parse().ok()?;
    Some((name, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_hide_the_parent() {
        assert_eq!(
            name_and_parent("7 (a) b (c)) S 42 7 7"),
            Some(("a) b (c)", 42))
        );
        assert_eq!(name_and_parent("nonsense"), None);
    }

    /// Set for the process that plays the part of the verification.
    const PLAYS: &str = "HAD_VERIFY_TEST_SWEEPS";

    #[test]
    fn a_daemon_that_left_its_group_is_named_and_killed() {
        let begun = Instant::now();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "orphans::tests::sweeping_process", "--nocapture"])
            .env(PLAYS, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("left behind: sleep (process "), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    /// The other half of the test above: a process of its own, because a sweep takes every child.
    #[test]
    fn sweeping_process() {
        if std::env::var_os(PLAYS).is_none() {
            return;
        }
        adopt().unwrap();
        let script = "setsid sleep 600 >/dev/null 2>&1 &";
        assert!(
            std::process::Command::new("sh")
                .args(["-c", script])
                .status()
                .unwrap()
                .success()
        );
        let named = sweep();
        println!("left behind: {}", named.join(", "));
        assert!(children_of(Pid::this(), Path::new("/proc")).is_empty());
    }
}
