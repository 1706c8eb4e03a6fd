//! The direction of dependencies: `had → core → policies`, `hactl → config, proto, policies`, `sim → consensus, core`.

use crate::step::{Failure, Job};

use super::below;
use super::metadata::{Metadata, Package};

/// What each crate of ours may name among ours. A new crate says here where it stands.
const MAY_NAME: [(&str, &[&str]); 16] = [
    ("had-policies", &[]),
    ("had-proto", &[]),
    ("had-gate", &[]),
    ("had-core", &["had-policies"]),
    ("had-config", &["had-core", "had-policies"]),
    ("had-consensus", &["had-core"]),
    ("had-net", &["had-core"]),
    (
        "had",
        &[
            "had-config",
            "had-consensus",
            "had-core",
            "had-gate",
            "had-net",
            "had-policies",
            "had-proto",
        ],
    ),
    (
        "hactl",
        &["had-config", "had-core", "had-policies", "had-proto"],
    ),
    ("had-rig", &[]),
    ("had-sim", &["had-consensus", "had-core", "had-policies"]),
    ("had-model", &[]),
    ("had-netns", &["had-rig"]),
    ("had-uml", &["had-netns", "had-rig"]),
    ("had-demo", &["had-netns", "had-rig"]),
    ("had-verify", &[]),
];

/// Tests of any crate may lay networks.
const FOR_TESTS: &str = "had-rig";

/// What must not stand anywhere below a crate (a name, or the beginning of one before `*`), and why.
const NEVER_BELOW: [(&str, &[&str], &str); 4] = [
    (
        "had-sim",
        &[
            "tonic",
            "hyper",
            "rtnetlink",
            "netlink-*",
            "had-net",
            "had-gate",
            "had-proto",
        ],
        "the simulator builds without gRPC and netlink",
    ),
    (
        "had-consensus",
        &["tonic", "hyper", "rtnetlink", "netlink-*"],
        "the simulator shares it, and knows no gRPC and no netlink",
    ),
    (
        "hactl",
        &["had", "openraft", "redb", "rtnetlink", "netlink-*"],
        "the command line asks a daemon, it is none",
    ),
    (
        "had-config",
        &["tokio", "tonic", "hyper"],
        "reading a file needs no runtime",
    ),
];

/// Checks both tables.
///
/// # Errors
/// Cargo does not answer.
pub(super) fn check(job: &mut Job<'_>, metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let ours: Vec<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong: Vec<String> = metadata
        .ours()
        .flat_map(|package| named(package, &ours))
        .collect();
    for (package, never, because) in NEVER_BELOW {
        if !ours.contains(&package) {
            wrong.push(format!(
                "direction: the rules name {package}, which is no crate of ours"
            ));
            continue;
        }
        wrong.extend(forbidden(package, &below(job, package)?, never, because));
    }
    Ok(wrong)
}

fn named(package: &Package, ours: &[&str]) -> Vec<String> {
    let name = &package.name;
    let Some((_, may)) = MAY_NAME.iter().find(|(crate_name, _)| crate_name == name) else {
        return vec![format!(
            "direction: {name} is new: say in graph.rs what it may depend on"
        )];
    };
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|dependency| ours.contains(&dependency.name.as_str()))
        .filter(|dependency| !may.contains(&dependency.name.as_str()))
        .filter(|dependency| {
            !(dependency.kind.as_deref() == Some("dev") && dependency.name == FOR_TESTS)
        })
        .map(|dependency| format!("direction: {name} must not depend on {}", dependency.name))
        .collect()
}

fn forbidden(package: &str, below: &[String], never: &[&str], because: &str) -> Vec<String> {
    let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    below
        .iter()
        .filter(|name| never.iter().any(|pattern| matches(pattern, name)))
        .map(|name| format!("direction: {package} draws in {name}; {because}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;
    use std::path::PathBuf;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            source: None,
            manifest_path: PathBuf::new(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    const OURS: [&str; 4] = ["had-core", "had-policies", "had-net", "had-rig"];

    #[test]
    fn a_dependency_against_the_direction_is_found() {
        let good = package("had-core", &[("had-policies", None), ("serde", None)]);
        assert!(named(&good, &OURS).is_empty());
        let bad = package("had-policies", &[("had-core", None)]);
        assert_eq!(
            named(&bad, &OURS),
            ["direction: had-policies must not depend on had-core"]
        );
        let for_tests_too = package("had-core", &[("had-net", Some("dev"))]);
        assert_eq!(named(&for_tests_too, &OURS).len(), 1);
    }

    #[test]
    fn only_tests_may_lay_networks() {
        assert!(named(&package("had-net", &[("had-rig", Some("dev"))]), &OURS).is_empty());
        assert_eq!(
            named(&package("had-net", &[("had-rig", None)]), &OURS).len(),
            1
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        assert!(named(&package("had-new", &[]), &OURS)[0].contains("had-new is new"));
    }

    #[test]
    fn what_is_drawn_in_indirectly_is_found() {
        let below = [
            "netlink-sys".to_owned(),
            "serde".to_owned(),
            "tonic".to_owned(),
        ];
        let found = forbidden("had-sim", &below, &["tonic", "netlink-*"], "why");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("had-sim draws in netlink-sys; why"));
        assert!(forbidden("had-sim", &below, &["tonic-build"], "why").is_empty());
    }
}
