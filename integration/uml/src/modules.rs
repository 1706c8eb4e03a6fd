//! Loading kernel modules without `modprobe`, which a small Debian lacks.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;

/// Where Debian keeps the modules of its user-mode kernel.
const HOME: &str = "/usr/lib/uml/modules";

/// Loads a module of the running kernel, and first what it needs. One that is built in, or loaded, is no error.
///
/// # Errors
/// Where there is no such module, or the kernel refuses it.
pub(crate) fn load(name: &str) -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    let release = release.context("asking for the kernel's release")?;
    let home = Path::new(HOME).join(release.trim());
    let read = |file: &str| {
        let path = home.join(file);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let file = format!("/{name}.ko");
    if read("modules.builtin")?
        .lines()
        .any(|line| line.ends_with(&file))
    {
        return Ok(());
    }
    let listed = read("modules.dep")?;
    let line = listed
        .lines()
        .find(|line| {
            line.split(':')
                .next()
                .is_some_and(|path| path.ends_with(&file))
        })
        .with_context(|| format!("there is no module {name} in {}", home.display()))?;
    // "a.ko: b.ko c.ko": c first, then b, then a.
    let paths = line.split([':', ' ']).filter(|path| !path.is_empty());
    let paths: Vec<PathBuf> = paths.map(|path| home.join(path)).collect();
    paths.iter().rev().try_for_each(|path| load_file(path))
}

fn load_file(path: &Path) -> Result<()> {
    let doing = || format!("loading {}", path.display());
    let file = File::open(path).with_context(doing)?;
    // SAFETY: the descriptor is open, the text ends with a zero; the kernel keeps neither.
    let outcome =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    match Errno::result(outcome) {
        Err(Errno::EEXIST) => Ok(()),
        other => other.map(drop).with_context(doing),
    }
}
