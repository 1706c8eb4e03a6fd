//! `had check`: what is wrong in the file, and what this host lacks.

use std::net::TcpListener;

use had_config::{Loaded, Tls};
use had_core::ids::NodeName;
use had_gate::Rung;

use crate::cli::Check;
use crate::daemon::{self, Problem};
use crate::tls::{Files, Identity};

/// Prints everything that is wrong. Whether nothing is.
///
/// # Errors
/// Where the file cannot be read or is refused.
pub fn check(asked: &Check) -> Result<bool, Problem> {
    let loaded = daemon::load(&asked.config)?;
    for warning in &loaded.warnings {
        println!("{warning}\n");
    }
    let spec = &loaded.configuration.spec;
    println!(
        "{}: good: cluster {}, {} nodes, {} groups",
        asked.config.display(),
        spec.name,
        spec.nodes.len(),
        spec.groups.len()
    );
    if !asked.host {
        return Ok(true);
    }
    let node = daemon::node_name(asked.node.clone(), spec)?;
    let mut good = true;
    for (what, outcome) in host(&loaded, &node) {
        match outcome {
            Ok(said) => println!("{what}: {said}"),
            Err(why) => {
                good = false;
                println!("{what}: NOT GOOD: {why}");
            }
        }
    }
    Ok(good)
}

fn host(loaded: &Loaded, node: &NodeName) -> Vec<(String, Result<String, String>)> {
    let mut found = vec![("gate".to_owned(), gate(loaded))];
    if let Some(tls) = &loaded.local.tls {
        let outcome = Identity::load(&files(tls), node);
        let outcome = outcome.map(|_| "certificate, key and authority fit".to_owned());
        found.push(("tls".to_owned(), outcome.map_err(|error| error.to_string())));
    }
    let own = loaded.configuration.spec.node(node);
    for address in own.into_iter().flat_map(|node| &node.addresses) {
        let outcome = TcpListener::bind(address).map(|_| "can be listened on".to_owned());
        let outcome = outcome.map_err(|error| format!("{error} (does had run already?)"));
        found.push((format!("address {address}"), outcome));
    }
    found
}

fn gate(loaded: &Loaded) -> Result<String, String> {
    let wanted = daemon::preference(loaded.local.gate);
    let fits = |rung: Rung| match wanted {
        had_gate::Preference::Auto => rung != Rung::None,
        had_gate::Preference::Bpf => rung == Rung::Bpf,
        had_gate::Preference::Nft => rung == Rung::Nft,
        had_gate::Preference::None => rung == Rung::None,
    };
    let mut reasons = Vec::new();
    for (rung, outcome) in had_gate::probe()
        .into_iter()
        .filter(|(rung, _)| fits(*rung))
    {
        match outcome {
            Ok(()) if rung == Rung::None => {
                return Ok(
                    "none, as the file says: a frozen daemon can leave two owners".to_owned(),
                );
            }
            Ok(()) => return Ok(format!("{rung} works here")),
            Err(why) => reasons.push(format!("{rung}: {why}")),
        }
    }
    Err(reasons.join("; "))
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
