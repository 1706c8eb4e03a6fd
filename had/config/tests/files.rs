//! Files that are refused, with everything said about them, and files that are accepted, with what they mean.
//!
//! `HAD_REWRITE=1 cargo test -p had-config` writes the expectations anew; read the difference before you commit it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use had_config::{Finding, Loaded, parse};
use had_core::spec::{ClusterSpec, InterfaceSpec, PolicySpec, ResourceKind};

/// Fewer files than these mean that the runner looks in the wrong place.
const REFUSED_AT_LEAST: usize = 65;
const ACCEPTED_AT_LEAST: usize = 14;

#[test]
fn every_refused_file_is_told_what_is_wrong() {
    compare("refused", REFUSED_AT_LEAST, |name, text| {
        match parse(Path::new(name), text) {
            Ok(_) => "accepted\n".to_owned(),
            Err(errors) => format!("{errors}\n"),
        }
    });
}

#[test]
fn every_accepted_file_means_what_it_says() {
    compare("accepted", ACCEPTED_AT_LEAST, |name, text| {
        match parse(Path::new(name), text) {
            Ok(loaded) => render(&loaded),
            Err(errors) => format!("refused\n{errors}\n"),
        }
    });
}

#[test]
fn every_error_and_warning_says_what_to_write_instead() {
    let complete = |finding: &Finding| !finding.message.is_empty() && !finding.help.is_empty();
    for file in files("refused") {
        let errors = parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap_err();
        assert!(errors.errors.iter().all(complete), "{errors}");
    }
    for file in files("accepted") {
        let loaded = parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
        assert!(loaded.warnings.iter().all(complete));
    }
}

#[test]
fn the_hash_is_of_the_meaning() {
    let text = std::fs::read_to_string(root().join("accepted/three-nodes.toml")).unwrap();
    let hash = |text: &str| parse(Path::new("f"), text).unwrap().configuration.hash;
    let same = text.replace(
        "name = \"web\"\nheartbeat = \"100ms\"",
        "heartbeat   = '100ms' # ms\nname='web'",
    );
    assert_ne!(same, text);
    assert_eq!(hash(&same), hash(&text));
    assert_eq!(hash(&text.replace("300ms", "0300ms")), hash(&text));
    assert_ne!(hash(&text.replace("300ms", "400ms")), hash(&text));
    assert_ne!(
        hash(&text.replace("10.77.0.100/24", "10.77.0.100/16")),
        hash(&text)
    );
    assert_eq!(
        hash(&text.replace("0.0.0.0:9400", "0.0.0.0:9401")),
        hash(&text),
        "http is local"
    );
}

#[test]
fn the_hash_is_of_the_policies_too() {
    let text = std::fs::read_to_string(root().join("accepted/the-surface.toml")).unwrap();
    let hash = |text: &str| parse(Path::new("f"), text).unwrap().configuration.hash;
    let changed = |from: &str, to: &str| {
        let changed = text.replace(from, to);
        assert!(changed != text, "{from} is not there");
        hash(&changed)
    };
    for (from, to) in [
        (
            "[\"h1\", \"h2\", \"h3\"]",
            "[\n  \"h1\", # first\n  'h2', \"h3\",\n]",
        ),
        (
            "primary = \"h1\"\nbackup = \"h2\"",
            "backup = \"h2\"\nprimary = \"h1\"",
        ),
        ("capacity = 10", "capacity = 0xA\ncapacity_is_hard = false"),
        (
            "home = \"h2\"",
            "home = \"h2\"\nwith = []\non_quorum_loss = \"stop\"",
        ),
        (
            "policy = \"simple-failover\"",
            "load = 1\npolicy = \"simple-failover\"",
        ),
        (
            "{ name = \"h1\", priority = 200 }",
            "{priority=200,name='h1'}",
        ),
    ] {
        assert_eq!(changed(from, to), hash(&text), "{from}");
    }
    for (from, to) in [
        ("load = 4", "load = 5"),
        ("capacity = 10", "capacity = 11"),
        ("capacity = 10", "capacity = 10\ncapacity_is_hard = true"),
        ("[\"h1\", \"h2\", \"h3\"]", "[\"h2\", \"h1\", \"h3\"]"),
        ("displaces = [\"reports\"]", "displaces = []"),
        (
            "displaces = [\"reports\"]",
            "displaces = [\"reports\"]\napart_from = [\"mail\"]",
        ),
        ("home = \"h2\"", "home = \"h2\"\nwith = [\"web\"]"),
        ("home = \"h2\"", "home = \"h2\"\non_quorum_loss = \"keep\""),
    ] {
        assert_ne!(changed(from, to), hash(&text), "{from}");
    }
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let text = std::fs::read_to_string(root().join("accepted/three-nodes.toml")).unwrap();
    let text = text.replace("/etc/had/ca.pem", "pki/ca.pem");
    let loaded = parse(Path::new("/etc/had/cluster.toml"), &text).unwrap();
    let tls = loaded.local.tls.unwrap();
    assert_eq!(tls.ca, Path::new("/etc/had/pki/ca.pem"));
    assert_eq!(tls.cert, Path::new("/etc/had/node.pem"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = had_config::load(Path::new("/nowhere/cluster.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/cluster.toml");
}

#[test]
fn no_text_makes_it_panic() {
    let text = std::fs::read_to_string(root().join("accepted/the-surface.toml")).unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let _ = parse(Path::new("f"), &text[..end]).map_err(|errors| errors.to_string());
        let _ = parse(Path::new("f"), &text[end..]).map_err(|errors| errors.to_string());
        let umlaut = format!("{}\u{e4}\t{}", &text[..end], &text[end..]);
        let _ = parse(Path::new("f"), &umlaut).map_err(|errors| errors.to_string());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files
}

fn compare(folder: &str, at_least: usize, told: impl Fn(&str, &str) -> String) {
    let files = files(folder);
    assert!(
        files.len() >= at_least,
        "only {} files in {folder}",
        files.len()
    );
    let rewrite = std::env::var_os("HAD_REWRITE").is_some();
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let actual = told(file.file_name().unwrap().to_str().unwrap(), &text);
        let expectation = file.with_extension("expected");
        if rewrite {
            std::fs::write(&expectation, actual).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if expected != actual {
            let name = file.display();
            writeln!(wrong, "{name}\n--- expected\n{expected}--- told\n{actual}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn render(loaded: &Loaded) -> String {
    let ClusterSpec {
        name,
        timing,
        nodes,
        groups,
    } = &loaded.configuration.spec;
    let local = &loaded.local;
    let mut text = format!("cluster {name}, hash {}\n", loaded.configuration.hash);
    writeln!(
        text,
        "heartbeat {:?}, lease {:?}",
        timing.heartbeat, timing.lease
    )
    .unwrap();
    writeln!(text, "http {:?}, gate {}", local.http, local.gate.as_str()).unwrap();
    writeln!(
        text,
        "tls {:?}, allow_insecure {}",
        local.tls, local.allow_insecure
    )
    .unwrap();
    for node in nodes {
        writeln!(
            text,
            "node {} {:?} {:?} capacity {}{}",
            node.name,
            node.role,
            node.addresses,
            node.capacity,
            if node.capacity_is_hard { ", hard" } else { "" }
        )
        .unwrap();
    }
    for group in groups {
        let (name, scheme, policy) = (&group.name, group.policy.scheme(), told(&group.policy));
        writeln!(text, "group {name} {scheme} ({policy})").unwrap();
        writeln!(text, "  load {}", group.load).unwrap();
        for (key, names) in [("with", &group.with), ("apart from", &group.apart_from)] {
            if !names.is_empty() {
                writeln!(text, "  {key} {}", joined(names)).unwrap();
            }
        }
        writeln!(text, "  on quorum loss: {:?}", group.on_quorum_loss).unwrap();
        for resource in &group.resources {
            let ResourceKind::Vip(vip) = &resource.kind;
            let interface = match &vip.interface {
                InterfaceSpec::BySubnet => "the interface of its subnet".to_owned(),
                InterfaceSpec::Named(name) => name.clone(),
                InterfaceSpec::PerNode(names) => format!("{names:?}"),
            };
            let name = &resource.name;
            writeln!(
                text,
                "  vip {name} {}/{} on {interface}",
                vip.address, vip.prefix
            )
            .unwrap();
        }
    }
    for warning in &loaded.warnings {
        writeln!(text, "\n{warning}").unwrap();
    }
    text
}

fn told(policy: &PolicySpec) -> String {
    match policy {
        PolicySpec::IdleStandby { nodes, failback } => {
            let nodes = nodes
                .iter()
                .map(|node| format!("{} {}", node.name, node.priority));
            format!("{}; failback {failback:?}", joined(nodes))
        }
        PolicySpec::RotatingStandby { nodes } => joined(nodes),
        PolicySpec::SimpleFailover {
            primary,
            backup,
            displaces,
            failback,
        } => format!(
            "primary {primary}, backup {backup}, displaces [{}]; failback {failback:?}",
            joined(displaces)
        ),
        PolicySpec::MutualTakeover {
            home,
            partners,
            failback,
        } => format!(
            "home {home}, partners {}; failback {failback:?}",
            joined(partners)
        ),
    }
}

fn joined(names: impl IntoIterator<Item = impl ToString>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(", ")
}
