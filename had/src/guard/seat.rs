//! One guard for each data directory and network namespace: that of the latest life.
//!
//! A guard whose daemon was killed watches until the lease ends. A new life of the daemon may have renewed it by then, in
//! memory that the former guard does not see: so the new guard ends it, and where the new one is late, the daemon does. A guard
//! that is so late that its daemon was succeeded meanwhile finds a later life's number in the file, and ends itself.
//!
//! The seat is one byte of a file beside the store, locked (fcntl(2), `F_SETLK`): the kernel says who holds it, and lets go of
//! it with the process. Which byte says the network namespace, whose addresses it is about. A data directory that is moved to
//! another file system within a lease leaves the former guard behind: it takes addresses off once, and the daemon puts them back.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The file's name in the data directory.
pub(super) const FILE: &str = "guard.lock";
/// The option of the guard's command line that says whose it is.
pub(super) const LIFE: &str = "--life";
/// A process that was killed is gone within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// The seat, held until this is dropped or the process ends.
pub(super) struct Seat {
    _file: File,
}

/// Why a guard has no seat.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unseated {
    /// Its daemon is gone, and was succeeded.
    #[error("a later life of the daemon has begun")]
    Superseded,
    /// Nobody knows whether there is another.
    #[error("a guard of a killed life may be there, and take addresses off once: {0}")]
    Unknown(#[from] io::Error),
}

impl Seat {
    /// Takes the seat for the guard of this life, from a former guard where there is one.
    ///
    /// # Errors
    /// Where a later life has begun, the file cannot be had, or a process has it that is no former guard or does not go.
    pub(super) fn take(path: &Path, life: u64) -> Result<Self, Unseated> {
        Self::take_from(path, life, life_of)
    }

    fn take_from(path: &Path, life: u64, life_of: LifeOf) -> Result<Self, Unseated> {
        let (file, byte) = open(path)?;
        let since = Instant::now();
        loop {
            if latest(&file)? > life {
                return Err(Unseated::Superseded);
            }
            match fcntl(&file, FcntlArg::F_SETLK(&byte)) {
                Ok(_) if latest(&file)? > life => return Err(Unseated::Superseded),
                Ok(_) => return Ok(Self { _file: file }),
                Err(Errno::EAGAIN | Errno::EACCES) if since.elapsed() <= PATIENCE => {
                    dismiss(&file, byte, life, life_of)?;
                    sleep(PAUSE);
                }
                Err(error) => return Err(Unseated::Unknown(error.into())),
            }
        }
    }
}

/// A life of the daemon begins: guards of earlier ones that come from here on end themselves.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn announce(path: &Path, life: u64) -> io::Result<()> {
    let (file, _) = open(path)?;
    file.write_all_at(&life.to_le_bytes(), 0)
}

/// Ends the guard of a life before this one, and waits for `patience` until it is gone. Whether there was one.
///
/// # Errors
/// Where the file cannot be had, or a process has it that is no former guard or does not go.
pub(super) fn vacate(path: &Path, life: u64, patience: Duration) -> io::Result<bool> {
    vacate_of(path, life, patience, life_of)
}

fn vacate_of(path: &Path, life: u64, patience: Duration, life_of: LifeOf) -> io::Result<bool> {
    let (file, byte) = open(path)?;
    let (since, mut any) = (Instant::now(), false);
    while dismiss(&file, byte, life, life_of)? {
        any = true;
        if since.elapsed() > patience {
            return Err(io::Error::other("it was killed, and does not go"));
        }
        sleep(PAUSE);
    }
    Ok(any)
}

/// The latest life that was announced.
fn latest(file: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(u64::from_le_bytes(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

/// Nobody else may open it: whoever can could hold the seat.
fn open(path: &Path) -> io::Result<(File, libc::flock)> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let namespace = std::fs::metadata("/proc/self/ns/net")?.ino();
    let byte = libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: i64::try_from(namespace).unwrap_or(0),
        l_len: 1,
        l_pid: 0,
    };
    Ok((file, byte))
}

/// The kernel's names for kinds of locks are 0 to 2.
fn short(name: libc::c_int) -> libc::c_short {
    name.try_into().unwrap_or(libc::c_short::MAX)
}

/// Whose guard a process is, where it is one.
type LifeOf = fn(libc::pid_t) -> Option<u64>;

/// Whether the guard of an earlier life has the seat; it is killed.
fn dismiss(file: &File, byte: libc::flock, life: u64, life_of: LifeOf) -> io::Result<bool> {
    let mut holder = byte;
    fcntl(file, FcntlArg::F_GETLK(&mut holder))?;
    if holder.l_type == short(libc::F_UNLCK) {
        return Ok(false);
    }
    let refused = |text: String| io::Error::new(io::ErrorKind::PermissionDenied, text);
    let process = holder.l_pid;
    if process <= 0 {
        let text = "a process that cannot be seen from here has it";
        return Err(refused(text.to_owned()));
    }
    match life_of(process) {
        // It has just ended.
        None if kill(Pid::from_raw(process), None).is_err() => Ok(true),
        None => Err(refused(format!(
            "process {process} has it, which is no guard"
        ))),
        Some(theirs) if theirs >= life => Ok(false),
        Some(_) => match kill(Pid::from_raw(process), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => Ok(true),
            Err(error) => Err(error.into()),
        },
    }
}

/// By its command line.
fn life_of(process: libc::pid_t) -> Option<u64> {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0);
    words.find(|word| *word == LIFE.as_bytes())?;
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, pause};

    use super::*;

    /// A process that has the seat, as the guard of a killed daemon.
    fn a_holder(path: &Path) -> Pid {
        let (file, byte) = open(path).unwrap();
        // SAFETY: the child makes system calls alone.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let _ = fcntl(&file, FcntlArg::F_SETLK(&byte));
                loop {
                    pause();
                }
            }
            ForkResult::Parent { child } => {
                let mut holder = byte;
                while holder.l_pid != child.as_raw() {
                    sleep(PAUSE);
                    holder = byte;
                    fcntl(&file, FcntlArg::F_GETLK(&mut holder)).unwrap();
                }
                child
            }
        }
    }

    fn seat() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        (folder, path)
    }

    #[test]
    fn a_former_guard_is_gone_before_the_seat_is_anothers() {
        let (_folder, path) = seat();
        for taken in [true, false] {
            let former = a_holder(&path);
            if taken {
                drop(Seat::take_from(&path, 2, |_| Some(1)).unwrap());
            } else {
                assert!(vacate_of(&path, 2, PATIENCE, |_| Some(1)).unwrap());
                assert!(!vacate(&path, 2, PATIENCE).unwrap(), "nobody is left");
            }
            let end = waitpid(former, None).unwrap();
            assert_eq!(end, WaitStatus::Signaled(former, Signal::SIGKILL, false));
        }
    }

    #[test]
    fn the_guard_of_this_life_and_what_is_no_guard_are_left_alone() {
        let (_folder, path) = seat();
        let holder = a_holder(&path);
        assert!(!vacate_of(&path, 2, PATIENCE, |_| Some(2)).unwrap());
        assert!(
            vacate(&path, 2, PATIENCE).is_err(),
            "no command line of ours"
        );
        let ended = waitpid(holder, Some(WaitPidFlag::WNOHANG)).unwrap();
        assert_eq!(ended, WaitStatus::StillAlive);
        kill(holder, Signal::SIGKILL).unwrap();
        waitpid(holder, None).unwrap();
    }

    #[test]
    fn a_guard_that_comes_after_its_life_was_succeeded_takes_nothing() {
        let (_folder, path) = seat();
        announce(&path, 3).unwrap();
        let holder = a_holder(&path);
        let late = Seat::take_from(&path, 2, |_| Some(1));
        assert!(matches!(late, Err(Unseated::Superseded)));
        let ended = waitpid(holder, Some(WaitPidFlag::WNOHANG)).unwrap();
        assert_eq!(ended, WaitStatus::StillAlive);
        kill(holder, Signal::SIGKILL).unwrap();
        waitpid(holder, None).unwrap();
        assert!(Seat::take(&path, 3).is_ok());
    }

    #[test]
    fn a_seat_that_cannot_be_had_is_told() {
        let (folder, _) = seat();
        let missing = folder.path().join("none").join(FILE);
        assert!(Seat::take(&missing, 1).is_err() && vacate(&missing, 1, PATIENCE).is_err());
        assert!(announce(&missing, 1).is_err());
    }
}
