//! What `cargo metadata` says of every package in the graph.

use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::step::{Failure, Job};

/// The graph.
#[derive(Deserialize, Debug)]
pub(super) struct Metadata {
    /// All packages that are built on this platform.
    pub(super) packages: Vec<Package>,
}

impl Metadata {
    /// The packages of the workspace.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.source.is_none())
    }
}

/// One package.
#[derive(Deserialize, Clone, Debug)]
pub(super) struct Package {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) license: Option<String>,
    /// Where it comes from; `None` for a folder.
    pub(super) source: Option<String>,
    /// Its Cargo.toml.
    pub(super) manifest_path: PathBuf,
    /// What its manifest asks for.
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a manifest.
#[derive(Deserialize, Clone, Debug)]
pub(super) struct Dependency {
    /// The package.
    pub(super) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

/// Asks cargo.
///
/// # Errors
/// Cargo does not answer as expected.
pub(super) fn read(job: &mut Job<'_>) -> Result<Metadata, Failure> {
    let version = job.capture(job.workspace.command("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not name its host")?;
    let call = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    let text = job.capture(&mut job.workspace.cargo(&call))?;
    Ok(serde_json::from_str(&text).context("cargo metadata speaks otherwise")?)
}
