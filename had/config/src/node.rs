//! `[[node]]`.

use std::net::SocketAddr;

use had_core::ids::NodeName;
use had_core::spec::{NodeSpec, Role};

use crate::finding::{Findings, Span};
use crate::section::{At, Keys, Misplaced, Section, mismatch};
use crate::values;

const KEYS: Keys = Keys {
    known: &["name", "addresses", "role", "capacity", "capacity_is_hard"],
    misplaced: &[
        Misplaced {
            key: "load",
            message: "a group has a load, a node a capacity",
            help: "write capacity = 10 here, or load = 4 in [[group]]",
            instead: &[],
        },
        Misplaced {
            key: "priority",
            message: "a node has a priority in each group of its own",
            help: "write nodes = [{ name = \"h1\", priority = 200 }] in [[group]]",
            instead: &[],
        },
    ],
    ..Keys::NONE
};

/// The most that a capacity or a load may be: sums of them stay far from overflow, and nobody weighs finer.
pub(crate) const HEAVIEST: u32 = 1_000_000;
/// Where no capacity is written.
const CAPACITY: u32 = 1;

/// One `[[node]]`; what could not be read is missing.
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) name: Option<At<NodeName>>,
    pub(crate) role: Role,
    pub(crate) addresses: Option<At<Vec<At<SocketAddr>>>>,
    /// As it is written.
    pub(crate) capacity: Option<At<u32>>,
    pub(crate) capacity_is_hard: bool,
}

impl Node {
    /// Whether this is its name.
    pub(crate) fn is(&self, name: &NodeName) -> bool {
        let own = self.name.as_ref();
        own.is_some_and(|own| own.get_ref() == name)
    }

    /// What it should carry at most.
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity.as_ref().map_or(CAPACITY, |at| *at.get_ref())
    }

    /// `None` only beside an error.
    pub(crate) fn into_spec(self) -> Option<NodeSpec> {
        let capacity = self.capacity();
        let addresses = self.addresses?.into_inner();
        Some(NodeSpec {
            name: self.name?.into_inner(),
            role: self.role,
            addresses: addresses.into_iter().map(At::into_inner).collect(),
            capacity,
            capacity_is_hard: self.capacity_is_hard,
        })
    }
}

/// Reads every `[[node]]`.
pub(crate) fn read(file: &Section<'_>, findings: &mut Findings) -> Vec<Node> {
    file.require(
        "node",
        "[[node]] with a name and addresses, for every machine",
        findings,
    );
    file.tables("node", "[[node]]", findings)
        .into_iter()
        .map(|table| {
            let span = table.span();
            let section = Section::open("[[node]]", table.into_inner(), span, KEYS, findings);
            one(&section, findings)
        })
        .collect()
}

fn one(section: &Section<'_>, findings: &mut Findings) -> Node {
    section.require("name", "name = \"h1\"", findings);
    let name = section.value("name", findings, |text| {
        Ok(NodeName::from(values::name(text)?))
    });
    let known = [("member", Role::Member), ("witness", Role::Witness)];
    let role = section.value("role", findings, |text| {
        values::word("role", text, &known, &[])
    });
    section.require("addresses", "addresses = [\"10.77.0.1:7400\"]", findings);
    let addresses = addresses(section, findings);
    let role = role.map_or(Role::Member, At::into_inner);
    let capacity = section.count("capacity", HEAVIEST, findings);
    let is_hard = section.flag("capacity_is_hard", findings);
    capacities(section, role, is_hard.as_ref(), findings);
    Node {
        span: section.span(),
        name,
        role,
        addresses,
        capacity,
        capacity_is_hard: is_hard.is_some_and(At::into_inner),
    }
}

/// A witness carries nothing, and a hard capacity is one that is written.
fn capacities(
    section: &Section<'_>,
    role: Role,
    is_hard: Option<&At<bool>>,
    findings: &mut Findings,
) {
    if role == Role::Witness {
        let keys = section.keys();
        for key in keys.filter(|key| key.get_ref().starts_with("capacity")) {
            findings.error(
                key.span(),
                format!("a witness only votes: it has no `{}`", key.get_ref()),
                "remove it, or remove role = \"witness\"",
            );
        }
    } else if let Some(is_hard) = is_hard
        && *is_hard.get_ref()
        && !section.has("capacity")
    {
        findings.warn(
            is_hard.span(),
            format!("without `capacity` the node carries a load of {CAPACITY} and no more"),
            "write capacity = 10, or what the node can carry",
        );
    }
}

/// All of them, or none where one could not be read: they are paired by position.
fn addresses(section: &Section<'_>, findings: &mut Findings) -> Option<At<Vec<At<SocketAddr>>>> {
    let list = section.list("addresses", "a list in [brackets]", findings)?;
    let span = list.span();
    if list.get_ref().is_empty() {
        let help = "write the address on which the other nodes reach this one";
        findings.error(span, "`addresses` is empty", help);
        return None;
    }
    let mut addresses = Vec::new();
    for item in list.get_ref() {
        let Some(text) = item.get_ref().as_str() else {
            mismatch::<()>("addresses", "IP:port in quotes", item, findings);
            continue;
        };
        match values::peer(text) {
            Ok(address) => addresses.push(At::new(item.span(), address)),
            Err(problem) => findings.error(item.span(), problem.message, problem.help),
        }
    }
    (addresses.len() == list.get_ref().len()).then(|| At::new(span, addresses))
}
