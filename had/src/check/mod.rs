//! `had check`: what is wrong in the file, and what this host lacks.

mod host;

use had_config::Tls;

use crate::cli::Check;
use crate::daemon::{self, Problem};
use crate::tls::Files;

use host::Grade;

/// Prints everything that is wrong. Whether nothing is.
///
/// # Errors
/// Where the file cannot be read or is refused, or there is nothing to try the host with.
pub async fn check(asked: &Check) -> Result<bool, Problem> {
    let file = asked.file.as_ref().unwrap_or(&asked.config);
    let loaded = daemon::load(file).map_err(|problem| match problem {
        Problem::Configuration(errors) => {
            println!("{errors}");
            Problem::Configuration(format!("{} is refused", file.display()))
        }
        other => other,
    })?;
    for warning in &loaded.warnings {
        println!("{warning}\n");
    }
    let spec = &loaded.configuration.spec;
    println!(
        "{}: good: cluster {}, {}, {}",
        file.display(),
        spec.name,
        counted(spec.nodes.len(), "node"),
        counted(spec.groups.len(), "group")
    );
    if !asked.host {
        return Ok(true);
    }
    let node = daemon::node_name(asked.node.clone(), spec)?;
    let found = host::look(&loaded, &node, &asked.data_dir).await;
    for finding in &found {
        println!("{finding}");
    }
    let count = |grade| {
        found
            .iter()
            .filter(|finding| finding.grade == grade)
            .count()
    };
    let (bad, doubtful) = (count(Grade::Bad), count(Grade::Doubtful));
    let (errors, warnings) = (counted(bad, "error"), counted(doubtful, "warning"));
    println!("{node}: {errors}, {warnings}");
    Ok(bad == 0)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The paths of the file's `[cluster.tls]`.
#[must_use]
pub fn files(tls: &Tls) -> Files {
    Files {
        ca: tls.ca.clone(),
        cert: tls.cert.clone(),
        key: tls.key.clone(),
    }
}
