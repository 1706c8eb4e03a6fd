//! `[[group.resource]]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use had_core::ids::{NodeName, ResourceName};
use had_core::spec::{InterfaceSpec, ResourceKind, ResourceSpec, VipSpec};

use crate::finding::Findings;
use crate::section::{At, Keys, Section, mismatch};
use crate::values;

const KEYS: Keys = Keys {
    known: &["name", "kind", "address", "interface"],
    later: &[
        "exec",
        "unit",
        "ocf",
        "params",
        "exclusive",
        "start_timeout",
        "stop_timeout",
        "check",
        "driver",
        "listen",
        "protocol",
        "forwarding",
        "scheduler",
        "server",
    ],
    ..Keys::NONE
};
const LATER_KINDS: &[&str] = &["service", "director"];

/// One `[[group.resource]]`; what could not be read is missing.
pub(crate) struct Resource {
    pub(crate) name: Option<At<ResourceName>>,
    pub(crate) address: Option<At<(IpAddr, u8)>>,
    pub(crate) interface: Option<Interface>,
}

/// `interface`, with the places of the names in it.
pub(crate) enum Interface {
    BySubnet,
    Named(String),
    PerNode(At<Vec<(At<NodeName>, String)>>),
}

impl Resource {
    /// `None` only beside an error.
    pub(crate) fn into_spec(self) -> Option<ResourceSpec> {
        let (address, prefix) = self.address?.into_inner();
        let interface = match self.interface? {
            Interface::BySubnet => InterfaceSpec::BySubnet,
            Interface::Named(name) => InterfaceSpec::Named(name),
            Interface::PerNode(names) => InterfaceSpec::PerNode(
                names
                    .into_inner()
                    .into_iter()
                    .map(|(node, name)| (node.into_inner(), name))
                    .collect::<BTreeMap<_, _>>(),
            ),
        };
        Some(ResourceSpec {
            name: self.name?.into_inner(),
            kind: ResourceKind::Vip(VipSpec {
                address,
                prefix,
                interface,
            }),
        })
    }
}

/// Reads every resource of a group.
pub(crate) fn read(group: &Section<'_>, findings: &mut Findings) -> Vec<Resource> {
    group
        .tables("resource", "[[group.resource]]", findings)
        .into_iter()
        .map(|table| {
            let span = table.span();
            let section = Section::open(
                "[[group.resource]]",
                table.into_inner(),
                span,
                KEYS,
                findings,
            );
            one(&section, findings)
        })
        .collect()
}

fn one(section: &Section<'_>, findings: &mut Findings) -> Resource {
    section.require("name", "name = \"vip\"", findings);
    let name = section.value("name", findings, |text| {
        Ok(ResourceName::from(values::name(text)?))
    });
    section.require("kind", "kind = \"vip\"", findings);
    let read = |text: &str| values::word("kind", text, &[("vip", ())], LATER_KINDS);
    let kind = section.value("kind", findings, read);
    if kind.is_none() && section.get("kind").is_some() {
        // The keys of a kind that is refused as a whole are not picked at one by one.
        return Resource {
            name,
            address: None,
            interface: None,
        };
    }
    section.refuse_later(findings);
    section.require("address", "address = \"10.77.0.100/24\"", findings);
    let address = section.value("address", findings, values::virtual_ip);
    Resource {
        name,
        address,
        interface: interface(section, findings),
    }
}

fn interface(section: &Section<'_>, findings: &mut Findings) -> Option<Interface> {
    let Some(value) = section.get("interface") else {
        return Some(Interface::BySubnet);
    };
    if value.get_ref().is_str() {
        let name = section.value("interface", findings, values::interface)?;
        return Some(Interface::Named(name.into_inner()));
    }
    let Some(table) = value.get_ref().as_table() else {
        return mismatch(
            "interface",
            "\"eth0\" or { h1 = \"eth0\", h2 = \"ens3\" }",
            value,
            findings,
        );
    };
    // Which of its keys are known nodes is checked across the file.
    let names = Section::named("`interface`", table, value.span());
    let read: Vec<_> = names
        .keys()
        .filter_map(|node| {
            let name = names.value(node.get_ref(), findings, values::interface)?;
            Some((
                At::new(node.span(), NodeName::from(node.into_inner())),
                name.into_inner(),
            ))
        })
        .collect();
    (read.len() == table.len()).then(|| Interface::PerNode(At::new(value.span(), read)))
}
