//! The simulated clusters: many seeds, the same seed again, and the mistakes that must be found.

use crate::step::{Failure, Job, Passed, Tally, tail};

/// How many histories are tried.
const SEEDS: &str = "0..500";

/// How many are repeated, and how often.
const REPEATED: (&str, &str) = ("0..3", "3");

/// The program.
const PROGRAM: &str = "had-sim";

/// Builds the simulator with the features of the whole workspace, as the build step did: nothing happens after it.
fn build(job: &mut Job<'_>) -> Result<(), Failure> {
    let call = ["build", "--workspace", "--locked", "--bin", PROGRAM];
    job.must(&mut job.workspace.cargo(&call)).map(drop)
}

/// No seed shows two owners or loses what was acknowledged.
///
/// # Errors
/// A seed does; the output names the command that repeats it.
pub(crate) fn seeds(job: &mut Job<'_>) -> Result<Passed, Failure> {
    build(job)?;
    let output = job.must(job.workspace.built(PROGRAM).args(["--seeds", SEEDS]))?;
    Ok(Passed::one(last_line(&output)))
}

/// The same seed gives the same history.
///
/// # Errors
/// It does not.
pub(crate) fn repeat(job: &mut Job<'_>) -> Result<Passed, Failure> {
    build(job)?;
    let (seeds, times) = REPEATED;
    let call = ["--seeds", seeds, "--repeat", times];
    let output = job.must(job.workspace.built(PROGRAM).args(call))?;
    Ok(Passed::one(last_line(&output)))
}

/// Each planted mistake is found by some seed: the program ends with 0 when it found it.
///
/// # Errors
/// One is not found, or there are none.
pub(crate) fn plants(job: &mut Job<'_>) -> Result<Passed, Failure> {
    build(job)?;
    let listed = job.capture(job.workspace.built(PROGRAM).arg("--list-plants"))?;
    let names = first_words(&listed);
    if names.is_empty() {
        return Err(Failure::one("the simulator knows no planted mistakes", ""));
    }
    let (mut missed, mut excerpt) = (Vec::new(), String::new());
    for name in &names {
        let call = ["--plant", name, "--seeds", SEEDS];
        let (found, output) = job.does(job.workspace.built(PROGRAM).args(call))?;
        if !found {
            missed.push(*name);
            excerpt += &format!("{name}:\n{}\n", tail(&output));
        }
    }
    let count = |names: &[&str]| u32::try_from(names.len()).unwrap_or(u32::MAX);
    let tally = Tally {
        passed: count(&names) - count(&missed),
        failed: count(&missed),
    };
    if missed.is_empty() {
        let detail = format!("{} planted mistakes, each found", names.len());
        return Ok(Passed { detail, tally });
    }
    Err(Failure {
        summary: format!("not found: {}", missed.join(", ")),
        excerpt,
        tally,
    })
}

fn first_words(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("held")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plants_are_the_first_words_of_their_lines() {
        assert_eq!(
            first_words("record-short  ended too early\n\nindex-ignored\n"),
            ["record-short", "index-ignored"]
        );
    }

    #[test]
    fn the_closing_line_is_the_last_that_says_something() {
        assert_eq!(
            last_line("a\n 500 seeds, 0 wrong\n\n"),
            "500 seeds, 0 wrong"
        );
    }
}
