//! Documents and how they look: `tests/tables/NAME.json` beside `NAME.expected`.
//!
//! `HAD_REWRITE=1 cargo test -p hactl` writes the expectations anew; read the difference before you commit it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use had_core::status::{EventLine, Status};
use had_core::time::WallTime;
use jiff::tz::TimeZone;

use super::change::{Changed, Moved};
use super::{Moment, change, events, status};

/// Fewer documents than this mean that the runner looks in the wrong place.
const AT_LEAST: usize = 6;
/// As in a narrow terminal.
const NARROW: u16 = 80;

fn moment() -> Moment {
    let now = "2026-11-22T10:00:00.164Z".parse().unwrap();
    Moment {
        now,
        zone: TimeZone::fixed(jiff::tz::offset(1)),
    }
}

#[test]
fn every_recorded_document_looks_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let mut documents: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    documents.sort();
    assert!(
        documents.len() >= AT_LEAST,
        "only {} documents found",
        documents.len()
    );
    let rewrite = std::env::var_os("HAD_REWRITE").is_some();
    let mut wrong = String::new();
    for path in documents {
        let document = std::fs::read_to_string(&path).unwrap();
        let status: Status = serde_json::from_str(&document).unwrap();
        let actual = format!(
            "{}\n==== one group, {NARROW} columns ====\n{}",
            status::render(&status, false, &moment(), None),
            status::render(&status, true, &moment(), Some(NARROW))
        );
        assert!(
            actual.lines().all(|line| line == line.trim_end()),
            "blanks at the end of a line"
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
fn an_event_is_a_line_in_local_time() {
    let event = EventLine {
        number: 4,
        at: WallTime(1_795_341_600_123_000_000),
        node: None,
        group: Some("web".into()),
        kind: "takeover".to_owned(),
        text: "web: h1 → h2".to_owned(),
    };
    assert_eq!(
        events::render(&event, &moment()),
        "2026-11-22 11:00:00.123  takeover     web: h1 → h2\n"
    );
}

#[test]
fn ages_grow_with_their_units() {
    let ago = |ms: u64| moment().age(WallTime((1_795_341_600_164 - ms) * 1_000_000));
    let ages = [41, 1_500, 119_999, 120_000, 7_200_000, 172_800_000].map(ago);
    assert_eq!(ages, ["41 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]);
    assert_eq!(
        moment().age(WallTime(u64::MAX)),
        "0 ms",
        "a clock that is ahead"
    );
}
