//! Nothing is left behind, however a program with a lab ends.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use had_rig::story::{Story, tell};
use had_rig::{Client, Lab, LabSpec, until};

const SOON: Duration = Duration::from_secs(5);
/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    tell(&[
        Story::new("a_killed_program_leaves_nothing", || leftovers(Death::Kill)),
        Story::new("a_panic_leaves_nothing", || leftovers(Death::Panic)),
        Story::new("a_time_limit_leaves_nothing", || leftovers(Death::Limit)),
        Story::new("the_same_for_an_ordinary_user", || leftovers(Death::Kill)).as_user(NOBODY),
    ])
}

/// How a program with a lab ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Death {
    Kill,
    Panic,
    Limit,
}

/// A program inside this one makes a lab, starts a sleeper there and ends badly.
fn leftovers(death: Death) -> Result<()> {
    const MARK: &str = "987654";
    // Seen from here: processes of nested namespaces have numbers in ours too.
    let sleepers = || {
        let processes = std::fs::read_dir("/proc")?.filter_map(Result::ok);
        let lines = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
        Ok::<_, std::io::Error>(
            lines
                .filter(|line| line.ends_with(b"sleep\x00987654\x00"))
                .count(),
        )
    };
    let outer = |path: &str| std::fs::read_to_string(path).context("reading the outer mounts");
    let before = outer("/proc/self/mounts")?;
    let body = move || {
        let mut lab = Lab::new(LabSpec {
            hosts: 2,
            links: 2,
            ..LabSpec::default()
        })?;
        let mut sleep = Command::new("setsid");
        sleep.args(["sleep", MARK]);
        lab.host("h2")?.spawn("sleeper", sleep)?;
        let _client = Client::start(lab.client()?, ([10, 77, 0, 100], 7000).into())?;
        if death == Death::Panic {
            until("it sleeps", SOON, || Ok((sleepers()? > 0).then_some(())))?;
            panic!("on purpose");
        }
        loop {
            std::thread::park();
        }
    };
    // SAFETY: this process has one thread.
    let program = match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            let limit = (death == Death::Limit).then_some(Duration::from_secs(1));
            let terms = had_rig::enter::Terms {
                limit,
                ..Default::default()
            };
            let ended = had_rig::enter::supervise(terms, body);
            let timed_out = matches!(ended, Ok(had_rig::enter::Ended::TimedOut));
            std::process::exit(if timed_out { 9 } else { 1 })
        }
        nix::unistd::ForkResult::Parent { child } => child,
    };
    until("the sleeper sleeps, seen from outside", SOON, || {
        Ok((sleepers()? > 0).then_some(()))
    })?;
    if death == Death::Kill {
        nix::sys::signal::kill(program, nix::sys::signal::Signal::SIGKILL)?;
    }
    let ended = nix::sys::wait::waitpid(program, None)?;
    ensure!(
        (death == Death::Limit) == matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 9)),
        "{ended:?}"
    );
    until("every process is gone", SOON, || {
        Ok((sleepers()? == 0).then_some(()))
    })?;
    ensure!(outer("/proc/self/mounts")? == before, "a mount was left");
    Ok(())
}
