//! The small language of the recorded situations.
//!
//! ```toml
//! lease = "300ms"                               # where left out: 300ms
//! nodes = ["h1: online 10s", "h2: online 10s, drained", "h3: lost"]    # online …, silent, lost; drained, leaving
//! [[group]]
//! name = "web"
//! priorities = { h1 = 200, h2 = 100, h3 = 50 }
//! failback = "auto"                             # where left out: "manual"
//! owner = "h2"                                  # where left out: nobody
//! pinned = "h2"
//! ready = ["h1: 10s", "h2: no carrier"]         # where left out: every node for an hour; a node left out has not said
//! [[ask]]                                       # what an operator wants, answered below the plan
//! failover = "web"                              # or failback = "web"
//! to = "h1"
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use had_policies::names::{GroupName, NodeName};
use had_policies::{Failback, GroupView, NodeView, Presence, Readiness, Scheme, View};
use serde::Deserialize;

/// How long every node has been ready where a situation does not say.
const READY_FOR_LONG: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lease: Option<String>,
    nodes: Vec<String>,
    #[serde(default)]
    group: Vec<RawGroup>,
    #[serde(default)]
    ask: Vec<RawAsk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    priorities: BTreeMap<String, i64>,
    failback: Option<String>,
    owner: Option<String>,
    pinned: Option<String>,
    ready: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAsk {
    failover: Option<String>,
    failback: Option<String>,
    to: Option<String>,
}

/// What an operator wants.
pub(crate) enum Ask {
    Failover {
        group: GroupName,
        to: Option<NodeName>,
    },
    Failback {
        group: GroupName,
    },
}

/// Reads a situation.
pub(crate) fn parse(text: &str) -> (View, Vec<Ask>) {
    let raw: Raw = toml::from_str(text).unwrap();
    let nodes: Vec<NodeView> = raw.nodes.iter().map(|text| node(text)).collect();
    let groups = raw
        .group
        .into_iter()
        .map(|raw| group(raw, &nodes))
        .collect();
    let lease = duration(raw.lease.as_deref().unwrap_or("300ms"));
    (
        View {
            lease,
            nodes,
            groups,
        },
        raw.ask.into_iter().map(ask).collect(),
    )
}

fn node(text: &str) -> NodeView {
    let (name, rest) = text.split_once(": ").unwrap();
    let mut words: Vec<&str> = rest.split(", ").collect();
    let presence = match words.remove(0) {
        "silent" => Presence::Silent,
        "lost" => Presence::Lost,
        online => Presence::Online {
            stable_for: duration(online.strip_prefix("online ").unwrap()),
        },
    };
    let known = ["drained", "leaving"];
    assert!(words.iter().all(|word| known.contains(word)), "{text}");
    NodeView {
        name: name.into(),
        presence,
        drained: words.contains(&"drained"),
        leaving: words.contains(&"leaving"),
    }
}

fn group(raw: RawGroup, nodes: &[NodeView]) -> GroupView {
    let priorities = raw
        .priorities
        .into_iter()
        .map(|(name, priority)| (name.into(), priority))
        .collect();
    let readiness = match raw.ready {
        None => nodes
            .iter()
            .map(|node| {
                (
                    node.name.clone(),
                    Readiness::Ready {
                        since: READY_FOR_LONG,
                    },
                )
            })
            .collect(),
        Some(texts) => texts.iter().map(|text| readiness(text)).collect(),
    };
    let failback = match raw.failback.as_deref() {
        None | Some("manual") => Failback::Manual,
        Some("auto") => Failback::Auto,
        Some(text) => Failback::After(duration(text)),
    };
    GroupView {
        name: raw.name.into(),
        scheme: Scheme::IdleStandby {
            priorities,
            failback,
        },
        owner: raw.owner.map(Into::into),
        pinned: raw.pinned.map(Into::into),
        readiness,
    }
}

fn readiness(text: &str) -> (NodeName, Readiness) {
    let (name, word) = text.split_once(": ").unwrap();
    let readiness = if word.starts_with(|c: char| c.is_ascii_digit()) {
        Readiness::Ready {
            since: duration(word),
        }
    } else {
        Readiness::NotReady(word.to_owned())
    };
    (name.into(), readiness)
}

fn ask(raw: RawAsk) -> Ask {
    match (raw.failover, raw.failback) {
        (Some(group), None) => Ask::Failover {
            group: group.into(),
            to: raw.to.map(Into::into),
        },
        (None, Some(group)) => Ask::Failback {
            group: group.into(),
        },
        _ => panic!("an ask is a failover or a failback"),
    }
}

fn duration(text: &str) -> Duration {
    let number = |unit| {
        text.strip_suffix(unit)
            .and_then(|digits: &str| digits.parse().ok())
    };
    if let Some(millis) = number("ms") {
        return Duration::from_millis(millis);
    }
    if let Some(minutes) = number("m") {
        return Duration::from_secs(60 * minutes);
    }
    Duration::from_secs(number("s").unwrap_or_else(|| panic!("{text} is no duration")))
}
