//! The tree after the verification against the tree before it.
//!
//! The content of every file is compared, not what git says of it: that finds ignored files too, needs no git, and holds
//! for root in somebody else's checkout. Whoever edits meanwhile is found as well, and rightly: half of the steps did
//! not see what the other half saw.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::step::{Failure, Job, Passed};

/// The hash of every file of a tree.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, u64>);

impl Snapshot {
    /// Reads every file.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn take(root: &Path) -> Result<Self> {
        let mut hashes = BTreeMap::new();
        for path in files(root)? {
            let mut hasher = DefaultHasher::new();
            let full = root.join(&path);
            let content =
                fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
            content.hash(&mut hasher);
            hashes.insert(path, hasher.finish());
        }
        Ok(Self(hashes))
    }

    /// What another snapshot shows differently.
    fn changes(&self, after: &Self) -> Vec<String> {
        let gone = self.0.keys().filter(|path| !after.0.contains_key(*path));
        let gone = gone.map(|path| format!("removed: {}", path.display()));
        let other = after
            .0
            .iter()
            .filter_map(|(path, hash)| match self.0.get(path) {
                None => Some(format!("added: {}", path.display())),
                Some(before) if before != hash => Some(format!("changed: {}", path.display())),
                Some(_) => None,
            });
        gone.chain(other).collect()
    }
}

/// Every file of the checkout but git's own and what cargo builds, relative to the root, sorted.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        let entries =
            fs::read_dir(&full).with_context(|| format!("cannot list {}", full.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", full.display()))?;
            let path = folder.join(entry.file_name());
            if path == Path::new(".git") || path == Path::new("target") {
                continue;
            }
            let kind = entry
                .file_type()
                .with_context(|| format!("cannot look at {}", path.display()))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The step.
///
/// # Errors
/// A file changed, came or went.
pub(crate) fn run(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let before = job
        .workspace
        .before
        .as_ref()
        .context("no snapshot was taken at the start")?;
    let after = Snapshot::take(&job.workspace.root)?;
    let changes = before.changes(&after);
    if changes.is_empty() {
        return Ok(Passed::one(format!("{} files as they were", after.0.len())));
    }
    Err(Failure::one(
        "the tree changed while it was verified",
        changes.join("\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_named_and_the_target_folder_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["src", "target", ".git"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        fs::write(root.join("src/kept"), "1").unwrap();
        fs::write(root.join("src/changed"), "1").unwrap();
        fs::write(root.join("src/removed"), "1").unwrap();
        let before = Snapshot::take(root).unwrap();
        assert!(before.changes(&Snapshot::take(root).unwrap()).is_empty());
        fs::write(root.join("src/changed"), "2").unwrap();
        fs::remove_file(root.join("src/removed")).unwrap();
        fs::write(root.join("src/added"), "1").unwrap();
        fs::write(root.join("target/built"), "1").unwrap();
        fs::write(root.join(".git/index"), "1").unwrap();
        let changes = before.changes(&Snapshot::take(root).unwrap());
        assert_eq!(
            changes,
            [
                "removed: src/removed",
                "added: src/added",
                "changed: src/changed"
            ]
        );
    }
}
