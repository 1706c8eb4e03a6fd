//! One guard for each data directory and network namespace: the latest.
//!
//! A guard whose daemon was killed watches until the lease ends. A new life of the daemon may have renewed it by then, in
//! memory that the former guard does not see: so the new guard ends it, and where the new one is late, the daemon does.
//!
//! The seat is one byte of a file beside the store, locked (fcntl(2), `F_SETLK`): the kernel says who holds it, and lets go of
//! it with the process. Which byte says the network namespace, whose addresses it is about.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The file's name in the data directory.
pub(super) const FILE: &str = "guard.lock";
/// A process that was killed is gone within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// The seat, held until this is dropped or the process ends.
pub(super) struct Seat {
    _file: File,
}

impl Seat {
    /// Takes the seat, from a former guard where there is one.
    ///
    /// # Errors
    /// Where the file cannot be had, or a process has it that cannot be seen from here, or that does not go.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        let (file, byte) = open(path)?;
        let since = Instant::now();
        loop {
            match fcntl(&file, FcntlArg::F_SETLK(&byte)) {
                Ok(_) => return Ok(Self { _file: file }),
                Err(Errno::EAGAIN | Errno::EACCES) if since.elapsed() <= PATIENCE => {
                    dismiss(&file, byte)?;
                    sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Ends whoever has the seat, and waits until it is free. Whether there was anybody.
///
/// # Errors
/// As [`Seat::take`].
pub(super) fn vacate(path: &Path) -> io::Result<bool> {
    let (file, byte) = open(path)?;
    let (since, mut any) = (Instant::now(), false);
    while dismiss(&file, byte)? {
        any = true;
        if since.elapsed() > PATIENCE {
            return Err(io::Error::other("it was killed, and does not go"));
        }
        sleep(PAUSE);
    }
    Ok(any)
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
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: i64::try_from(namespace).unwrap_or(0),
        l_len: 1,
        l_pid: 0,
    };
    Ok((file, byte))
}

/// Whether another process has the seat; it is killed.
fn dismiss(file: &File, byte: libc::flock) -> io::Result<bool> {
    let mut holder = byte;
    fcntl(file, FcntlArg::F_GETLK(&mut holder))?;
    if holder.l_type == libc::F_UNLCK as libc::c_short {
        return Ok(false);
    }
    if holder.l_pid <= 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "a process that cannot be seen from here has it",
        ));
    }
    match kill(Pid::from_raw(holder.l_pid), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, pause};

    use super::*;

    /// A process that has the seat, as the guard of a killed daemon.
    fn a_former_guard(path: &Path) -> Pid {
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

    #[test]
    fn a_former_guard_is_gone_before_the_seat_is_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for taken in [true, false] {
            let former = a_former_guard(&path);
            if taken {
                drop(Seat::take(&path).unwrap());
            } else {
                assert!(vacate(&path).unwrap());
                assert!(!vacate(&path).unwrap(), "nobody is left");
            }
            let end = waitpid(former, None).unwrap();
            assert_eq!(end, WaitStatus::Signaled(former, Signal::SIGKILL, false));
        }
    }

    #[test]
    fn a_seat_that_cannot_be_had_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none").join(FILE);
        assert!(Seat::take(&missing).is_err() && vacate(&missing).is_err());
    }
}
