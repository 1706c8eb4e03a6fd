//! The small language of the recorded situations.
//!
//! ```toml
//! lease = "300ms"                               # where left out: 300ms
//! maintenance = true                            # of the whole cluster
//! nodes = ["h1: online 10s", "h2: online 10s, drained", "h3: lost, capacity 4, hard"]
//!                                               # online …, silent, lost; drained, leaving; capacity (1), hard
//! [[group]]
//! name = "web"
//! priorities = { h1 = 200, h2 = 100, h3 = 50 }  # or rotating = ["h1", "h2"]
//!                                               # or primary = "h1", backup = "h2"
//!                                               # or home = "h1", partners = ["h2", "h3"]
//! failback = "auto"                             # where left out: "manual"
//! owner = "h2"                                  # where left out: nobody
//! pinned = "h2"
//! ready = ["h1: 10s", "h2: no carrier"]         # where left out: every node for an hour; a node left out has not said
//! load = 2                                      # where left out: 1
//! displaces = ["reports"]                       # so too: with, apart_from
//! queue = ["h2", "h3"]                          # where left out: the rotating nodes that are neither away nor the owner
//! bans = ["h1: nginx did not start"]
//! stopped = true                                # so too: maintenance, keeps
//! [[ask]]                                       # what an operator wants, answered below the plan
//! failover = "web"                              # or failback = "web"
//! to = "h1"
//! [[forecast]]                                  # what an operator wants to know
//! lose = ["h1"]                                 # or split = [["h1", "h2"], ["h3"]]
//! voters = ["h1", "h2", "w1"]                   # where left out: the nodes
//! leader = "h2"                                 # where left out: not known
//! ```

pub(crate) mod render;

use std::collections::BTreeMap;
use std::time::Duration;

use had_policies::names::{GroupName, NodeName};
use had_policies::{
    Failback, GroupView, NodeView, Presence, Readiness, Scenario, Scheme, Seats, View,
};
use serde::Deserialize;

/// How long every node has been ready where a situation does not say.
const READY_FOR_LONG: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lease: Option<String>,
    #[serde(default)]
    maintenance: bool,
    nodes: Vec<String>,
    #[serde(default)]
    group: Vec<RawGroup>,
    #[serde(default)]
    ask: Vec<RawAsk>,
    #[serde(default)]
    forecast: Vec<RawForecast>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    priorities: Option<BTreeMap<String, i64>>,
    rotating: Option<Vec<String>>,
    primary: Option<String>,
    backup: Option<String>,
    home: Option<String>,
    partners: Option<Vec<String>>,
    failback: Option<String>,
    owner: Option<String>,
    pinned: Option<String>,
    ready: Option<Vec<String>>,
    load: Option<u32>,
    #[serde(default)]
    displaces: Vec<String>,
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    apart_from: Vec<String>,
    queue: Option<Vec<String>>,
    #[serde(default)]
    bans: Vec<String>,
    #[serde(default)]
    stopped: bool,
    #[serde(default)]
    maintenance: bool,
    #[serde(default)]
    keeps: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawForecast {
    lose: Option<Vec<String>>,
    split: Option<Vec<Vec<String>>>,
    voters: Option<Vec<String>>,
    leader: Option<String>,
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

/// What is to be decided, and what is asked about it.
pub(crate) struct Situation {
    pub(crate) view: View,
    pub(crate) asks: Vec<Ask>,
    pub(crate) forecasts: Vec<(Seats, Scenario)>,
}

/// Reads a situation.
pub(crate) fn parse(text: &str) -> Situation {
    let raw: Raw = toml::from_str(text).unwrap();
    let nodes: Vec<NodeView> = raw.nodes.iter().map(|text| node(text)).collect();
    let all = raw.maintenance;
    let groups = raw.group.into_iter().map(|raw| group(raw, &nodes));
    let groups = groups.map(|group| GroupView {
        maintenance: group.maintenance || all,
        ..group
    });
    let forecasts = raw.forecast.into_iter().map(|raw| forecast(raw, &nodes));
    Situation {
        view: View {
            lease: duration(raw.lease.as_deref().unwrap_or("300ms")),
            maintenance: all,
            groups: groups.collect(),
            nodes: nodes.clone(),
        },
        asks: raw.ask.into_iter().map(ask).collect(),
        forecasts: forecasts.collect(),
    }
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
    let capacity = words.iter().find_map(|word| word.strip_prefix("capacity "));
    let known = |word: &&str| {
        ["drained", "leaving", "hard"].contains(word) || word.starts_with("capacity ")
    };
    assert!(words.iter().all(known), "{text}");
    NodeView {
        name: name.into(),
        presence,
        drained: words.contains(&"drained"),
        leaving: words.contains(&"leaving"),
        capacity: capacity.map_or(1, |text| text.parse().unwrap()),
        capacity_is_hard: words.contains(&"hard"),
    }
}

fn group(raw: RawGroup, nodes: &[NodeView]) -> GroupView {
    let ready = |node: &NodeView| {
        let since = READY_FOR_LONG;
        (node.name.clone(), Readiness::Ready { since })
    };
    let readiness = match &raw.ready {
        None => nodes.iter().map(ready).collect(),
        Some(texts) => texts.iter().map(|text| readiness(text)).collect(),
    };
    let scheme = scheme(&raw);
    let owner = raw.owner.map(NodeName::from);
    let queue = match (raw.queue, &scheme) {
        (Some(queue), _) => names(queue),
        (None, Scheme::RotatingStandby { nodes: listed }) => {
            let away = |node: &NodeName| {
                let node = nodes.iter().find(|one| one.name == *node).unwrap();
                node.drained || node.presence == Presence::Lost
            };
            let waits = listed
                .iter()
                .filter(|node| !away(node) && owner.as_ref() != Some(*node));
            waits.cloned().collect()
        }
        (None, _) => Vec::new(),
    };
    GroupView {
        name: raw.name.into(),
        scheme,
        owner,
        pinned: raw.pinned.map(Into::into),
        readiness,
        load: raw.load.unwrap_or(1),
        displaces: names(raw.displaces),
        with: names(raw.with),
        apart_from: names(raw.apart_from),
        queue,
        bans: raw.bans.iter().map(|text| ban(text)).collect(),
        stopped: raw.stopped,
        maintenance: raw.maintenance,
        keeps: raw.keeps,
    }
}

fn names<T: From<String>>(names: Vec<String>) -> Vec<T> {
    names.into_iter().map(Into::into).collect()
}

fn scheme(raw: &RawGroup) -> Scheme {
    let failback = match raw.failback.as_deref() {
        None | Some("manual") => Failback::Manual,
        Some("auto") => Failback::Auto,
        Some(text) => Failback::After(duration(text)),
    };
    let one = |name: &Option<String>| NodeName::from(name.clone().unwrap());
    if let Some(priorities) = &raw.priorities {
        let priorities = priorities
            .iter()
            .map(|(node, priority)| (node.as_str(), *priority));
        Scheme::IdleStandby {
            priorities: priorities
                .map(|(node, priority)| (node.into(), priority))
                .collect(),
            failback,
        }
    } else if let Some(nodes) = &raw.rotating {
        Scheme::RotatingStandby {
            nodes: names(nodes.clone()),
        }
    } else if raw.primary.is_some() {
        Scheme::SimpleFailover {
            primary: one(&raw.primary),
            backup: one(&raw.backup),
            failback,
        }
    } else {
        Scheme::MutualTakeover {
            home: one(&raw.home),
            partners: names(raw.partners.clone().unwrap()),
            failback,
        }
    }
}

fn ban(text: &str) -> (NodeName, String) {
    let (name, why) = text.split_once(": ").unwrap();
    (name.into(), why.to_owned())
}

fn forecast(raw: RawForecast, nodes: &[NodeView]) -> (Seats, Scenario) {
    let all = || nodes.iter().map(|node| node.name.clone()).collect();
    let seats = Seats {
        voters: raw.voters.map_or_else(all, names),
        leader: raw.leader.map(Into::into),
    };
    let scenario = match (raw.lose, raw.split) {
        (Some(nodes), None) => Scenario::Lose(names(nodes)),
        (None, Some(parts)) => Scenario::Split(parts.into_iter().map(names).collect()),
        _ => panic!("a forecast loses nodes or splits the network"),
    };
    (seats, scenario)
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
