//! `cluster.toml` parsed into checked types.
//!
//! ```text
//!  text ──▶ toml's table with spans ──▶ cluster, node, group, resource: keys and values ──▶ check: names, numbers and
//!                     │                                   │                                    │ circles across the file
//!                     └───────────────────────────────────┴──────────▶ findings ◀──────────────┘
//! ```
//!
//! All errors are found at once; each says where it is and what to write instead. What comes out of [`load`] holds no
//! contradiction: nobody checks it a second time.
//!
//! Keys that [`Loaded`] has no place for yet are refused, never ignored.

mod check;
mod cluster;
mod duration;
mod environment;
mod finding;
mod group;
mod hash;
mod local;
mod node;
mod resource;
mod section;
mod similar;
mod values;

use std::path::{Path, PathBuf};

use had_core::spec::ClusterSpec;
use had_core::state::Configuration;
use toml::de::DeTable;

pub use environment::{EnvironmentError, VARIABLES};
pub use finding::{Errors, Finding};
pub use local::{GatePreference, Local, Tls};

use finding::{Findings, Source};
use section::{Keys, Section};

const KEYS: Keys = Keys {
    known: &["cluster", "node", "group"],
    ..Keys::NONE
};

/// What a file says, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// What the whole cluster must agree on, with its hash.
    pub configuration: Configuration,
    /// What belongs to this host.
    pub local: Local,
    /// What is allowed and yet worth a word.
    pub warnings: Vec<Finding>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read and is refused.
    #[error(transparent)]
    Refused(#[from] Errors),
}

/// Reads and checks a file.
///
/// # Errors
/// Where the file cannot be read, or with everything that is wrong in it.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(parse(path, &text)?)
}

/// Checks a file's text. `path` is named in the findings, and relative paths in the file start at its folder.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(path: &Path, text: &str) -> Result<Loaded, Errors> {
    let source = Source::new(path, text);
    let mut findings = Findings::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        findings.syntax(error.message(), error.span().unwrap_or(0..0));
    }
    // After a broken line the table may lack what the file has: nothing is said about its meaning.
    let read = if findings.is_clean() {
        read(path, &table, &mut findings)
    } else {
        None
    };
    let (errors, warnings) = findings.finish(&source);
    match read {
        Some((spec, local)) if errors.is_empty() => Ok(Loaded {
            configuration: Configuration {
                hash: hash::of(&spec),
                spec,
            },
            local,
            warnings,
        }),
        _ => Err(Errors {
            path: path.to_owned(),
            errors,
        }),
    }
}

/// Everything the file says; `None` only beside an error.
fn read(
    path: &Path,
    table: &toml::Spanned<DeTable<'_>>,
    findings: &mut Findings,
) -> Option<(ClusterSpec, Local)> {
    let file = Section::open("the file", table.get_ref(), 0..0, KEYS, findings);
    let cluster = cluster::read(&file, path.parent().unwrap_or(Path::new("")), findings);
    let nodes = node::read(&file, findings);
    let groups = group::read(&file, findings);
    check::file(&nodes, &groups, findings);
    let cluster = cluster?;
    let spec = ClusterSpec {
        name: cluster.name,
        timing: cluster.timing,
        nodes: nodes
            .into_iter()
            .map(node::Node::into_spec)
            .collect::<Option<_>>()?,
        groups: groups
            .into_iter()
            .map(|group| group.into_spec(cluster.on_quorum_loss))
            .collect::<Option<_>>()?,
    };
    Some((spec, cluster.local))
}
