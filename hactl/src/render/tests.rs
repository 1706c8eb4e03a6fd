//! Documents and how they look: `tests/tables/COMMAND/NAME.json` beside `NAME.expected`.
//!
//! `HAD_REWRITE=1 cargo test -p hactl` writes the expectations anew; read the difference before you commit it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use had_core::explain::Explanation;
use had_core::ids::NodeName;
use had_core::status::{EventLine, Status};
use had_core::time::WallTime;
use had_policies::{Forecast, Scenario};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::change::{Changed, Moved};
use super::{Moment, change, events, explain, simulate, status};

/// As in a narrow terminal.
const NARROW: u16 = 80;

fn moment() -> Moment {
    let now = "2026-11-22T10:00:00.164Z".parse().unwrap();
    Moment {
        now,
        zone: TimeZone::fixed(jiff::tz::offset(1)),
    }
}

/// Compares what a document looks like, in a pipe and in a narrow terminal, with what stands beside it.
///
/// Fewer documents than `at_least` mean that it looks in the wrong place.
fn compare(folder: &str, at_least: usize, render: impl Fn(&str) -> [(&'static str, String); 2]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tables")
        .join(folder);
    let mut documents: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    documents.sort();
    let found = documents.len();
    assert!(found >= at_least, "only {found} documents found");
    let rewrite = std::env::var_os("HAD_REWRITE").is_some();
    let mut wrong = String::new();
    for path in documents {
        let document = std::fs::read_to_string(&path).unwrap();
        let [(_, first), (heading, second)] = render(&document);
        let actual = format!("{first}\n==== {heading} ====\n{second}");
        assert!(
            actual.lines().all(|line| line == line.trim_end()),
            "blanks at the end of a line in\n{actual}"
        );
        let expectation = path.with_extension("expected");
        if rewrite {
            std::fs::write(expectation, actual).unwrap();
        } else if std::fs::read_to_string(expectation).unwrap_or_default() != actual {
            writeln!(wrong, "{}\n{actual}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_recorded_status_looks_as_expected() {
    compare("status", 10, |document| {
        let status: Status = serde_json::from_str(document).unwrap();
        let look = |one, width| status::render(&status, one, &moment(), width);
        [
            ("", look(false, None)),
            ("one group, 80 columns", look(true, Some(NARROW))),
        ]
    });
}

#[test]
fn every_recorded_explanation_looks_as_expected() {
    compare("explain", 11, |document| {
        let explanation: Explanation = serde_json::from_str(document).unwrap();
        let look = |width| explain::render(&explanation, &moment(), width);
        [("", look(None)), ("80 columns", look(Some(NARROW)))]
    });
}

/// A forecast with the question that it answers.
#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    lose: Vec<NodeName>,
    #[serde(default)]
    split: Vec<Vec<NodeName>>,
    file: Option<PathBuf>,
    forecast: Forecast,
}

#[test]
fn every_recorded_forecast_looks_as_expected() {
    compare("simulate", 9, |document| {
        let recorded: Recorded = serde_json::from_str(document).unwrap();
        let scenario = match recorded.split.as_slice() {
            [] => Scenario::Lose(recorded.lose),
            parts => Scenario::Split(parts.to_vec()),
        };
        let file = recorded.file.as_deref();
        let look = |width| simulate::render(&recorded.forecast, &scenario, file, width);
        [("", look(None)), ("80 columns", look(Some(NARROW)))]
    });
}

#[test]
fn a_move_is_told_with_its_time() {
    let changed = |took_ms, from: Option<&str>| Changed {
        text: "web runs on h2 (epoch 13)".to_owned(),
        moved: vec![Moved {
            group: "web".to_owned(),
            from: from.map(str::to_owned),
            to: Some("h2".to_owned()),
        }],
        took_ms,
        answered_by: "h2".to_owned(),
    };
    assert_eq!(
        change::render(&changed(12.345, Some("h1"))),
        "web: h1 → h2 in 12.3 ms\nweb runs on h2 (epoch 13)\n"
    );
    assert_eq!(
        change::render(&changed(1_234.5, None)),
        "web: nobody → h2 in 1.23 s\nweb runs on h2 (epoch 13)\n"
    );
}

#[test]
fn an_event_is_a_line_in_local_time_that_says_who_decided() {
    let event = EventLine {
        number: 4,
        at: WallTime(1_795_341_600_123_000_000),
        node: None,
        group: Some("web".into()),
        kind: "takeover".to_owned(),
        text: "web: h1 → h2".to_owned(),
        by: None,
    };
    let line = "2026-11-22 11:00:00.123  takeover     web: h1 → h2";
    assert_eq!(events::render(&event, &moment()), format!("{line}\n"));
    let event = EventLine {
        by: Some("h3".into()),
        ..event
    };
    assert_eq!(
        events::render(&event, &moment()),
        format!("{line} (decided by h3)\n")
    );
}

#[test]
fn ages_grow_with_their_units() {
    let ago = |ms: u64| moment().age(WallTime((1_795_341_600_164 - ms) * 1_000_000));
    let ages = [41, 1_500, 119_999, 120_000, 7_200_000, 172_800_000].map(ago);
    assert_eq!(ages, ["41 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]);
    assert_eq!(
        moment().clock(WallTime(1_795_341_600_164_000_000)),
        "11:00:00"
    );
    assert_eq!(
        moment().clock(WallTime(1_795_300_000_000_000_000)),
        "2026-11-21 23:26:40"
    );
    assert_eq!(
        moment().age(WallTime(u64::MAX)),
        "0 ms",
        "a clock that is ahead"
    );
}

/// Every key of every recorded document stands in `docs/json.md`. Names of nodes and groups are keys in some of them.
#[test]
fn every_key_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../docs/json.md")).unwrap();
    let mut keys = std::collections::BTreeSet::new();
    for command in ["status", "explain", "simulate"] {
        for entry in std::fs::read_dir(root.join("tests/tables").join(command)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "json") {
                let document = std::fs::read_to_string(path).unwrap();
                gather(&serde_json::from_str(&document).unwrap(), &mut keys);
            }
        }
    }
    assert!(keys.len() > 40, "only {keys:?}");
    let unknown = |key: &&String| !text.contains(&format!("`{key}`"));
    let unknown: Vec<_> = keys.iter().filter(unknown).collect();
    assert!(unknown.is_empty(), "not in docs/json.md: {unknown:?}");
}

fn gather(value: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                keys.insert(key.clone());
                // By node: its keys are names.
                if key != "not_ready" {
                    gather(value, keys);
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|one| gather(one, keys)),
        _ => {}
    }
}
