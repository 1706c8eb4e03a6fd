//! Process 1 of the machine: makes it a home, starts the program, switches it off.

use std::io::Write as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::{ENDED, MODULES, modules};

/// Programs are found here, as on the machine outside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the program that the command line of the kernel names and switches the machine off. Does not return.
pub fn run_as_first_process() -> ! {
    let code = match start() {
        Ok(status) => status.code().unwrap_or(1),
        Err(error) => {
            println!("error: {error:#}");
            1
        }
    };
    println!("\n{ENDED}{code}");
    let _ = std::io::stdout().flush();
    // SAFETY: no memory is touched; it returns only where it is refused.
    unsafe { libc::reboot(libc::LINUX_REBOOT_CMD_POWER_OFF) };
    // The end of process 1 is a panic of the kernel, which ends it too.
    std::process::exit(1);
}

/// Mounts what programs expect; the kernel itself has mounted `/dev`.
fn start() -> Result<ExitStatus> {
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("tmpfs", "/var/lib"),
    ] {
        let none: Option<&str> = None;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("mounting {place}"))?;
    }
    let names = std::env::var(MODULES).unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        modules::load(name)?;
    }
    let mut words = std::env::args_os().skip(1);
    let program = words.next().context("no program is named")?;
    Command::new(&program)
        .args(words)
        .env("PATH", PATH)
        .current_dir("/tmp")
        .status()
        .with_context(|| format!("starting {}", program.display()))
}
