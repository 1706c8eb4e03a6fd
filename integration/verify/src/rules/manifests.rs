//! What every crate takes from the workspace: versions, lints, licence, and the versions of what it depends on.

use std::fs;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::workspace::Workspace;

use super::metadata::Metadata;

/// Keys of `[package]` that stand once, in the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Tables of dependencies.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks every manifest of the workspace.
///
/// # Errors
/// A manifest cannot be read.
pub(super) fn check(workspace: &Workspace, metadata: &Metadata) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in metadata.ours() {
        let path = &package.manifest_path;
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path.strip_prefix(&workspace.root).unwrap_or(path);
        wrong.extend(complaints(&shown.display().to_string(), &text)?);
    }
    Ok(wrong)
}

fn complaints(path: &str, manifest: &str) -> Result<Vec<String>> {
    let manifest: Table = manifest
        .parse()
        .with_context(|| format!("{path} is no TOML"))?;
    let mut wrong = Vec::new();
    for key in INHERITED {
        if !inherits(manifest.get("package").and_then(|package| package.get(key))) {
            wrong.push(format!(
                "manifest: {path}: `{key}.workspace = true` is missing"
            ));
        }
    }
    if !inherits(manifest.get("lints")) {
        wrong.push(format!(
            "manifest: {path}: `[lints] workspace = true` is missing"
        ));
    }
    for table in DEPENDENCIES {
        let dependencies = manifest
            .get(table)
            .and_then(Value::as_table)
            .into_iter()
            .flatten();
        for (name, _) in dependencies.filter(|(_, value)| !inherits(Some(value))) {
            wrong.push(format!(
                "manifest: {path}: {name} takes no version from the workspace"
            ));
        }
    }
    if manifest.contains_key("target") {
        wrong.push(format!(
            "manifest: {path}: dependencies of single targets escape these rules"
        ));
    }
    Ok(wrong)
}

fn inherits(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[package]
name = "had-core"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true

[dependencies]
serde.workspace = true
tokio = { workspace = true, features = ["io-std"] }
"#;

    #[test]
    fn a_manifest_that_inherits_is_fine() {
        assert!(complaints("x", GOOD).unwrap().is_empty());
    }

    #[test]
    fn whatever_does_not_inherit_is_found() {
        for (good, bad) in [
            ("version.workspace = true", "version = \"0.2.0\""),
            ("rust-version.workspace = true", ""),
            ("[lints]\nworkspace = true", ""),
            (
                "[lints]\nworkspace = true",
                "[lints.rust]\nmissing_docs = \"allow\"",
            ),
            ("serde.workspace = true", "serde = \"1\""),
            (
                "[dependencies]\nserde",
                "[dev-dependencies]\nrand = \"0.8\"\n[dependencies]\nserde",
            ),
            (
                "[dependencies]",
                "[target.'cfg(unix)'.dependencies]\n[dependencies]",
            ),
        ] {
            let found = complaints("x", &GOOD.replacen(good, bad, 1)).unwrap();
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
        }
    }
}
