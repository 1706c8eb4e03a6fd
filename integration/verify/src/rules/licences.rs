//! Licences, bans and sources, from deny.toml.
//!
//! cargo-deny reads the same file, but is on few machines; so what matters of it is done here.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::step::{Failure, Job};

use super::metadata::{Metadata, Package};
use super::tree_names;

/// The parts of deny.toml that are read here.
#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Checks every package of the graph.
///
/// # Errors
/// deny.toml cannot be read, or cargo does not answer.
pub(super) fn check(job: &mut Job<'_>, metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let policy = policy(&job.workspace.read("deny.toml")?)?;
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        wrong.extend(licence(package, &policy.licenses.allow));
        wrong.extend(source(package, &policy.sources.allow_registry));
    }
    // What is built, not what is locked: optional crates that no feature asks for stand in Cargo.lock too.
    let call = [
        "tree",
        "--workspace",
        "--edges",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let text = job.capture(job.workspace.cargo(&call).arg("--locked"))?;
    wrong.extend(banned(&tree_names(&text), &policy.bans.deny));
    Ok(wrong)
}

fn policy(text: &str) -> Result<Policy> {
    toml::from_str(text).context("deny.toml")
}

fn licence(package: &Package, allowed: &[String]) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(expression) = &package.license else {
        return Some(format!("licence: {name} {version} names none"));
    };
    match permits(expression, allowed) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "licence: {name} {version} is under {expression}, which deny.toml does not allow"
        )),
        Err(error) => Some(format!("licence: {name} {version}: {error}")),
    }
}

fn source(package: &Package, allowed: &[String]) -> Option<String> {
    let source = package.source.as_ref()?;
    let registry = source.strip_prefix("registry+").unwrap_or(source);
    let known = allowed.iter().any(|allowed| allowed == registry);
    let Package { name, version, .. } = package;
    (!known).then(|| format!("source: {name} {version} comes from {source}"))
}

fn banned(names: &[&str], bans: &[Ban]) -> Vec<String> {
    bans.iter()
        .filter(|ban| names.contains(&ban.name.as_str()))
        .map(|ban| format!("ban: {} is in the graph: {}", ban.name, ban.reason))
        .collect()
}

/// Whether the allowed licences satisfy an SPDX expression (SPDX 3.0 annex D; `/` is crates.io's old `OR`).
fn permits(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        allowed,
    };
    let value = parser.any()?;
    if !parser.words.is_empty() {
        bail!("{expression:?} is no SPDX expression");
    }
    Ok(value)
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl<'a> Parser<'a> {
    fn next_is(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn next(&mut self) -> Result<&'a str> {
        let (first, rest) = self
            .words
            .split_first()
            .context("the expression ends too early")?;
        self.words = rest;
        Ok(first)
    }

    fn any(&mut self) -> Result<bool> {
        let mut value = self.all()?;
        while self.next_is("OR") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool> {
        let mut value = self.one()?;
        while self.next_is("AND") {
            value &= self.one()?;
        }
        Ok(value)
    }

    fn one(&mut self) -> Result<bool> {
        if self.next_is("(") {
            let value = self.any()?;
            if !self.next_is(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(value);
        }
        let mut name = self.next()?.to_owned();
        if self.next_is("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Ok(self.allowed.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn permitted(expression: &str) -> bool {
        permits(
            expression,
            &["MIT".into(), "Apache-2.0".into(), "ISC".into()],
        )
        .unwrap()
    }

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "ISC AND (Apache-2.0 OR GPL-3.0)",
        ] {
            assert!(permitted(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "ISC AND (BSD-3-Clause OR GPL-3.0)",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 OR MIT AND LGPL-3.0",
        ] {
            assert!(!permitted(bad), "{bad}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "MIT WITH"] {
            assert!(permits(broken, &[]).is_err(), "{broken}");
        }
    }

    fn package(license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: "guest".into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            manifest_path: PathBuf::new(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_foreign_licence_and_a_missing_one_are_found() {
        let allowed = ["MIT".to_owned()];
        assert_eq!(licence(&package(Some("MIT"), None), &allowed), None);
        assert!(licence(&package(Some("GPL-3.0"), None), &allowed).is_some());
        assert!(licence(&package(None, None), &allowed).is_some());
    }

    #[test]
    fn a_source_that_is_not_the_registry_is_found() {
        let allowed = ["https://example.org/index".to_owned()];
        let from = |origin: &str| source(&package(None, Some(origin)), &allowed);
        assert_eq!(from("registry+https://example.org/index"), None);
        assert!(from("registry+https://elsewhere.org/index").is_some());
        assert!(from("git+https://example.org/index?rev=1#1").is_some());
        assert_eq!(source(&package(None, None), &allowed), None);
    }

    #[test]
    fn a_second_crypto_provider_is_found() {
        let policy = policy(include_str!("../../../../deny.toml")).unwrap();
        assert!(banned(&["aws-lc-rs", "serde"], &policy.bans.deny).is_empty());
        let found = banned(&["aws-lc-rs", "ring"], &policy.bans.deny);
        assert!(
            found.len() == 1 && found[0].contains("one crypto provider"),
            "{found:?}"
        );
    }
}
