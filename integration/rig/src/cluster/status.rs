//! `hactl status --json`, as far as tests look at it (SURFACE names the keys).

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// The cluster as one node sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// Who leads.
    pub leader: Option<String>,
    /// Whether a majority is connected.
    pub quorate: bool,
    /// Whether an operator takes care of every group.
    #[serde(default)]
    pub maintenance: bool,
    /// What stands against the normal state of affairs.
    #[serde(default)]
    pub notices: Vec<String>,
    /// The nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// The groups, in the order of the file.
    pub groups: Vec<Group>,
}

/// One node.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `online`, `drained`, `lost`, `joining` or `unknown`.
    pub state: String,
    /// `bpf`, `nft` or `none`.
    #[serde(default)]
    pub gate: String,
    /// Set where it carries more than its own work.
    #[serde(default)]
    pub degraded: Option<Degraded>,
}

/// One group.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `running`, `starting`, `stopping`, `stopped`, `failed`, `blocked`, `displaced` or `unknown`.
    pub state: String,
    /// Who may run it.
    pub owner: Option<String>,
    /// Raised with every change of owner.
    pub epoch: u64,
    /// Where an operator put it.
    #[serde(default)]
    pub pinned: Option<String>,
    /// Whether it is neither moved nor touched.
    #[serde(default)]
    pub maintenance: bool,
    /// Set where it runs, but not as it should.
    #[serde(default)]
    pub degraded: Option<Degraded>,
    /// Why it is where it is, or why it does not run.
    #[serde(default)]
    pub reason: String,
    /// What ends it on its owner when the lease is over.
    #[serde(default)]
    pub rungs: Vec<String>,
    /// Who would take over, in this order.
    #[serde(default)]
    pub next: Vec<String>,
}

/// Why something is less than it should be.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Degraded {
    /// For people.
    pub reason: String,
    /// Since when, UTC.
    pub since: String,
}

impl Status {
    /// A node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// A group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Whether a node is there and takes part.
    #[must_use]
    pub fn is_online(&self, name: &str) -> bool {
        self.node(name).is_some_and(|node| node.state == "online")
    }

    /// The owner of a group that runs.
    #[must_use]
    pub fn running_on(&self, group: &str) -> Option<&str> {
        self.group(group)?.running_on()
    }

    /// Whether there is a leader, every node is in order and every group runs.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.quorate
            && self.leader.is_some()
            && self
                .nodes
                .iter()
                .all(|node| node.state == "online" || node.state == "drained")
            && self.groups.iter().all(|group| group.running_on().is_some())
    }
}

/// More groups than these are counted, not listed.
const LISTED: usize = 12;

/// A few lines, to explain a failure.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leader = self.leader.as_deref().unwrap_or("nobody");
        let quorum = if self.quorate {
            "a quorum"
        } else {
            "NO QUORUM"
        };
        write!(f, "{leader} leads, {quorum};")?;
        for node in &self.nodes {
            let mark = node.degraded.as_ref().map_or("", |_| " (degraded)");
            write!(f, " {} {}{mark}", node.name, node.state)?;
        }
        for notice in &self.notices {
            write!(f, "\n  notice: {notice}")?;
        }
        if self.groups.len() <= LISTED {
            return self
                .groups
                .iter()
                .try_for_each(|group| write!(f, "\n  {group}"));
        }
        let mut counts = BTreeMap::new();
        for group in &self.groups {
            let owner = group.owner.as_deref().unwrap_or("nobody");
            *counts.entry((&*group.state, owner)).or_insert(0) += 1;
        }
        counts.iter().try_for_each(|((state, owner), count)| {
            write!(f, "\n  {count} groups {state}, owner {owner}")
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_deref().unwrap_or("nobody");
        let (name, state, epoch, reason) = (&self.name, &self.state, self.epoch, &self.reason);
        write!(
            f,
            "{name}: {state}, owner {owner}, epoch {epoch}, next {:?}: {reason}",
            self.next
        )?;
        if let Some(pinned) = &self.pinned {
            write!(f, "; pinned to {pinned}")?;
        }
        if self.maintenance {
            write!(f, "; in maintenance")?;
        }
        self.degraded
            .iter()
            .try_for_each(|mark| write!(f, "; degraded: {}", mark.reason))
    }
}

impl Group {
    /// Its owner, where it runs.
    #[must_use]
    pub fn running_on(&self) -> Option<&str> {
        self.owner.as_deref().filter(|_| self.state == "running")
    }
}
