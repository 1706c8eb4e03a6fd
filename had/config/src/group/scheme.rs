//! The policies by name, and the keys of each.

use toml::de::DeTable;

use crate::section::{Keys, Misplaced};
use crate::similar;

use super::misplaced;

/// A policy by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    IdleStandby,
    RotatingStandby,
    SimpleFailover,
    MutualTakeover,
}

impl Scheme {
    pub(super) const ALL: [Self; 4] = [
        Self::IdleStandby,
        Self::RotatingStandby,
        Self::SimpleFailover,
        Self::MutualTakeover,
    ];

    /// As the file spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::IdleStandby => "idle-standby",
            Self::RotatingStandby => "rotating-standby",
            Self::SimpleFailover => "simple-failover",
            Self::MutualTakeover => "mutual-takeover",
        }
    }

    /// The policy of a group: what it says, also misspelt, or where it says nothing, what its keys look like. `None` where
    /// what it says is no policy.
    pub(super) fn of(group: &DeTable<'_>) -> Option<Self> {
        let Some(policy) = group.get("policy") else {
            return Some(Self::meant_by(group));
        };
        let policy = policy.get_ref().as_str()?;
        let meant = similar::nearest(policy, Self::ALL.map(Self::as_str))?;
        Self::ALL.into_iter().find(|one| one.as_str() == meant)
    }

    fn meant_by(group: &DeTable<'_>) -> Self {
        let has = |keys: &[&str]| keys.iter().any(|key| group.contains_key(*key));
        let nodes = group
            .get("nodes")
            .and_then(|nodes| nodes.get_ref().as_array());
        let is_plain = nodes.is_some_and(|nodes| nodes.iter().any(|node| node.get_ref().is_str()));
        if has(&["primary", "backup", "displaces"]) {
            Self::SimpleFailover
        } else if has(&["home", "partners"]) {
            Self::MutualTakeover
        } else if is_plain {
            Self::RotatingStandby
        } else {
            Self::IdleStandby
        }
    }

    /// The keys of a group of this policy.
    pub(super) fn keys(self) -> Keys {
        let (known, misplaced): (&[&str], &[Misplaced]) = match self {
            Self::IdleStandby => (IDLE, misplaced::NOT_IDLE),
            Self::RotatingStandby => (ROTATING, misplaced::NOT_ROTATING),
            Self::SimpleFailover => (SIMPLE, misplaced::NOT_SIMPLE),
            Self::MutualTakeover => (MUTUAL, misplaced::NOT_MUTUAL),
        };
        Keys {
            known,
            misplaced,
            ..Keys::NONE
        }
    }
}

/// The keys of a group of no known policy.
pub(super) const ANY: Keys = Keys {
    known: &[
        "name",
        "policy",
        "nodes",
        "primary",
        "backup",
        "displaces",
        "home",
        "partners",
        "failback",
        "load",
        "with",
        "apart_from",
        "on_quorum_loss",
        "resource",
    ],
    misplaced: misplaced::NOT_A_GROUP,
    ..Keys::NONE
};

const IDLE: &[&str] = &[
    "name",
    "policy",
    "nodes",
    "failback",
    "load",
    "with",
    "apart_from",
    "on_quorum_loss",
    "resource",
];
const ROTATING: &[&str] = &[
    "name",
    "policy",
    "nodes",
    "load",
    "with",
    "apart_from",
    "on_quorum_loss",
    "resource",
];
const SIMPLE: &[&str] = &[
    "name",
    "policy",
    "primary",
    "backup",
    "displaces",
    "failback",
    "load",
    "with",
    "apart_from",
    "on_quorum_loss",
    "resource",
];
const MUTUAL: &[&str] = &[
    "name",
    "policy",
    "home",
    "partners",
    "failback",
    "load",
    "with",
    "apart_from",
    "on_quorum_loss",
    "resource",
];
