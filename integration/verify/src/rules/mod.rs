//! Who may depend on whom, and what may be depended on at all.
//!
//! | module | subject |
//! | --- | --- |
//! | [`graph`] | the direction of our own crates' dependencies, and what must never be below some of them |
//! | [`purity`] | the pure crates: their dependencies and the words of their source |
//! | [`licences`] | licences, bans and sources, from the same deny.toml that cargo-deny reads |
//! | [`manifests`] | what every crate takes from the workspace |

mod graph;
mod licences;
mod manifests;
mod metadata;
mod purity;

use crate::step::{Failure, Job, Passed};
use crate::workspace::has_program;

/// The step.
///
/// # Errors
/// All violations, each with what to do.
pub(crate) fn run(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let metadata = metadata::read(job)?;
    let mut wrong = manifests::check(job.workspace, &metadata)?;
    wrong.extend(graph::check(job, &metadata)?);
    wrong.extend(purity::check(job, &metadata)?);
    wrong.extend(licences::check(job, &metadata)?);
    if !wrong.is_empty() {
        return Err(Failure::one(
            format!("{} violations", wrong.len()),
            wrong.join("\n"),
        ));
    }
    if has_program("cargo-deny") {
        let check = [
            "deny",
            "--locked",
            "--offline",
            "check",
            "licenses",
            "bans",
            "sources",
        ];
        job.must(&mut job.workspace.cargo(&check))?;
    } else {
        job.note("cargo-deny is not installed; its checks of licences, bans and sources are done by our own rules");
    }
    let ours = metadata.ours().count();
    Ok(Passed::one(format!(
        "{ours} crates of ours, {} in all",
        metadata.packages.len()
    )))
}

/// The names in what `cargo tree --prefix none --format {p}` prints.
fn tree_names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Everything below a package in what is really built: `cargo metadata` names optional crates too that no feature asks for.
fn below(job: &mut Job<'_>, package: &str) -> Result<Vec<String>, Failure> {
    let call = [
        "tree",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    let text = job.capture(
        job.workspace
            .cargo(&call)
            .args(["--format", "{p}", "--locked"]),
    )?;
    let names = tree_names(&text)
        .into_iter()
        .filter(|name| *name != package);
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_tree_becomes_names() {
        let text = "had-core v0.1.0 (/x/had/core)\nserde v1.0.229\nserde v1.0.229 (*)\n\n";
        assert_eq!(super::tree_names(text), ["had-core", "serde"]);
    }
}
