//! `[[node]]`.

use std::net::SocketAddr;

use had_core::ids::NodeName;
use had_core::spec::{NodeSpec, Role};

use crate::finding::{Findings, Span};
use crate::section::{At, Keys, Section, mismatch};
use crate::values;

const KEYS: Keys = Keys {
    known: &["name", "addresses", "role"],
    later: &["capacity", "capacity_is_hard"],
};

/// One `[[node]]`; what could not be read is missing.
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) name: Option<At<NodeName>>,
    pub(crate) role: Role,
    pub(crate) addresses: Option<At<Vec<At<SocketAddr>>>>,
}

impl Node {
    /// `None` only beside an error.
    pub(crate) fn into_spec(self) -> Option<NodeSpec> {
        let addresses = self.addresses?.into_inner();
        Some(NodeSpec {
            name: self.name?.into_inner(),
            role: self.role,
            addresses: addresses.into_iter().map(At::into_inner).collect(),
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
    section.refuse_later(findings);
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
    Node {
        span: section.span(),
        name,
        role,
        addresses,
    }
}

/// All of them, or none where one could not be read: they are paired by position.
fn addresses(section: &Section<'_>, findings: &mut Findings) -> Option<At<Vec<At<SocketAddr>>>> {
    let list = section.list("addresses", findings)?;
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
