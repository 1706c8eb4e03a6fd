//! What a step is, and what it has to work with while it runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::command::{self, How, Streams};
use crate::orphans;
use crate::workspace::Workspace;

/// How much of a failing command's output is shown. The whole is in the log.
const SHOWN_LINES: usize = 200;

/// One named part of the verification.
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What must hold, in one line.
    pub(crate) about: &'static str,
    /// The longest it may take. Every command of the step is killed at its end.
    pub(crate) budget: Duration,
    /// Why that long.
    pub(crate) because: &'static str,
    /// Steps whose failure would make this one's result meaningless.
    pub(crate) needs: &'static [&'static str],
    /// Does it.
    pub(crate) run: fn(&mut Job<'_>) -> Result<Passed, Failure>,
}

/// What was checked: tests where a step runs tests, else the step itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    /// That held.
    pub(crate) passed: u32,
    /// That did not.
    pub(crate) failed: u32,
}

/// A step that held.
#[derive(Debug)]
pub(crate) struct Passed {
    /// What was found, in a few words.
    pub(crate) detail: String,
    /// How much was checked.
    pub(crate) tally: Tally,
}

impl Passed {
    /// A step that counts as one check.
    pub(crate) fn one(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            tally: Tally {
                passed: 1,
                failed: 0,
            },
        }
    }
}

/// A step that did not hold.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What, in one line.
    pub(crate) summary: String,
    /// What a person needs to see to mend it.
    pub(crate) excerpt: String,
    /// How much was checked.
    pub(crate) tally: Tally,
}

impl Failure {
    /// A step that counts as one check.
    pub(crate) fn one(summary: impl Into<String>, excerpt: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            excerpt: excerpt.into(),
            tally: Tally {
                passed: 0,
                failed: 1,
            },
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::one(format!("{error:#}"), "")
    }
}

/// A step is killed at this multiple of its budget: shared machines are at times so much slower than themselves. That a
/// budget was passed is said all the same.
const PATIENCE: u32 = 3;

/// What a running step works with.
pub(crate) struct Job<'a> {
    /// The checkout.
    pub(crate) workspace: &'a Workspace,
    /// Where its commands write.
    pub(crate) log: PathBuf,
    deadline: Instant,
    budget: Duration,
    left_out: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Job<'a> {
    /// Begins a step: an empty log, a running clock.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn begin(workspace: &'a Workspace, step: &Step) -> anyhow::Result<Self> {
        let log = workspace.logs.join(format!("{}.log", step.name));
        fs::create_dir_all(&workspace.logs)
            .and_then(|()| File::create(&log))
            .with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Self {
            workspace,
            log,
            deadline: Instant::now() + step.budget * PATIENCE,
            budget: step.budget,
            left_out: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Says that something did not run, and why. In CI that is a failure.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// Says something worth reading that changes nothing.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// What did not run, and what is worth reading.
    pub(crate) fn remarks(self) -> (Vec<String>, Vec<String>) {
        (self.left_out, self.notes)
    }

    /// Runs a command that must succeed; what it wrote comes back.
    ///
    /// # Errors
    /// It fails, takes too long, or leaves processes behind.
    pub(crate) fn must(&mut self, command: &mut Command) -> Result<String, Failure> {
        let (ok, output) = self.attempt(command, None)?;
        if ok {
            return Ok(output);
        }
        Err(Failure::one(
            format!("`{}` failed", command::line(command)),
            tail(&output),
        ))
    }

    /// Runs a command and says whether it succeeded; what it wrote comes back.
    ///
    /// # Errors
    /// It takes too long, or leaves processes behind.
    pub(crate) fn does(&mut self, command: &mut Command) -> Result<(bool, String), Failure> {
        self.attempt(command, None)
    }

    /// Runs a command that must succeed; its stdout alone comes back.
    ///
    /// # Errors
    /// As [`Job::must`].
    pub(crate) fn capture(&mut self, command: &mut Command) -> Result<String, Failure> {
        let path = self.log.with_extension("stdout");
        let (ok, errors) = self.attempt(command, Some(&path))?;
        if !ok {
            let summary = format!("`{}` failed", command::line(command));
            return Err(Failure::one(summary, tail(&errors)));
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text)
    }

    fn attempt(
        &mut self,
        command: &mut Command,
        stdout: Option<&std::path::Path>,
    ) -> Result<(bool, String), Failure> {
        let streams = Streams {
            log: &self.log,
            stdout,
        };
        let ended = command::run(command, streams, self.deadline)
            .with_context(|| format!("cannot run `{}`", command::line(command)))?;
        let left_behind = orphans::sweep();
        let line = command::line(command);
        match ended.how {
            How::OverTime => {
                let budget = self.budget.as_secs();
                let summary = format!(
                    "`{line}` was killed: {PATIENCE} times the step's budget of {budget} s are over"
                );
                Err(Failure::one(summary, tail(&ended.output)))
            }
            How::Interrupted => Err(Failure::one("interrupted", "")),
            How::Exited(_) if !left_behind.is_empty() => {
                let summary = format!("`{line}` left behind: {}", left_behind.join(", "));
                Err(Failure::one(summary, tail(&ended.output)))
            }
            How::Exited(status) => Ok((status.success(), ended.output)),
        }
    }
}

/// The last lines of an output, with a word about what is not shown.
pub(crate) fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let hidden = lines.len().saturating_sub(SHOWN_LINES);
    let shown = lines[hidden..].join("\n");
    if hidden == 0 {
        shown
    } else {
        format!("({hidden} lines before these)\n{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_output_is_shown_whole_and_a_long_one_by_its_end() {
        assert_eq!(tail("a\nb\n"), "a\nb");
        let long: Vec<String> = (0..SHOWN_LINES + 3).map(|n| n.to_string()).collect();
        let shown = tail(&long.join("\n"));
        assert!(shown.starts_with("(3 lines before these)\n3\n"), "{shown}");
        assert_eq!(shown.lines().count(), SHOWN_LINES + 1);
    }
}
