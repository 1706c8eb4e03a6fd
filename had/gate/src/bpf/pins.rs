//! Where links and maps outlive the daemon: one directory on bpffs for each instance and network namespace.
//!
//! ```text
//! /sys/fs/bpf/had/web-h1:4026531840/   locked (flock) by the process that writes its deadlines
//!     addresses deadlines drops        the maps
//!     in-3 out-3                       the tcx links of interface 3
//! ```
//! Pins are global to the mount; interface numbers are not, hence the namespace's inode in the name.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::sys;
use crate::error::{Doing, GateError};
use crate::settings::{kernel_name, take_patiently};

const BPFFS: &str = "/sys/fs/bpf";
const ROOT: &str = "/sys/fs/bpf/had";

/// An instance's directory, ours alone while this lives.
pub(super) struct Pins {
    pub(super) directory: PathBuf,
    _lock: Flock<File>,
}

impl Pins {
    /// Finds or makes the directory of this instance in this thread's network namespace, and takes it.
    pub(super) fn take(instance: &str) -> Result<Self, GateError> {
        let root = root().doing(|| format!("finding or mounting bpffs at {BPFFS}"))?;
        let pins = Self::lock(instance, directory_of(instance)?)?;
        sweep(&root, &pins.directory);
        Ok(pins)
    }

    /// The directory that an earlier life of this instance left, if it left one.
    pub(super) fn left_over(instance: &str) -> Result<Option<Self>, GateError> {
        let directory = directory_of(instance)?;
        if !directory.exists() {
            return Ok(None);
        }
        Self::lock(instance, directory).map(Some)
    }

    fn lock(instance: &str, directory: PathBuf) -> Result<Self, GateError> {
        let lock = take_patiently(|| lock(&directory))
            .doing(|| format!("locking {}", directory.display()))?;
        let instance = instance.to_owned();
        let _lock = lock.ok_or(GateError::Held { instance })?;
        Ok(Self { directory, _lock })
    }

    /// Takes every pin away, and the directory.
    pub(super) fn remove(self) -> Result<(), GateError> {
        clear(&self.directory).doing(|| format!("removing {}", self.directory.display()))
    }
}

/// Where this instance's pins are, for this thread's network namespace.
fn directory_of(instance: &str) -> Result<PathBuf, GateError> {
    let namespace = fs::metadata("/proc/thread-self/ns/net")
        .doing(|| "reading the network namespace".into())?
        .ino();
    Ok(Path::new(ROOT).join(format!("{}:{namespace}", kernel_name(instance))))
}

/// The directory of all instances, on bpffs, which is mounted where it is not.
pub(super) fn root() -> io::Result<PathBuf> {
    let is_bpffs = || statfs(BPFFS).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC);
    if !is_bpffs() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("bpf"), BPFFS, Some("bpf"), flags, Some("mode=0700"))?;
        tracing::info!("bpffs was not mounted at {BPFFS}, now it is");
    }
    match fs::create_dir(ROOT) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(ROOT.into()),
    }
}

/// Whether pins are sure to outlive this process: they end with the mount namespace that their bpffs is mounted in, and one
/// that is not the whole system's may end with its last process (`ip netns exec`, a sandbox).
pub(super) fn outlive_this_process() -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    matches!((namespace("self"), namespace("1")), (Ok(own), Ok(first)) if own == first)
}

/// Locks a directory, which is made where it is missing; `None` where another process has it.
fn lock(directory: &Path) -> io::Result<Option<Flock<File>>> {
    loop {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let Some(lock) = try_lock(directory)? else {
            return Ok(None);
        };
        // Somebody may have swept it between our opening and our locking it.
        let locked = lock.metadata()?.ino();
        if fs::metadata(directory).is_ok_and(|found| found.ino() == locked) {
            return Ok(Some(lock));
        }
    }
}

fn try_lock(directory: &Path) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(File::open(directory)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

/// Removes the directories that guard nothing any more: nobody holds them and no interface is left behind their links.
/// Below kernel 6.6 there are no links; the filters keep their maps alive by themselves.
fn sweep(root: &Path, ours: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != ours)
    {
        if let Ok(Some(_held)) = try_lock(&path)
            && !any_link_lives(&path)
        {
            match clear(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "swept stale pins"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "stale pins stay"),
            }
        }
    }
}

fn any_link_lives(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return true;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let is_link = name.to_str().is_some_and(|name| link_of(name).is_some());
        is_link && lives(&entry.path())
    })
}

/// Whether an interface stands behind this link; where the kernel does not tell, it does.
fn lives(path: &Path) -> bool {
    match sys::pinned(path) {
        Ok(None) => false,
        Ok(Some(link)) => sys::link_info(link.as_fd()).is_ok_and(|info| info.ifindex != 0),
        Err(_) => true,
    }
}

/// The interface of a link, from the name of its pin.
pub(super) fn link_of(name: &str) -> Option<u32> {
    let (direction, ifindex) = name.split_once('-')?;
    ["in", "out"]
        .contains(&direction)
        .then(|| ifindex.parse().ok())?
}

fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_are_taken_for_links() {
        assert_eq!(link_of("in-12"), Some(12));
        assert_eq!(link_of("out-3"), Some(3));
        assert_eq!(link_of("addresses"), None);
        assert_eq!(link_of("in-x"), None);
    }
}
