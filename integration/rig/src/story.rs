//! A test harness: stories, one after the other, each in a lab process of its own and with a time limit.
//!
//! The usual harness runs tests in threads, and a process with threads cannot enter a user namespace
//! (user_namespaces(7)). So test files that use the rig say `harness = false` and call [`tell`] from `main`. Names,
//! filters, `--exact`, `--skip`, `--list` and `--nocapture` work as with the usual one. `HAD_RIG_USER=65534` runs every story
//! as that ordinary user, where root runs them.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::enter::{Ended, Terms, supervise};

/// One test.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// What it shows.
    pub name: &'static str,
    /// The longest it may take.
    pub limit: Duration,
    /// Run it as this ordinary user instead of root.
    pub user: Option<u32>,
    /// The test itself.
    pub run: fn() -> Result<()>,
}

/// The limit of a story that names no other.
pub const LIMIT: Duration = Duration::from_secs(60);

impl Story {
    /// A story with the usual [`LIMIT`].
    #[must_use]
    pub const fn new(name: &'static str, run: fn() -> Result<()>) -> Self {
        Self {
            name,
            limit: LIMIT,
            user: None,
            run,
        }
    }

    /// The same under another limit.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same as an ordinary user, where root runs it.
    #[must_use]
    pub const fn as_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }
}

/// How a line of a story begins that says what it did not do: it is told also where the story passed.
const LEFT_OUT: &str = "left out: ";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wish {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    no_capture: bool,
    user: Option<u32>,
}

impl Wish {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut wish = Self {
            user: std::env::var("HAD_RIG_USER")
                .ok()
                .and_then(|user| user.parse().ok()),
            ..Self::default()
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => wish.exact = true,
                "--list" => wish.list = true,
                "--nocapture" | "--no-capture" => wish.no_capture = true,
                "--skip" => wish.skips.extend(arguments.next()),
                // Options of the usual harness that take a value and mean nothing here.
                "--test-threads" | "--format" | "--color" | "--logfile" => {
                    arguments.next();
                }
                option if option.starts_with('-') => {}
                filter => wish.filters.push(filter.to_owned()),
            }
        }
        wish
    }

    fn takes(&self, story: &Story) -> bool {
        let fits = |pattern: &String| {
            if self.exact {
                story.name == pattern
            } else {
                story.name.contains(pattern.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skips.iter().any(fits)
    }
}

/// Runs the stories that the command line asks for, in order. To be called first thing in `main`.
#[must_use]
pub fn tell(stories: &[Story]) -> ExitCode {
    let wish = Wish::read(std::env::args().skip(1));
    let taken: Vec<&Story> = stories.iter().filter(|story| wish.takes(story)).collect();
    if wish.list {
        taken
            .iter()
            .for_each(|story| println!("{}: test", story.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", taken.len());
    let start = Instant::now();
    let failed: Vec<&str> = taken
        .iter()
        .filter(|story| !run(story, &wish))
        .map(|story| story.name)
        .collect();
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {} failed; {} filtered out; finished in {:.2}s\n",
        taken.len() - failed.len(),
        failed.len(),
        stories.len() - taken.len(),
        start.elapsed().as_secs_f64(),
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one; says how it ended.
fn run(story: &Story, wish: &Wish) -> bool {
    print!("test {} ... ", story.name);
    let _ = std::io::stdout().flush();
    let start = Instant::now();
    let ended = if wish.no_capture {
        println!();
        supervised(story, wish, None).map(|ended| (ended, String::new()))
    } else {
        captured(story, wish)
    };
    let took = start.elapsed().as_secs_f64();
    match ended {
        Ok((Ended::Exited(0), output)) => {
            println!("ok ({took:.1} s)");
            let left_out = output.lines().filter(|line| line.starts_with(LEFT_OUT));
            left_out.for_each(|line| println!("{line}"));
            true
        }
        Ok((ended, output)) => {
            let how = match ended {
                Ended::TimedOut => format!("not within its limit of {:?}", story.limit),
                Ended::Killed(signal) => format!("ended by {signal}"),
                Ended::Exited(_) => "failed".to_owned(),
            };
            println!("FAILED ({took:.1} s): {how}\n{output}");
            false
        }
        Err(error) => {
            println!("FAILED: {error:#}");
            false
        }
    }
}

/// Runs one with its output in a file without a name, so that it can be shown where it failed.
fn captured(story: &Story, wish: &Wish) -> Result<(Ended, String)> {
    use std::io::Seek;
    let file = nix::sys::memfd::memfd_create(c"output", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    let ended = supervised(story, wish, Some(file.try_clone()?.into()))?;
    let mut output = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut output)?;
    Ok((ended, String::from_utf8_lossy(&output).into_owned()))
}

fn supervised(story: &Story, wish: &Wish, output: Option<OwnedFd>) -> Result<Ended> {
    let user = wish
        .user
        .or(story.user)
        .filter(|_| nix::unistd::geteuid().is_root());
    let terms = Terms {
        limit: Some(story.limit),
        output,
        user,
    };
    supervise(terms, || (story.run)().map(|()| ExitCode::SUCCESS))
}
