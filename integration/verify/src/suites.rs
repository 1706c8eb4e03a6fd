//! The tests of all crates, and the sum of what they say.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::step::{Failure, Job, Passed, Tally, tail};
use crate::workspace::Privileges;

/// Run in a step of their own, alone on the machine: they wait for what happens in real time.
const NETNS: [&str; 2] = ["had-netns", "had-uml"];

/// Where not even a user namespace can be made, the tests of these cannot run.
const NEED_NAMESPACES: [&str; 3] = ["had-gate", "had-net", "had-rig"];

/// How a test says that it did not show what it is there for; the rest of the line says why.
const LEFT_OUT: [&str; 2] = ["not run: ", "left out: "];

/// How both steps call cargo. They choose test targets by name and never a package: cargo then uses what the whole
/// workspace has built already, where for one package it would build the dependencies again with that package's features.
const CALL: [&str; 4] = ["test", "--workspace", "--no-fail-fast", "--locked"];

/// What the network tests start.
const BINARIES: [&str; 7] = [
    "build",
    "--workspace",
    "--locked",
    "--bin",
    "had",
    "--bin",
    "hactl",
];

/// Unit, namespace and documentation tests.
///
/// # Errors
/// One fails, is ignored, or there are none.
pub(crate) fn all_but_netns(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let mut without = Vec::new();
    if job.workspace.privileges() == Privileges::None {
        for package in NEED_NAMESPACES {
            without.push(package);
            job.leave_out(format!(
                "the tests of {package}: neither root nor a user namespace"
            ));
        }
    }
    let targets = targets(job)?;
    let excluded: Vec<&str> = without
        .iter()
        .flat_map(|package| ["--exclude", package])
        .collect();
    without.extend(NETNS);
    let names = targets
        .iter()
        .filter(|target| !without.contains(&target.package.as_str()));
    let chosen: Vec<&str> = names.flat_map(|target| ["--test", &target.name]).collect();
    let code = ["--lib", "--bins"];
    let tests = [
        &CALL[..],
        &excluded,
        &code,
        &chosen,
        &["--", "--show-output"],
    ]
    .concat();
    let documentation = [&CALL[..], &["--doc", "--", "--show-output"]].concat();
    suite(job, &[&tests, &documentation])
}

/// The real binaries on real packets.
///
/// # Errors
/// As above.
pub(crate) fn netns(job: &mut Job<'_>) -> Result<Passed, Failure> {
    if job.workspace.privileges() == Privileges::None {
        let names = NETNS.join(", ");
        job.leave_out(format!("{names}: neither root nor a user namespace"));
        return Ok(Passed {
            detail: "nothing ran".into(),
            tally: Tally::default(),
        });
    }
    let targets = targets(job)?;
    let (ours, others): (Vec<&Target>, _) = targets
        .iter()
        .partition(|target| NETNS.contains(&&*target.package));
    if let Some(none) = NETNS
        .iter()
        .find(|name| ours.iter().all(|target| target.package != **name))
    {
        return Err(Failure::one(format!("{none} has no tests"), ""));
    }
    if let Some(twice) = ours
        .iter()
        .find(|ours| others.iter().any(|other| other.name == ours.name))
    {
        let summary = format!("two packages have a test file `{}`: rename one", twice.name);
        return Err(Failure::one(summary, ""));
    }
    job.must(&mut job.workspace.cargo(&BINARIES))?;
    let chosen: Vec<&str> = ours
        .iter()
        .flat_map(|target| ["--test", &target.name])
        .collect();
    let options = ["--", "--test-threads=1", "--show-output"];
    suite(job, &[&[&CALL[..], &chosen, &options].concat()])
}

/// Runs calls of cargo and adds what they say.
fn suite(job: &mut Job<'_>, calls: &[&[&str]]) -> Result<Passed, Failure> {
    let (mut ok, mut output) = (true, String::new());
    for arguments in calls {
        let mut call = job.workspace.cargo(arguments);
        // Tests of the real binaries would build them again, with other features.
        call.env("HAD_BINARIES", job.workspace.target.join("debug"));
        let (succeeded, text) = job.does(&mut call)?;
        ok &= succeeded;
        output += &text;
    }
    for (why, tests) in left_out(&output) {
        job.leave_out(format!("{why}: {}", tests.join(", ")));
    }
    let counts = Counts::of(&output);
    match judge(ok, counts) {
        Ok(()) => Ok(Passed {
            detail: format!("{} passed, {} failed", counts.passed, counts.failed),
            tally: Tally {
                passed: counts.passed,
                failed: 0,
            },
        }),
        Err(summary) => Err(Failure {
            summary,
            excerpt: tail(&failures(&output).unwrap_or(output)),
            tally: Tally {
                passed: counts.passed,
                failed: counts.failed.max(1),
            },
        }),
    }
}

/// What a run of tests has to be.
fn judge(ok: bool, counts: Counts) -> Result<(), String> {
    let Counts {
        passed,
        failed,
        ignored,
    } = counts;
    if !ok || failed > 0 {
        return Err(format!(
            "{passed} passed, {failed} failed{}",
            aborted(failed)
        ));
    }
    if ignored > 0 {
        return Err(format!(
            "{ignored} tests are ignored: what nobody runs proves nothing"
        ));
    }
    if passed == 0 {
        return Err("there are no tests".into());
    }
    Ok(())
}

fn aborted(failed: u32) -> &'static str {
    if failed == 0 {
        "; something did not compile or ended before its result"
    } else {
        ""
    }
}

/// The sums of all `test result:` lines.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    fn of(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output
            .lines()
            .filter(|line| line.starts_with("test result:"))
        {
            sum.passed += number_before(line, " passed");
            sum.failed += number_before(line, " failed");
            sum.ignored += number_before(line, " ignored");
        }
        sum
    }
}

fn number_before(line: &str, word: &str) -> u32 {
    let Some((before, _)) = line.split_once(word) else {
        return 0;
    };
    let digits = before
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// Why tests left something out, and which. `--show-output` heads what each test wrote with its name.
fn left_out(output: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut test = "a test";
    for line in output.lines() {
        if let Some(head) = line.strip_prefix("---- ") {
            test = head.split(" stdout").next().unwrap_or(head);
        }
        if let Some(why) = LEFT_OUT.iter().find_map(|start| line.strip_prefix(start)) {
            found.entry(why).or_default().push(test);
        }
    }
    found
}

/// Only what failing tests wrote: from `failures:` to the result (the usual harness), and from a `FAILED` line to the
/// next test (had-rig's stories). `None` where there is no such thing, as when a crate does not compile.
fn failures(output: &str) -> Option<String> {
    let mut shown = Vec::new();
    let (mut listing, mut telling) = (false, false);
    for line in output.lines() {
        let result = line.starts_with("test result:");
        listing = (listing || line == "failures:") && !result;
        if line.starts_with("test ") {
            telling = line.contains(" ... FAILED (") || line.contains(" ... FAILED:");
        }
        if listing || telling || line.starts_with("test result: FAILED") {
            shown.push(line);
        }
    }
    (!shown.is_empty()).then(|| shown.join("\n"))
}

/// An integration test of a package.
#[derive(PartialEq, Eq, Debug)]
struct Target {
    package: String,
    name: String,
}

fn targets(job: &mut Job<'_>) -> Result<Vec<Target>, Failure> {
    const METADATA: [&str; 5] = ["metadata", "--no-deps", "--format-version", "1", "--locked"];
    let text = job.capture(&mut job.workspace.cargo(&METADATA))?;
    Ok(test_targets(&text)?)
}

fn test_targets(metadata: &str) -> anyhow::Result<Vec<Target>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        targets: Vec<Described>,
    }
    #[derive(Deserialize)]
    struct Described {
        name: String,
        kind: Vec<String>,
    }
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cargo metadata speaks otherwise")?;
    let mut found = Vec::new();
    for package in metadata.packages {
        let tests = package
            .targets
            .into_iter()
            .filter(|target| target.kind == ["test"]);
        found.extend(tests.map(|test| Target {
            package: package.name.clone(),
            name: test.name,
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "\
running 2 tests
test a ... ok
test b ... FAILED

successes:

---- a stdout ----
much

failures:

---- b stdout ----
b says why

failures:
    b

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s
";

    const STORIES: &str = "\
running 3 tests
test owner_is_cut ... ok (1.2 s)
test owner_freezes ... FAILED (9.0 s): failed
two owners at once
test carrier_is_lost ... ok (2.0 s)

test result: FAILED. 2 passed; 1 failed; 0 filtered out; finished in 12.20s
";

    #[test]
    fn results_of_both_harnesses_are_added() {
        let usual = Counts {
            passed: 3,
            failed: 1,
            ignored: 1,
        };
        assert_eq!(Counts::of(USUAL), usual);
        assert_eq!(
            Counts::of(STORIES),
            Counts {
                passed: 2,
                failed: 1,
                ignored: 0
            }
        );
        assert_eq!(Counts::of(&format!("{USUAL}{STORIES}")).passed, 5);
    }

    #[test]
    fn what_failing_tests_say_is_shown_and_the_rest_is_not() {
        let shown = failures(USUAL).unwrap();
        assert!(
            shown.contains("b says why") && !shown.contains("much"),
            "{shown}"
        );
        let shown = failures(STORIES).unwrap();
        assert!(
            shown.contains("two owners at once") && !shown.contains("carrier"),
            "{shown}"
        );
        assert_eq!(failures("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn tests_that_left_something_out_are_named_by_their_reason() {
        let output = "---- tcx::silence stdout ----\nnot run: no BPF\n\n---- plain stdout ----\nfine\n\
            ---- clsact::silence stdout ----\nnot run: no BPF\nnot running\n";
        let found = left_out(output);
        assert_eq!(found.len(), 1);
        assert_eq!(found["no BPF"], ["tcx::silence", "clsact::silence"]);
    }

    #[test]
    fn ignored_tests_no_tests_and_a_crash_are_failures() {
        let fine = Counts {
            passed: 3,
            failed: 0,
            ignored: 0,
        };
        assert_eq!(judge(true, fine), Ok(()));
        assert!(
            judge(false, fine)
                .unwrap_err()
                .contains("did not compile or ended")
        );
        assert!(judge(true, Counts { ignored: 1, ..fine }).is_err());
        assert!(judge(true, Counts::default()).is_err());
        assert!(judge(true, Counts { failed: 1, ..fine }).is_err());
    }

    #[test]
    fn integration_tests_are_told_from_other_targets() {
        let metadata = r#"{"packages":[
            {"name":"a","targets":[{"name":"a","kind":["lib"]},{"name":"faults","kind":["test"]}]},
            {"name":"b","targets":[{"name":"other","kind":["test"]}]}]}"#;
        let target = |package: &str, name: &str| Target {
            package: package.into(),
            name: name.into(),
        };
        let expected = [target("a", "faults"), target("b", "other")];
        assert_eq!(test_targets(metadata).unwrap(), expected);
    }
}
