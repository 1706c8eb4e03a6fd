//! What a group's policy says.

use had_core::ids::{GroupName, NodeName};
use had_core::spec::{Candidate, PolicySpec};
use had_policies::Failback;

use crate::finding::Findings;
use crate::section::{At, Section, example};
use crate::{duration, values};

use super::scheme::Scheme;
use super::{names, nodes};

/// A policy with its parameters; what could not be read is missing.
pub(crate) enum Policy {
    IdleStandby {
        nodes: Option<At<Vec<Listed>>>,
        failback: Failback,
    },
    RotatingStandby {
        nodes: Option<At<Vec<At<NodeName>>>>,
    },
    SimpleFailover {
        primary: Option<At<NodeName>>,
        backup: Option<At<NodeName>>,
        displaces: Vec<At<GroupName>>,
        failback: Failback,
    },
    MutualTakeover {
        home: Option<At<NodeName>>,
        partners: Option<At<Vec<At<NodeName>>>>,
        failback: Failback,
    },
}

/// One node of an idle-standby group.
pub(crate) struct Listed {
    pub(crate) name: At<NodeName>,
    pub(crate) priority: At<i64>,
}

impl Policy {
    /// The nodes that may own the group, as far as they could be read: in the order of the file, primary and home first.
    pub(crate) fn listed(&self) -> Vec<&At<NodeName>> {
        match self {
            Self::IdleStandby { nodes, .. } => {
                let nodes = nodes.iter().flat_map(At::get_ref);
                nodes.map(|node| &node.name).collect()
            }
            Self::RotatingStandby { nodes } => nodes.iter().flat_map(At::get_ref).collect(),
            Self::SimpleFailover {
                primary, backup, ..
            } => primary.iter().chain(backup).collect(),
            Self::MutualTakeover { home, partners, .. } => {
                let partners = partners.iter().flat_map(At::get_ref);
                home.iter().chain(partners).collect()
            }
        }
    }

    /// Whether all the nodes could be read.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::IdleStandby { nodes, .. } => nodes.is_some(),
            Self::RotatingStandby { nodes } => nodes.is_some(),
            Self::SimpleFailover {
                primary, backup, ..
            } => primary.is_some() && backup.is_some(),
            Self::MutualTakeover { home, partners, .. } => home.is_some() && partners.is_some(),
        }
    }

    /// The groups that give way.
    pub(crate) fn displaces(&self) -> &[At<GroupName>] {
        match self {
            Self::SimpleFailover { displaces, .. } => displaces,
            Self::IdleStandby { .. }
            | Self::RotatingStandby { .. }
            | Self::MutualTakeover { .. } => &[],
        }
    }

    /// `None` only beside an error.
    pub(super) fn into_spec(self) -> Option<PolicySpec> {
        let plain = |names: Vec<At<NodeName>>| names.into_iter().map(At::into_inner).collect();
        Some(match self {
            Self::IdleStandby { nodes, failback } => PolicySpec::IdleStandby {
                nodes: nodes?
                    .into_inner()
                    .into_iter()
                    .map(Listed::into_spec)
                    .collect(),
                failback,
            },
            Self::RotatingStandby { nodes } => PolicySpec::RotatingStandby {
                nodes: plain(nodes?.into_inner()),
            },
            Self::SimpleFailover {
                primary,
                backup,
                displaces,
                failback,
            } => PolicySpec::SimpleFailover {
                primary: primary?.into_inner(),
                backup: backup?.into_inner(),
                displaces: displaces.into_iter().map(At::into_inner).collect(),
                failback,
            },
            Self::MutualTakeover {
                home,
                partners,
                failback,
            } => PolicySpec::MutualTakeover {
                home: home?.into_inner(),
                partners: plain(partners?.into_inner()),
                failback,
            },
        })
    }
}

impl Listed {
    fn into_spec(self) -> Candidate {
        Candidate {
            name: self.name.into_inner(),
            priority: self.priority.into_inner(),
        }
    }
}

/// Reads the keys of a policy. Where it is unknown which it is, they are not picked at one by one.
pub(super) fn read(
    scheme: Option<Scheme>,
    section: &Section<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    let Some(scheme) = scheme else {
        failback(section, findings);
        return None;
    };
    Some(match scheme {
        Scheme::IdleStandby => Policy::IdleStandby {
            nodes: nodes::candidates(section, findings),
            failback: failback(section, findings),
        },
        Scheme::RotatingStandby => Policy::RotatingStandby {
            nodes: nodes::queue(section, findings),
        },
        Scheme::SimpleFailover => Policy::SimpleFailover {
            primary: node("primary", section, findings),
            backup: node("backup", section, findings),
            displaces: names::groups(section, "displaces", findings),
            failback: failback(section, findings),
        },
        Scheme::MutualTakeover => Policy::MutualTakeover {
            home: node("home", section, findings),
            partners: nodes::partners(section, findings),
            failback: failback(section, findings),
        },
    })
}

/// When the group returns: `failback`, or else only when an operator says so.
fn failback(section: &Section<'_>, findings: &mut Findings) -> Failback {
    let read = |text: &str| match text {
        "manual" => Ok(Failback::Manual),
        "auto" => Ok(Failback::Auto),
        _ => match duration::read(text) {
            Ok(stable) => Ok(Failback::After(stable)),
            Err(problem) if text.starts_with(|c: char| c.is_ascii_digit()) => Err(problem),
            Err(_) => Err(values::Problem::new(
                format!("`{text}` is no failback"),
                "write \"manual\", \"auto\" or a duration, such as \"30s\"",
            )),
        },
    };
    let failback = section.value("failback", findings, read);
    failback.map_or(Failback::Manual, At::into_inner)
}

/// A key that names one node.
fn node(key: &str, section: &Section<'_>, findings: &mut Findings) -> Option<At<NodeName>> {
    section.require(key, example(key, "the name of a node"), findings);
    section.value(key, findings, |text| {
        Ok(NodeName::from(values::name(text)?))
    })
}
