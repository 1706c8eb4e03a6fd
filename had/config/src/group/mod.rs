//! `[[group]]`.

mod misplaced;
mod names;
mod nodes;
mod policy;
mod scheme;

use had_core::ids::{GroupName, NodeName};
use had_core::spec::{GroupSpec, OnQuorumLoss};
use toml::de::DeTable;

pub(crate) use policy::{Listed, Policy};

use crate::finding::{Findings, Span};
use crate::node::HEAVIEST;
use crate::resource::{self, Resource};
use crate::section::{At, Section};
use crate::{cluster, values};

use scheme::Scheme;

/// Where no load is written.
const LOAD: u32 = 1;

/// One `[[group]]`; what could not be read is missing.
pub(crate) struct Group {
    pub(crate) span: Span,
    pub(crate) name: Option<At<GroupName>>,
    pub(crate) policy: Option<Policy>,
    /// As it is written.
    pub(crate) load: Option<At<u32>>,
    pub(crate) with: Vec<At<GroupName>>,
    pub(crate) apart_from: Vec<At<GroupName>>,
    pub(crate) on_quorum_loss: Option<OnQuorumLoss>,
    pub(crate) resources: Vec<Resource>,
}

impl Group {
    /// What it weighs.
    pub(crate) fn load(&self) -> u32 {
        self.load.as_ref().map_or(LOAD, |at| *at.get_ref())
    }

    /// The groups that give way where it runs.
    pub(crate) fn displaces(&self) -> &[At<GroupName>] {
        self.policy.as_ref().map_or(&[], Policy::displaces)
    }

    /// The nodes that may own it; `None` where not all of them could be read.
    pub(crate) fn owners(&self) -> Option<Vec<&NodeName>> {
        let policy = self.policy.as_ref().filter(|policy| policy.is_whole())?;
        Some(policy.listed().into_iter().map(At::get_ref).collect())
    }

    /// `None` only beside an error.
    pub(crate) fn into_spec(self, on_quorum_loss: OnQuorumLoss) -> Option<GroupSpec> {
        let load = self.load();
        let plain = |names: Vec<At<GroupName>>| names.into_iter().map(At::into_inner).collect();
        Some(GroupSpec {
            name: self.name?.into_inner(),
            policy: self.policy?.into_spec()?,
            on_quorum_loss: self.on_quorum_loss.unwrap_or(on_quorum_loss),
            load,
            with: plain(self.with),
            apart_from: plain(self.apart_from),
            resources: self
                .resources
                .into_iter()
                .map(Resource::into_spec)
                .collect::<Option<_>>()?,
        })
    }
}

/// Reads every `[[group]]`.
pub(crate) fn read(file: &Section<'_>, findings: &mut Findings) -> Vec<Group> {
    file.tables("group", "[[group]]", findings)
        .into_iter()
        .map(|table| {
            let span = table.span();
            one(table.into_inner(), span, findings)
        })
        .collect()
}

fn one(table: &DeTable<'_>, span: Span, findings: &mut Findings) -> Group {
    let scheme = Scheme::of(table);
    let keys = scheme.map_or(scheme::ANY, Scheme::keys);
    let section = Section::open("[[group]]", table, span, keys, findings);
    section.require("name", "name = \"web\"", findings);
    let name = section.value("name", findings, |text| {
        Ok(GroupName::from(values::name(text)?))
    });
    let example = scheme.unwrap_or(Scheme::IdleStandby).as_str();
    section.require("policy", &format!("policy = \"{example}\""), findings);
    section.value("policy", findings, |text| {
        let known = Scheme::ALL.map(|scheme| (scheme.as_str(), scheme));
        values::word("policy", text, &known, &[])
    });
    Group {
        span: section.span(),
        name,
        policy: policy::read(scheme, &section, findings),
        load: section.count("load", HEAVIEST, findings),
        with: names::groups(&section, "with", findings),
        apart_from: names::groups(&section, "apart_from", findings),
        on_quorum_loss: cluster::on_quorum_loss(&section, "it", findings),
        resources: resource::read(&section, findings),
    }
}
