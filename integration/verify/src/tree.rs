//! What may stand in the tree: nothing unfinished, nothing of one machine, nothing overgrown; and every program that is
//! started by name is one that we know where to get.

use std::path::Path;

use anyhow::Context;

use crate::packages::PACKAGES;
use crate::rust;
use crate::step::{Failure, Job, Passed};
use crate::untouched::files;

/// A longer file usually has two subjects. A warning, not a failure.
const LONG_LINES: usize = 600;

/// Files that nobody writes by hand.
const GENERATED: [&str; 1] = ["Cargo.lock"];

/// Marks of unfinished work. Put together here, so that this file does not carry them.
const MARKS: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("allow(dead", "_code"),
];

/// Home folders: paths that exist on one machine only.
const HOMES: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

/// Programs that stand on every Debian (essential packages), or come with Rust.
const AT_HAND: [&str; 10] = [
    "apt-get", "cargo", "cat", "rustc", "setsid", "sh", "sleep", "timeout", "true", "unshare",
];

/// The step.
///
/// # Errors
/// All that is wrong, each with its place.
pub(crate) fn run(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let root = job.workspace.root.clone();
    let paths = files(&root)?;
    let mut wrong = Vec::new();
    for path in &paths {
        let bytes = std::fs::read(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        if GENERATED.iter().any(|name| path == Path::new(name)) {
            continue;
        }
        let lines = text.lines().count();
        if lines > LONG_LINES {
            job.note(format!(
                "{} has {lines} lines: does it still have one subject?",
                path.display()
            ));
        }
        wrong.extend(complaints(path, &text, &root));
    }
    if wrong.is_empty() {
        return Ok(Passed::one(format!("{} files", paths.len())));
    }
    Err(Failure::one(
        format!("{} places", wrong.len()),
        wrong.join("\n"),
    ))
}

/// What is wrong with one file, as `path:line: what`.
fn complaints(path: &Path, text: &str, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    for (index, line) in text.lines().enumerate() {
        let mut say =
            |what: String| found.push(format!("{}:{}: {what}", path.display(), index + 1));
        if let Some(mark) = MARKS.iter().find(|mark| has_mark(line, mark)) {
            say(format!("unfinished: `{mark}`"));
        }
        if let Some(home) = machine_path(line, root) {
            say(format!("a path of one machine: `{home}`"));
        }
    }
    if is_rust {
        for (line, program) in programs(text) {
            if !is_known(&program) {
                let what = format!("starts `{program}`: name its Debian package in packages.rs");
                found.push(format!("{}:{line}: {what}", path.display()));
            }
        }
    }
    found
}

/// A mark of letters alone must stand as a word: temporary file names such as `had.XXXXXX` are none.
fn has_mark(line: &str, mark: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = mark.chars().all(is_word);
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + mark.len()..].chars().next();
        !alone || !(before.is_some_and(is_word) || after.is_some_and(is_word))
    })
}

/// A path into somebody's home, or to this checkout where it lies deeper than one folder.
fn machine_path(line: &str, root: &Path) -> Option<String> {
    let root = root.to_string_lossy();
    let deep = root.matches('/').count() > 1;
    let mut homes: Vec<&str> = HOMES.to_vec();
    if deep {
        homes.push(&root);
    }
    homes
        .into_iter()
        .find(|home| starts_a_path(line, home))
        .map(str::to_owned)
}

/// Whether `path` stands in the line and is not the middle of a longer path or of an address.
fn starts_a_path(line: &str, path: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '~' | '}');
    line.match_indices(path)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(continues))
}

/// The programs that `Command::new("…")` names, with their lines.
fn programs(source: &str) -> Vec<(usize, String)> {
    const CALL: &str = "Command::new(\"";
    let code = rust::code(source, true);
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            line.match_indices(CALL).map(move |(at, _)| {
                let name = &line[at + CALL.len()..];
                (
                    index + 1,
                    name.split('"').next().unwrap_or_default().to_owned(),
                )
            })
        })
        .collect()
}

fn is_known(program: &str) -> bool {
    AT_HAND.contains(&program) || PACKAGES.iter().any(|package| package.program == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complain(name: &str, text: &str) -> String {
        complaints(Path::new(name), text, Path::new("/srv/checkout")).join("\n")
    }

    #[test]
    fn every_unfinished_mark_is_found_with_its_line() {
        for mark in MARKS {
            let found = complain("a.rs", &format!("fine\n    // {mark} later"));
            assert!(found.starts_with("a.rs:2: unfinished"), "{mark}: {found}");
        }
        assert_eq!(complain("a.sh", "mktemp had.XXXXXX"), "");
    }

    #[test]
    fn paths_of_one_machine_are_found_and_others_are_not() {
        for home in HOMES {
            assert!(
                complain("a.md", &format!("see `{home}joe/x`")).contains("one machine"),
                "{home}"
            );
        }
        assert!(complain("a.md", "in /srv/checkout/target").contains("one machine"));
        assert_eq!(
            complain("a.rs", "/var/lib/had, https://x/home/y, {base}/root/z"),
            ""
        );
    }

    #[test]
    fn an_unknown_program_must_be_named_in_the_packages() {
        let found = complain("a.rs", "    Command::new(\"ethtool\").arg(\"eth0\")");
        assert!(found.contains("a.rs:1: starts `ethtool`"), "{found}");
        assert_eq!(
            complain("a.rs", "Command::new(\"nft\"); // Command::new(\"other\")"),
            ""
        );
    }
}
