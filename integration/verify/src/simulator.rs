//! The simulated clusters: many seeds, the same seed again, and the mistakes that must be found.

use crate::step::{Failure, Job, Passed, Tally, tail};

/// How many histories are tried: as many as fit into the budget, with room for a slower machine.
const SEEDS: u64 = 500;

/// How long each is: a minute of the cluster's life, enough for every kind of fault and its healing.
const HEARTBEATS: &str = "600";

/// How many faults each meets, at the least.
const FAULTS: u64 = 50;

/// How many are repeated, and how often.
const REPEATED: (&str, &str) = ("0..3", "3");

/// Mistakes that must be among the planted ones: each cost somebody an overlap of owners, a place in a queue, or two groups
/// that must not meet.
const MUST_BE_PLANTED: [&str; 22] = [
    "record-ended-too-early",
    "new-leader-does-not-hold",
    "hold-shortened",
    "index-ignored",
    "own-proposals-left-out",
    "decided-in-two-steps",
    "lease-counted-from-receipt",
    "lease-length-changed-at-once",
    "pipelined-acknowledgement",
    "leader-restored",
    "wiped-votes-under-its-old-id",
    "vote-written-after-it-was-sent",
    "release-not-binding",
    "stop-confirmed-before-it-happened",
    "relative-gate-timeout",
    "unpinned-gate",
    "inherited-gate-forgotten",
    "guard-dies-with-the-daemon",
    "queue-forgets-its-order",
    "queue-lost-in-a-restart",
    "queue-lost-in-a-snapshot",
    "displaced-stays",
];

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
    let range = format!("0..{SEEDS}");
    let call = ["--seeds", &range, "--heartbeats", HEARTBEATS];
    let output = job.must(job.workspace.built(PROGRAM).args(call))?;
    enough(&output)
        .map(Passed::one)
        .map_err(|lack| Failure::one(lack, tail(&output)))
}

/// The simulator's own summary, where it tried as much as it should: `500 seeds of 600 heartbeats: 27000 faults (at least 54
/// each), …`.
fn enough(output: &str) -> Result<String, String> {
    let line = output.lines().find(|line| line.contains(" seeds of "));
    let line = line.ok_or("the simulator does not say how many seeds it tried")?;
    let number = |before: &str| {
        let text = line.split(before).next()?.rsplit(' ').next()?;
        text.parse::<u64>().ok()
    };
    let fewest = line
        .split_once("(at least ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    match (number(" seeds of "), fewest) {
        (Some(SEEDS), Some(fewest)) if fewest >= FAULTS => Ok(line.to_owned()),
        _ => Err(format!(
            "{SEEDS} seeds with {FAULTS} faults each were asked for: {line}"
        )),
    }
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
    let help = job.capture(job.workspace.built(PROGRAM).arg("--help"))?;
    let names = planted(&help);
    if let Some(gone) = MUST_BE_PLANTED.iter().find(|must| !names.contains(must)) {
        return Err(Failure::one(
            format!("the simulator does not plant {gone} any more"),
            help,
        ));
    }
    let range = format!("0..{SEEDS}");
    let (mut missed, mut excerpt) = (Vec::new(), String::new());
    for name in &names {
        let call = ["--plant", name, "--seeds", &range];
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

/// What `--plant` takes, from the help: `- NAME: what it does`, below the option.
fn planted(help: &str) -> Vec<&str> {
    let option = help
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("--plant"));
    let below = option
        .skip(1)
        .take_while(|line| !line.trim_start().starts_with("--"));
    let entries = below.filter_map(|line| line.trim_start().strip_prefix("- "));
    entries
        .filter_map(|entry| Some(entry.split_once(':')?.0))
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
    fn planted_mistakes_are_read_from_the_help() {
        let help = "\
      --seeds <A..B>
          - other: not this

      --plant <NAME>
          Plants this mistake

          Possible values:
          - index-ignored:   A lease counts before
            its time
          - leader-restored: A restarted leader leads on

      --nodes <N>
          - neither: this
";
        assert_eq!(planted(help), ["index-ignored", "leader-restored"]);
    }

    #[test]
    fn fewer_seeds_or_faults_than_promised_are_a_failure() {
        let said = |seeds: u64, fewest: u64| {
            enough(&format!(
                "\n{seeds} seeds of 600 heartbeats: 27000 faults (at least {fewest} each), 9 leaders; 1.0 s\nfine"
            ))
        };
        assert!(said(500, 50).unwrap().starts_with("500 seeds of 600"));
        assert!(said(499, 54).is_err());
        assert!(said(500, 49).is_err());
        assert!(enough("every promise is kept").is_err());
    }

    #[test]
    fn the_closing_line_is_the_last_that_says_something() {
        assert_eq!(
            last_line("a\n 500 seeds, 0 wrong\n\n"),
            "500 seeds, 0 wrong"
        );
    }
}
