//! One command under a time limit: a process group of its own, nothing to read, its output in a log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// How often a running command is looked at. Short against every budget, and no load.
const POLL: Duration = Duration::from_millis(20);

/// What a group may use after SIGTERM to take its network namespaces and daemons down, before SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// How a command came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// By itself.
    Exited(ExitStatus),
    /// It was killed with its whole group, because its time was over.
    OverTime,
    /// It was killed because somebody asked this program to end.
    Interrupted,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) how: How,
    /// What it wrote to stdout and stderr, or to stderr alone where stdout was captured.
    pub(crate) output: String,
}

/// Where a command writes to.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a> {
    /// Takes stderr, and stdout too unless it is captured. Appended to.
    pub(crate) log: &'a Path,
    /// Takes stdout alone, to be read by the caller. Replaced.
    pub(crate) stdout: Option<&'a Path>,
}

/// Runs a command to its end, but not past `deadline`.
///
/// # Errors
/// The log cannot be written or the program cannot be started.
pub(crate) fn run(
    command: &mut Command,
    streams: Streams<'_>,
    deadline: Instant,
) -> io::Result<Ended> {
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(streams.log)?;
    writeln!(log, "$ {}", line(command))?;
    let start = log.metadata()?.len();
    let stdout = match streams.stdout {
        Some(path) => File::create(path)?,
        None => log.try_clone()?,
    };
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(log)
        .spawn()?;
    let how = wait(&mut child, deadline)?;
    Ok(Ended {
        how,
        output: read_from(streams.log, start)?,
    })
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<How> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(How::Exited(status));
        }
        let how = match (interrupt::asked(), Instant::now() >= deadline) {
            (true, _) => How::Interrupted,
            (false, true) => How::OverTime,
            (false, false) => {
                thread::sleep(POLL);
                continue;
            }
        };
        end(child)?;
        return Ok(how);
    }
}

/// Ends the whole group: first kindly, so that tests can tidy up, then for good.
fn end(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id fits its own type"));
    // ESRCH only says that the group is gone already.
    let _ = killpg(group, Signal::SIGTERM);
    let patience = Instant::now() + GRACE;
    while Instant::now() < patience && child.try_wait()?.is_none() {
        thread::sleep(POLL);
    }
    let _ = killpg(group, Signal::SIGKILL);
    child.wait()?;
    Ok(())
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        let dir = tempfile::tempdir().unwrap();
        let streams = Streams {
            log: &dir.path().join("log"),
            stdout: None,
        };
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(&mut command, streams, Instant::now() + limit).unwrap()
    }

    #[test]
    fn output_and_exit_status_come_back() {
        let ended = shell("echo out; echo err >&2; exit 3", Duration::from_secs(20));
        assert_eq!(ended.output, "out\nerr\n");
        assert!(matches!(ended.how, How::Exited(status) if status.code() == Some(3)));
    }

    #[test]
    fn a_command_over_its_time_is_killed_with_its_children() {
        let begun = Instant::now();
        let ended = shell("sleep 600 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(ended.how, How::OverTime);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let grandchild = format!("/proc/{}/stat", ended.output.trim());
        while let Ok(stat) = std::fs::read_to_string(&grandchild)
            && !stat.contains(") Z ")
        {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "still there: {stat}"
            );
            thread::sleep(POLL);
        }
    }

    #[test]
    fn captured_stdout_stays_apart_from_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (log, out) = (dir.path().join("log"), dir.path().join("out"));
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2"]);
        let streams = Streams {
            log: &log,
            stdout: Some(&out),
        };
        let ended = run(
            &mut command,
            streams,
            Instant::now() + Duration::from_secs(20),
        )
        .unwrap();
        assert_eq!(ended.output, "err\n");
        assert_eq!(std::fs::read_to_string(out).unwrap(), "out\n");
    }
}
