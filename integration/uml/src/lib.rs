//! A machine with a kernel of its own, for what this machine's kernel lacks: VLANs, bonds, IPVS, a software watchdog.
//!
//! Debian's `user-mode-linux` is a real kernel that runs as an ordinary process. It sees this machine's files, read-only, and
//! nothing else of it: no network, no devices. One program runs in it; with its end the machine is switched off.
//!
//! ```text
//!  test ── Machine::run ──▶ linux.uml ──▶ process 1: had-uml, which mounts, loads modules, starts ──▶ the program
//!             ◀─ what was written to the console, and the exit code ─────────────────────────────────────┘
//! ```
//! It has one processor and a clock of 100 ticks: function is shown there, never timing.

mod first;
mod modules;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use had_rig::until;

pub use first::run_as_first_process;

/// The kernel.
pub const KERNEL: &str = "linux.uml";
/// Names the modules to load, separated by commas, for process 1.
const MODULES: &str = "UML_MODULES";
/// Begins the line that says how the program ended.
const ENDED: &str = "HAD-UML-ENDED ";
/// Enough for a handful of daemons and their tmpfs.
const MEMORY: &str = "mem=1024M";

/// A machine that has not been switched on yet.
#[derive(Debug)]
pub struct Machine {
    /// `had-uml`, which becomes its process 1.
    pub first: PathBuf,
    /// Kernel modules to load before the program starts, with what they need.
    pub modules: Vec<&'static str>,
    /// Environment of the program: words without blanks.
    pub environment: Vec<(&'static str, String)>,
    /// It is switched off when this has passed.
    pub limit: Duration,
}

/// How the program ended, and what it wrote.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Everything on the console.
    pub text: String,
}

impl Machine {
    /// Whether the kernel is installed here.
    #[must_use]
    pub fn is_possible() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(KERNEL).is_file())
    }

    /// Switches it on, runs a program in it, and waits for its end.
    ///
    /// # Errors
    /// Where the kernel cannot be started, or ends without the program, or the limit has passed: with what was said.
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Result<Ended> {
        // It keeps its pid file and its console's socket in its user's home, which need not be writable here.
        let home = std::env::temp_dir().join(format!("had-uml-{}", std::process::id()));
        std::fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
        let ended = self.run_at_home(&home, program, arguments);
        // What is left there is of no use to anybody, and of no harm.
        let _ = std::fs::remove_dir_all(&home);
        ended
    }

    fn run_at_home(&self, home: &Path, program: &Path, arguments: &[&str]) -> Result<Ended> {
        let words = std::iter::once(program.as_os_str()).chain(arguments.iter().map(AsRef::as_ref));
        let mut command = Command::new(KERNEL);
        command.env("HOME", home);
        command.args([
            MEMORY,
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
        ]);
        command.args(["con=null", "con0=null,fd:1", "quiet", "panic=-1"]);
        command.arg(joined("init=", self.first.as_os_str()));
        command.arg(format!("{MODULES}={}", self.modules.join(",")));
        for (name, value) in &self.environment {
            command.arg(format!("{name}={value}"));
        }
        command.arg("--").args(words);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let kernel = command.spawn().with_context(|| {
            format!("starting {KERNEL}: is Debian's package user-mode-linux installed?")
        })?;
        let text = self.watch(kernel)?;
        let line = text.lines().find_map(|line| line.strip_prefix(ENDED));
        let code = line.and_then(|code| code.trim().parse().ok());
        let code =
            code.with_context(|| format!("the machine ended without its program:\n{text}"))?;
        Ok(Ended { code, text })
    }

    /// What it writes until it ends.
    fn watch(&self, mut kernel: Child) -> Result<String> {
        let (out, errors) = (kernel.stdout.take(), kernel.stderr.take());
        let out = std::thread::spawn(move || read_all(out));
        let errors = std::thread::spawn(move || read_all(errors));
        let ended = until("the machine is switched off", self.limit, || {
            Ok(kernel.try_wait()?)
        });
        if ended.is_err() {
            kernel.kill().context("switching the machine off")?;
            kernel.wait().context("switching the machine off")?;
        }
        let mut text = String::new();
        for reader in [out, errors] {
            let Ok(said) = reader.join() else {
                bail!("reading what the machine writes");
            };
            write!(text, "{}", String::from_utf8_lossy(&said))?;
        }
        let text = text.replace('\r', "");
        ensure!(
            ended.is_ok(),
            "not switched off within {:?}:\n{text}",
            self.limit
        );
        Ok(text)
    }
}

fn read_all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read before an error is all that there is.
        let _ = stream.read_to_end(&mut bytes);
    }
    bytes
}

fn joined(key: &str, value: &std::ffi::OsStr) -> OsString {
    let mut text = OsString::from(key);
    text.push(value);
    text
}
