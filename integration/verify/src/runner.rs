//! Runs the steps in order and tells what came of them, in one line each.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::interrupt;
use crate::step::{Failure, Job, Passed, Step, Tally};
use crate::workspace::Workspace;

/// What came of all steps.
#[derive(Default)]
pub(crate) struct Report {
    tally: Tally,
    held: usize,
    failed: Vec<&'static str>,
    not_run: Vec<&'static str>,
    left_out: Vec<String>,
    interrupted: bool,
}

impl Report {
    /// Whether all that was asked for held.
    pub(crate) fn held(&self) -> bool {
        self.failed.is_empty() && self.not_run.is_empty() && !self.interrupted
    }

    fn blocks(&self, step: &Step) -> Option<&'static str> {
        let broken =
            |name: &&'static str| self.failed.contains(name) || self.not_run.contains(name);
        step.needs.iter().copied().find(broken)
    }

    /// The closing lines. The last is the tally alone.
    fn closing(&self, took: Duration) -> String {
        let mut text = String::new();
        for line in &self.left_out {
            text += &format!("left out: {line}\n");
        }
        if self.interrupted {
            text += "interrupted: the steps that are not shown did not run\n";
        }
        let verdict = if self.held() {
            "all that was asked for holds"
        } else {
            "does not hold"
        };
        text += &format!("verify: {verdict}, {} of {} steps", self.held, self.steps());
        if !self.failed.is_empty() {
            text += &format!("; failed: {}", self.failed.join(", "));
        }
        if !self.not_run.is_empty() {
            text += &format!("; not run: {}", self.not_run.join(", "));
        }
        text + &format!(
            "; {}\n{} passed, {} failed",
            clock(took),
            self.tally.passed,
            self.tally.failed
        )
    }

    fn steps(&self) -> usize {
        self.held + self.failed.len() + self.not_run.len()
    }
}

/// Where the report goes.
pub(crate) struct Screen<W> {
    /// The lines.
    pub(crate) out: W,
    /// Somebody watches: the name of the running step is shown before it ends.
    pub(crate) live: bool,
}

/// Runs every step that is not blocked by the failure of another.
///
/// # Errors
/// The logs or the screen cannot be written.
pub(crate) fn run(
    workspace: &Workspace,
    steps: &[Step],
    screen: &mut Screen<impl Write>,
) -> Result<Report> {
    let begun = Instant::now();
    let mut report = Report::default();
    for step in steps {
        if interrupt::asked() {
            break;
        }
        if let Some(name) = report.blocks(step) {
            let out = &mut screen.out;
            writeln!(
                out,
                "{:<12} not run          {name} did not hold",
                step.name
            )?;
            report.not_run.push(step.name);
            continue;
        }
        one(workspace, step, &mut report, screen)?;
    }
    report.interrupted = interrupt::asked();
    writeln!(screen.out, "\n{}", report.closing(begun.elapsed()))?;
    Ok(report)
}

fn one(
    workspace: &Workspace,
    step: &Step,
    report: &mut Report,
    screen: &mut Screen<impl Write>,
) -> Result<()> {
    let out = &mut screen.out;
    if screen.live {
        write!(out, "{:<12} …\r", step.name)?;
        out.flush()?;
    }
    let begun = Instant::now();
    let mut job = Job::begin(workspace, step)?;
    let outcome = (step.run)(&mut job);
    let log = job.log.clone();
    let (left_out, notes) = job.remarks();
    let outcome = strict(outcome, workspace.ci && !left_out.is_empty());
    let (word, tally, detail) = match &outcome {
        Ok(passed) => ("ok    ", passed.tally, &passed.detail),
        Err(failure) => ("FAILED", failure.tally, &failure.summary),
    };
    writeln!(
        out,
        "{:<12} {word} {:>8}  {detail}",
        step.name,
        clock(begun.elapsed())
    )?;
    if begun.elapsed() > step.budget {
        let budget = step.budget.as_secs();
        writeln!(
            out,
            "{:<12} note             over its budget of {budget} s",
            ""
        )?;
    }
    for line in notes {
        writeln!(out, "{:<12} note             {line}", "")?;
    }
    for line in left_out {
        writeln!(out, "{:<12} left out         {line}", "")?;
        report.left_out.push(line);
    }
    if let Err(failure) = &outcome {
        show(failure, &log, out)?;
    }
    out.flush()?;
    report.tally.passed += tally.passed;
    report.tally.failed += tally.failed;
    match outcome {
        Ok(_) => report.held += 1,
        Err(_) => report.failed.push(step.name),
    }
    Ok(())
}

/// In CI what is left out has failed.
fn strict(outcome: Result<Passed, Failure>, incomplete: bool) -> Result<Passed, Failure> {
    match outcome {
        Ok(passed) if incomplete => Err(Failure {
            summary: format!("{}; but in CI nothing may be left out", passed.detail),
            excerpt: String::new(),
            tally: Tally {
                failed: passed.tally.failed + 1,
                ..passed.tally
            },
        }),
        other => other,
    }
}

fn show(failure: &Failure, log: &std::path::Path, out: &mut impl Write) -> io::Result<()> {
    for line in failure.excerpt.lines() {
        writeln!(out, "    {line}")?;
    }
    writeln!(out, "    whole output: {}", log.display())
}

/// A time as people read it: seconds with a decimal, and minutes where there are some.
fn clock(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{}:{:02} min", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn step(name: &'static str, needs: &'static [&'static str], run: Run) -> Step {
        Step {
            name,
            about: "",
            budget: Duration::from_secs(30),
            because: "",
            needs,
            run,
        }
    }

    type Run = fn(&mut Job<'_>) -> Result<Passed, Failure>;

    fn good(_: &mut Job<'_>) -> Result<Passed, Failure> {
        Ok(Passed::one("fine"))
    }

    fn bad(_: &mut Job<'_>) -> Result<Passed, Failure> {
        Err(Failure::one("broken", "why"))
    }

    fn partial(job: &mut Job<'_>) -> Result<Passed, Failure> {
        job.leave_out("the hard part: not permitted");
        Ok(Passed::one("the easy part"))
    }

    fn report(workspace: &Workspace, steps: &[Step]) -> (Report, String) {
        let mut screen = Screen {
            out: Vec::new(),
            live: false,
        };
        let report = run(workspace, steps, &mut screen).unwrap();
        (report, String::from_utf8(screen.out).unwrap())
    }

    fn workspace(dir: &tempfile::TempDir, ci: bool) -> Workspace {
        let mut workspace = Workspace::at(dir.path().to_owned(), dir.path().join("target"));
        workspace.ci = ci;
        workspace
    }

    #[test]
    fn a_failure_stops_what_needs_it_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let steps = [
            step("a", &[], bad),
            step("b", &["a"], good),
            step("c", &["b"], good),
            step("d", &[], good),
        ];
        let (report, shown) = report(&workspace(&dir, false), &steps);
        assert!(!report.held());
        assert!(
            shown.contains("c            not run          b did not hold\n"),
            "{shown}"
        );
        assert!(shown.contains("    why\n    whole output: "), "{shown}");
        assert_eq!(
            (report.held, &report.failed[..], &report.not_run[..]),
            (1, &["a"][..], &["b", "c"][..])
        );
        let closing = report.closing(Duration::from_secs(61));
        assert!(
            closing.contains("failed: a; not run: b, c; 1:01 min"),
            "{closing}"
        );
        assert_eq!(closing.lines().last(), Some("1 passed, 1 failed"));
    }

    #[test]
    fn what_is_left_out_is_named_and_fails_only_in_ci() {
        let dir = tempfile::tempdir().unwrap();
        let steps = [step("a", &[], partial)];
        let (report, shown) = report(&workspace(&dir, false), &steps);
        assert!(report.held());
        assert!(
            shown.contains("\nleft out: the hard part: not permitted\n"),
            "{shown}"
        );
        assert!(!self::report(&workspace(&dir, true), &steps).0.held());
    }

    #[test]
    fn a_command_that_takes_too_long_fails_its_step_and_leaves_a_log() {
        fn slow(job: &mut Job<'_>) -> Result<Passed, Failure> {
            job.must(
                job.workspace
                    .command("sh")
                    .args(["-c", "echo begun; sleep 600"]),
            )?;
            Ok(Passed::one("never"))
        }
        let dir = tempfile::tempdir().unwrap();
        let mut slow = step("slow", &[], slow);
        slow.budget = Duration::from_millis(200);
        let workspace = workspace(&dir, false);
        assert_eq!(report(&workspace, &[slow]).0.failed, ["slow"]);
        let log = fs::read_to_string(workspace.logs.join("slow.log")).unwrap();
        assert!(log.contains("begun"), "{log}");
    }
}
