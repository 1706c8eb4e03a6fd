//! What needs no daemon: certificates, files, completions, manual pages.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use had_core::ids::NodeName;
use had_policies::{FateState, Forecast, Outage};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::fake::{Ran, hactl};
use crate::remote;

/// Without any daemon.
pub(crate) fn alone(line: &str) -> Ran {
    hactl(Path::new("/nowhere/had.sock"), line)
}

#[test]
fn a_certificate_names_its_node_and_an_operators_names_nobodys_host() {
    let folder = tempfile::tempdir().unwrap();
    remote(folder.path());
    let names_in = |name: &str| {
        let path = folder.path().join("pki").join(name);
        let certificate = CertificateDer::from_pem_file(path).unwrap();
        let parsed = webpki::EndEntityCert::try_from(&certificate).unwrap();
        let names: Vec<String> = parsed.valid_dns_names().map(str::to_owned).collect();
        names
    };
    assert_eq!(names_in("h2.pem"), ["h2"]);
    assert!(names_in("anna.pem").is_empty());
    let mode = |name: &str| {
        let data = std::fs::metadata(folder.path().join("pki").join(name)).unwrap();
        data.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("ca.key"), mode("h2.key"), mode("h2.pem")),
        (0o600, 0o600, 0o644)
    );
}

#[test]
fn no_certificate_is_written_over_and_none_is_made_without_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    remote(folder.path());
    let dir = folder.path().join("pki");
    let before = std::fs::read(dir.join("h2.key")).unwrap();
    for line in ["init", "issue h2"] {
        let ran = alone(&format!("pki {line} --dir {}", dir.display()));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read(dir.join("h2.key")).unwrap(), before);
    let empty = folder.path().join("empty");
    let ran = alone(&format!("pki issue h3 --dir {}", empty.display()));
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("`hactl pki init` makes an authority"),
        "{}",
        ran.stderr
    );
    let ran = alone(&format!("pki issue ../h3 --dir {}", dir.display()));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn a_file_is_checked_without_a_daemon() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../had/config/tests");
    let good = files.join("accepted/the-surface.toml");
    let ran = alone(&format!("config check {}", good.display()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.ends_with("the-surface.toml: good\n"),
        "{}",
        ran.stdout
    );
    let bad = files.join("refused/everything-at-once.toml");
    let ran = alone(&format!("config check {}", bad.display()));
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let errors = ran.stdout.matches("error: ").count();
    assert!(errors >= 5, "{}", ran.stdout);
    let ran = alone(&format!("config check --json {}", bad.display()));
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["good"], false);
    assert_eq!(document["findings"].as_array().unwrap().len(), errors);
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let completions = alone("completions bash").stdout;
    let folder = tempfile::tempdir().unwrap();
    let ran = alone(&format!("man --dir {}", folder.path().display()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for command in [
        "status",
        "failover",
        "pki-issue",
        "node-drain",
        "maintenance-on",
    ] {
        let page = folder.path().join(format!("hactl-{command}.1"));
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("hactl "), "{page}");
        let last = command.rsplit('-').next().unwrap();
        assert!(completions.contains(last), "{last}");
    }
    assert!(alone("man").stdout.contains(".SH NAME"));
}

const FILE: &str = r#"
[cluster]
name = "web"
heartbeat = "100ms"
lease = "300ms"
allow_insecure = true

[[node]]
name = "h1"
addresses = ["10.77.0.1:7400"]
[[node]]
name = "h2"
addresses = ["10.77.0.2:7400"]
[[node]]
name = "w1"
addresses = ["10.77.0.9:7400"]
role = "witness"

[[group]]
name = "web"
policy = "idle-standby"
nodes = [{ name = "h1", priority = 200 }, { name = "h2", priority = 100 }]
[[group.resource]]
name = "vip"
kind = "vip"
address = "10.77.0.100/24"
"#;

#[test]
fn a_simulation_on_a_file_needs_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.toml");
    std::fs::write(&path, FILE).unwrap();
    let nowhere = Path::new("/nowhere/had.sock");
    let ask = |what: &str| {
        hactl(
            nowhere,
            &format!("simulate {what} --file {}", path.display()),
        )
    };

    let ran = ask("--lose h1 --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let forecast: Forecast = serde_json::from_str(&ran.stdout).unwrap();
    let web = &forecast.groups[0];
    let to = |node: &str| Some(NodeName::from(node));
    assert_eq!((&web.before, &web.after), (&to("h1"), &to("h2")));
    assert_eq!(web.state, FateState::Runs);
    let Outage::UpTo { most, .. } = web.outage else {
        panic!("{forecast:?}")
    };
    assert!(most.as_millis() >= 300, "a lease at least: {most:?}");

    let ran = ask("--split h1/h2/w1");
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("stopped: no quorum"), "{}", ran.stdout);

    let ran = ask("--lose h7");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("h7"), "{}", ran.stderr);

    std::fs::write(&path, FILE.replace("idle-standby", "idle")).unwrap();
    let ran = ask("--lose h1");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("is refused"), "{}", ran.stderr);
    assert!(ran.stderr.contains("cluster.toml:21:"), "{}", ran.stderr);
    std::fs::remove_file(&path).unwrap();
    let ran = ask("--lose h1");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("No such file"), "{}", ran.stderr);
}
