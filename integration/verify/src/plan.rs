//! The steps, in the order that finds a mistake soonest, each with its budget.
//!
//! The budgets add up to less than thirty minutes on two cores from an empty target folder; the test below adds them.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::step::Step;
use crate::{cargo, environment, packages, rules, simulator, suites, tree, untouched};

macro_rules! steps {
    ($($name:literal: $seconds:literal s because $because:literal, needs $needs:expr,
       $about:literal => $run:path;)*) => {
        vec![$(Step {
            name: $name,
            about: $about,
            budget: Duration::from_secs($seconds),
            because: $because,
            needs: &$needs,
            run: $run,
        }),*]
    };
}

/// All steps.
pub(crate) fn steps() -> Vec<Step> {
    steps! {
        "environment": 20 s because "it asks a few programs for their versions", needs [],
            "Rust with its components, a C compiler, what this user may do" => environment::run;
        "crates": 70 s because "a clean machine downloads about 100 MB", needs ["environment"],
            "Cargo.lock fits the manifests and its crates are here" => cargo::crates;
        "packages": 70 s because "apt-get downloads a few MB from a mirror that may be slow", needs [],
            "the Debian packages that tests use; installed as root" => packages::run;
        "format": 10 s because "it only reads", needs ["environment"],
            "cargo fmt --all --check" => cargo::format;
        "tree": 10 s because "it only reads", needs [],
            "no unfinished marks, no paths of one machine, no overgrown files" => tree::run;
        "rules": 40 s because "a dozen calls of cargo tree", needs ["crates"],
            "who may depend on whom, pure crates, licences, one crypto provider" => rules::run;
        "build": 440 s because "300 crates and a C library, optimised", needs ["crates"],
            "every crate, program and test compiles" => cargo::build;
        "lints": 210 s because "a second pass over 300 crates without code generation", needs ["crates"],
            "cargo clippy --workspace --all-targets with warnings denied" => cargo::lints;
        "docs": 60 s because "our own crates only", needs ["crates"],
            "cargo doc --no-deps --workspace with warnings denied" => cargo::docs;
        "tests": 180 s because "unit, namespace and documentation tests of all crates but had-netns and had-uml", needs ["build", "packages"],
            "the tests of all crates but had-netns and had-uml" => suites::all_but_netns;
        "simulator": 180 s because "500 seeds of 600 heartbeats; with its two sisters below 300 s", needs ["build"],
            "500 seeds with faults: no two owners, nothing lost" => simulator::seeds;
        "repeat": 20 s because "three seeds, three times", needs ["build"],
            "the same seed gives the same history" => simulator::repeat;
        "plants": 100 s because "each ends at the first seed that finds it", needs ["build"],
            "each mistake planted by hand is found" => simulator::plants;
        "netns": 315 s because "some sixty stories, one after the other, in real time, and half a minute of chaos", needs ["build", "packages"],
            "the real binaries in network namespaces, or on a kernel of their own, one test at a time" => suites::netns;
        "untouched": 10 s because "it only reads", needs [],
            "the tree is as it was before" => untouched::run;
    }
}

/// Those of the steps that were asked for; all where nothing was.
///
/// # Errors
/// A name that no step has.
pub(crate) fn choose(steps: Vec<Step>, only: &[String]) -> Result<Vec<Step>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| steps.iter().all(|step| step.name != **name))
    {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        bail!(
            "there is no step `{unknown}`; the steps are {}",
            names.join(", ")
        );
    }
    let asked = |step: &Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(steps.into_iter().filter(asked).collect())
}

/// The steps for people.
pub(crate) fn listing(steps: &[Step]) -> String {
    let line = |step: &Step| {
        let seconds = step.budget.as_secs();
        format!(
            "{:<12} {}\n{:12} budget {seconds} s: {}\n",
            step.name, step.about, "", step.because
        )
    };
    steps.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `.ci/run` may take.
    const WHOLE: Duration = Duration::from_mins(30);

    /// Compiling this program itself, before its first step, from an empty target folder on two cores.
    const OURSELVES: Duration = Duration::from_secs(60);

    /// What all the simulator's steps may take together.
    const SIMULATOR: Duration = Duration::from_mins(5);

    fn sum(names: &[&str]) -> Duration {
        let named = |step: &Step| names.is_empty() || names.contains(&step.name);
        steps()
            .into_iter()
            .filter(named)
            .map(|step| step.budget)
            .sum()
    }

    #[test]
    fn the_budgets_fit_into_half_an_hour() {
        let all = sum(&[]) + OURSELVES;
        assert!(all <= WHOLE, "{all:?}");
        assert!(sum(&["simulator", "repeat", "plants"]) <= SIMULATOR);
    }

    #[test]
    fn steps_need_only_what_comes_before_them() {
        let steps = steps();
        for (at, step) in steps.iter().enumerate() {
            for need in step.needs {
                assert!(
                    steps[..at].iter().any(|before| before.name == *need),
                    "{} needs {need}",
                    step.name
                );
            }
        }
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let error = choose(steps(), &["lint".into()]).err().unwrap().to_string();
        assert!(
            error.contains("no step `lint`") && error.contains("lints"),
            "{error}"
        );
        let chosen = choose(steps(), &["tests".into(), "lints".into()]).unwrap();
        assert_eq!(
            chosen.iter().map(|step| step.name).collect::<Vec<_>>(),
            ["lints", "tests"]
        );
    }
}
