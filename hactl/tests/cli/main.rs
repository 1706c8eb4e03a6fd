//! The real `hactl` against a daemon that answers what is written down here.

#![allow(missing_docs, clippy::unwrap_used)]

mod alone;
mod fake;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use alone::alone;
use fake::{Answer, Ran, Script, command, hactl, on_a_socket, with_tls};
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::command_request::Command;
use had_proto::v1::group_command::Action;
use had_proto::v1::{Done, GroupCommand, Maintenance, Moved, NoQuorum, Refused, Unknown};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

const HEALTHY: &str = include_str!("../tables/status/healthy.json");
const TAKEOVER: &str = r#"{"number":3,"at":"2026-11-22T10:00:00.123Z","node":null,"group":"web","kind":"takeover","text":"web: h1 → h2"}"#;
const DRAINED: &str = r#"{"number":4,"at":"2026-11-22T10:00:01.000Z","node":"h3","group":null,"kind":"drained","text":"h3 is drained"}"#;

fn script() -> Arc<Script> {
    let script = Script::default();
    *script.status.lock().unwrap() = Some(HEALTHY.to_owned());
    *script.events.lock().unwrap() = vec![TAKEOVER.to_owned(), DRAINED.to_owned()];
    Arc::new(script)
}

fn done() -> Answer {
    let moved = vec![Moved {
        group: "web".to_owned(),
        owner: Some("h2".to_owned()),
    }];
    let text = "web runs on h2 (epoch 13)".to_owned();
    Answer::Outcome(Outcome::Done(Done {
        text,
        moved,
        took_ms: 12.34,
    }))
}

#[test]
fn status_is_a_table_and_under_json_the_document_on_one_line() {
    let daemon = on_a_socket(script());
    let Ran {
        code,
        stdout,
        stderr,
    } = hactl(&daemon.socket(), "status");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.starts_with("cluster web: leader h2 (term 7), 4 of 4 voters"),
        "{stdout}"
    );
    assert!(
        stdout.contains("web/vip   vip   running  10.77.0.100/24 on eth0\n"),
        "{stdout}"
    );
    let ran = hactl(&daemon.socket(), "status web --json");
    assert_eq!(ran.stdout, HEALTHY.replace('\n', "") + "\n");
}

#[test]
fn an_unknown_group_is_refused_by_the_daemon() {
    let daemon = on_a_socket(script());
    let ran = hactl(&daemon.socket(), "status mail");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr, "error: there is no group mail\n");
}

#[test]
fn without_a_daemon_the_exit_code_is_3_and_a_hint_says_where_to_look() {
    let ran = hactl(Path::new("/nowhere/had.sock"), "status");
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert_eq!(
        ran.stderr,
        "error: no daemon reached on /nowhere/had.sock: No such file or directory (os error 2)\n\
         hint: is `had run` up on this host? Another socket: --socket or HAD_SOCKET\n"
    );
    let ran = hactl(Path::new("/nowhere/had.sock"), "failover web --json");
    assert_eq!(ran.code, 3);
    assert!(
        ran.stdout
            .starts_with(r#"{"error":{"kind":"no-daemon","text":"no daemon"#)
    );
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn a_failover_says_from_where_to_where_and_how_long_it_took() {
    let script = script().answer(done()).answer(done());
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "failover web --to h2");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "web: h1 → h2 in 12.3 ms\nweb runs on h2 (epoch 13)\n"
    );
    let ran = hactl(&daemon.socket(), "failover web --json");
    let moved = r#""moved":[{"group":"web","from":"h1","to":"h2"}],"took_ms":12.34"#;
    assert!(ran.stdout.contains(moved), "{}", ran.stdout);
    let commands = script.commands.lock().unwrap();
    let wishes: Vec<_> = commands
        .iter()
        .map(|command| command.command.clone())
        .collect();
    let [
        Some(Command::Failover(first)),
        Some(Command::Failover(second)),
    ] = &wishes[..]
    else {
        panic!("{wishes:?}");
    };
    assert_eq!(
        (first.group.as_str(), first.to.as_deref()),
        ("web", Some("h2"))
    );
    assert_eq!(second.to, None);
    assert_ne!(commands[0].id, commands[1].id);
}

#[test]
fn a_group_that_stayed_is_not_said_to_have_moved() {
    let moved = vec![Moved {
        group: "web".to_owned(),
        owner: Some("h1".to_owned()),
    }];
    let text = "web runs on h1 (epoch 12)".to_owned();
    let stayed = Answer::Outcome(Outcome::Done(Done {
        text,
        moved,
        took_ms: 1.0,
    }));
    let daemon = on_a_socket(script().answer(stayed));
    let ran = hactl(&daemon.socket(), "failback web");
    assert_eq!(ran.stdout, "web runs on h1 (epoch 12)\n");
}

#[test]
fn refusals_and_a_lost_majority_have_exit_codes_of_their_own() {
    let refused = Outcome::Refused(Refused {
        text: "h2 is drained".to_owned(),
    });
    let quorum = Outcome::NoQuorum(NoQuorum {
        text: "h1 hears nobody".to_owned(),
    });
    let script = script()
        .answer(Answer::Outcome(refused))
        .answer(Answer::Outcome(quorum));
    let daemon = on_a_socket(script);
    let ran = hactl(&daemon.socket(), "failover web --to h2");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "error: h2 is drained\n")
    );
    let ran = hactl(&daemon.socket(), "node drain h1");
    assert_eq!(ran.code, 4);
    assert!(
        ran.stderr.starts_with("error: h1 hears nobody\nhint: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_command_of_unknown_outcome_is_repeated_under_its_id() {
    let unknown = Outcome::Unknown(Unknown {
        text: "the leader fell silent".to_owned(),
    });
    let script = script()
        .answer(Answer::Outcome(unknown))
        .answer(Answer::Broken)
        .answer(done());
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "node resume h2");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let commands = script.commands.lock().unwrap();
    assert_eq!(commands.len(), 3);
    assert!(
        commands
            .iter()
            .all(|command| command == &commands[0] && command.id.is_some())
    );
    let Some(Command::Drain(drain)) = &commands[0].command else {
        panic!("{commands:?}")
    };
    assert_eq!((drain.node.as_str(), drain.drained), ("h2", false));
}

#[test]
fn a_command_that_stays_unknown_fails_and_says_what_may_be() {
    let script = script();
    for _ in 0..4 {
        script.answer(Answer::Broken);
    }
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "failback web");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("may have been carried out"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("hint: see `hactl status`"),
        "{}",
        ran.stderr
    );
    assert_eq!(script.commands.lock().unwrap().len(), 4);
}

#[test]
fn an_init_names_the_voters() {
    let script = script().answer(done());
    let daemon = on_a_socket(Arc::clone(&script));
    assert_eq!(hactl(&daemon.socket(), "cluster init h1 h3").code, 0);
    assert_eq!(script.inits.lock().unwrap()[0].nodes, ["h1", "h3"]);
}

#[test]
fn events_are_lines_for_people_and_one_document_for_programs() {
    let script = script();
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "events --since 2026-11-22T09:00:00Z");
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.stdout,
        "2026-11-22 10:00:00.123  takeover     web: h1 → h2\n\
         2026-11-22 10:00:01.000  drained      h3 is drained\n"
    );
    assert_eq!(script.since_ms.lock().unwrap()[0], 1_795_338_000_000);
    let ran = hactl(&daemon.socket(), "events --json");
    assert_eq!(
        ran.stdout,
        format!("{{\"events\":[{TAKEOVER},{DRAINED}]}}\n")
    );
    *script.events.lock().unwrap() = Vec::new();
    assert_eq!(
        hactl(&daemon.socket(), "events --json").stdout,
        "{\"events\":[]}\n"
    );
}

#[test]
fn followed_events_are_a_document_a_line_until_the_daemon_ends() {
    let daemon = on_a_socket(script());
    let ran = hactl(&daemon.socket(), "events --follow --json");
    assert_eq!(ran.code, 3);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[..2], [TAKEOVER, DRAINED]);
    assert!(lines[2].starts_with(r#"{"error":"#), "{}", ran.stdout);
}

#[test]
fn wrong_usage_is_2() {
    let daemon = on_a_socket(script());
    assert_eq!(hactl(&daemon.socket(), "failover").code, 2);
    assert_eq!(hactl(&daemon.socket(), "events --since yesterday").code, 2);
    let tls = [
        "--endpoint",
        "http://h1:7400",
        "--ca",
        "a",
        "--cert",
        "b",
        "--key",
        "c",
    ];
    assert_eq!(command(&tls, "status").code, 2);
}

#[test]
fn a_remote_daemon_is_asked_with_mutual_tls_and_must_be_who_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let (port, options) = remote(folder.path());
    let endpoint = format!("https://127.0.0.1:{port}");
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["--endpoint", &endpoint, "--server-name"]);
    let ran = command(&[options.as_slice(), &["h2"]].concat(), "status");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("cluster web"), "{}", ran.stdout);
    let ran = command(&[options.as_slice(), &["h3"]].concat(), "status");
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("--server-name"), "{}", ran.stderr);
}

/// A daemon with TLS under the name h2, and the options with which an operator reaches it: all certificates by `hactl pki`.
fn remote(folder: &Path) -> (u16, Vec<String>) {
    let dir = folder.join("pki").to_str().unwrap().to_owned();
    for line in ["init", "issue h2", "issue anna --operator"] {
        let ran = alone(&format!("pki {line} --dir {dir}"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let read = |name: &str| std::fs::read_to_string(Path::new(&dir).join(name)).unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("h2.pem"), read("h2.key")))
        .client_ca_root(Certificate::from_pem(read("ca.pem")));
    let options = [
        ("--ca", "ca.pem"),
        ("--cert", "anna.pem"),
        ("--key", "anna.key"),
    ];
    let options = options
        .into_iter()
        .flat_map(|(option, name)| [option.to_owned(), format!("{dir}/{name}")])
        .collect();
    (with_tls(script(), tls), options)
}

#[test]
fn a_watched_status_is_a_document_a_line_again_and_again() {
    let daemon = on_a_socket(script());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_hactl"))
        .args([
            "--socket",
            daemon.socket().to_str().unwrap(),
            "status",
            "--watch",
            "--json",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .take(2)
        .map(Result::unwrap)
        .collect();
    // Nobody reads any more: the next line ends it, and that is no failure.
    assert!(child.wait().unwrap().success());
    let document = HEALTHY.replace('\n', "");
    assert_eq!(lines, [document.clone(), document]);
}

const EXPLAINED: &str = include_str!("../tables/explain/running.json");
const FORECAST: &str = r#"{"goes_on":["h2"],"summary":"h1, h3 and w1 lost: nothing moves","groups":[],"degraded":[],"notes":[]}"#;

fn wishes(script: &Script) -> Vec<Command> {
    let commands = script.commands.lock().unwrap();
    commands
        .iter()
        .map(|command| command.command.clone().unwrap())
        .collect()
}

#[test]
fn groups_are_started_stopped_cleared_and_left_alone_by_name_or_all_at_once() {
    let lines = [
        "group start web",
        "group stop web",
        "group clear web",
        "maintenance on web",
        "maintenance off",
    ];
    let script = script();
    for _ in &lines {
        script.answer(done());
    }
    let daemon = on_a_socket(Arc::clone(&script));
    for line in lines {
        let ran = hactl(&daemon.socket(), line);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
    }
    let act = |action: Action| {
        Command::GroupCommand(GroupCommand {
            group: "web".to_owned(),
            action: action.into(),
        })
    };
    let maintenance = |group: Option<&str>, on| {
        Command::Maintenance(Maintenance {
            group: group.map(str::to_owned),
            on,
        })
    };
    assert_eq!(
        wishes(&script),
        [
            act(Action::Start),
            act(Action::Stop),
            act(Action::Clear),
            maintenance(Some("web"), true),
            maintenance(None, false),
        ]
    );
}

#[test]
fn what_changes_groups_needs_a_quorum() {
    let quorum = || {
        let text = "h1 hears nobody".to_owned();
        Answer::Outcome(Outcome::NoQuorum(NoQuorum { text }))
    };
    let daemon = on_a_socket(script().answer(quorum()).answer(quorum()));
    assert_eq!(hactl(&daemon.socket(), "group stop web").code, 4);
    assert_eq!(hactl(&daemon.socket(), "maintenance on").code, 4);
    assert_eq!(hactl(&daemon.socket(), "group").code, 2);
    assert_eq!(hactl(&daemon.socket(), "maintenance maybe").code, 2);
}

#[test]
fn an_explanation_is_told_in_words_and_under_json_as_it_came() {
    let script = script();
    *script.told.lock().unwrap() = EXPLAINED.to_owned();
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "explain web");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("web runs on h2 "), "{}", ran.stdout);
    let ran = hactl(
        &daemon.socket(),
        "explain web --at 2026-11-22T09:00:00Z --json",
    );
    assert_eq!(ran.code, 0);
    assert_eq!(ran.stdout, EXPLAINED.replace('\n', "") + "\n");
    let asked = script.explained.lock().unwrap();
    let moments: Vec<u64> = asked.iter().map(|one| one.at_ms).collect();
    assert_eq!(moments, [0, 1_795_338_000_000]);
}

#[test]
fn an_explanation_fails_with_the_code_of_its_reason() {
    let daemon = on_a_socket(script());
    let ran = hactl(&daemon.socket(), "explain mail");
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(
        ran.stderr,
        "error: there is no group mail; the groups are: web\n"
    );
    let ran = hactl(&daemon.socket(), "explain web --at yesterday");
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("--at yesterday is no moment"),
        "{}",
        ran.stderr
    );
    assert_eq!(hactl(Path::new("/nowhere/had.sock"), "explain web").code, 3);
}

#[test]
fn a_simulation_asks_the_daemon_of_a_loss_or_a_split() {
    let script = script();
    *script.told.lock().unwrap() = FORECAST.to_owned();
    let daemon = on_a_socket(Arc::clone(&script));
    let ran = hactl(&daemon.socket(), "simulate --lose h1,h3 --lose w1");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "If h1, h3 and w1 are lost: nothing moves.\n");
    let ran = hactl(&daemon.socket(), "simulate --split h1,h2/h3 --json");
    assert_eq!(ran.stdout, format!("{FORECAST}\n"));
    let asked = script.simulated.lock().unwrap();
    assert_eq!(asked[0].lose, ["h1", "h3", "w1"]);
    assert!(asked[0].split.is_empty() && asked[1].lose.is_empty());
    let sides: Vec<&[String]> = asked[1].split.iter().map(|side| &side.nodes[..]).collect();
    assert_eq!(sides, [&["h1", "h2"][..], &["h3"][..]]);
}

#[test]
fn a_simulation_fails_with_the_code_of_its_reason() {
    let daemon = on_a_socket(script());
    let ran = hactl(&daemon.socket(), "simulate --lose h9");
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "error: there is no node h9; the nodes are: h1, h2\n"
    );
    let ran = hactl(&daemon.socket(), "simulate --lose h1,h2");
    assert_eq!(ran.code, 4);
    assert!(
        ran.stderr.starts_with("error: h2 hears nobody\nhint: "),
        "{}",
        ran.stderr
    );
    for wrong in [
        "simulate",
        "simulate --split h1,h2",
        "simulate --lose h1 --split h1/h2",
    ] {
        assert_eq!(hactl(&daemon.socket(), wrong).code, 2, "{wrong}");
    }
    let ran = hactl(Path::new("/nowhere/had.sock"), "simulate --lose h1");
    assert_eq!(ran.code, 3);
}
