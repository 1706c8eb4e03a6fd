//! `[[group]]`.

use had_core::ids::{GroupName, NodeName};
use had_core::spec::{Candidate, GroupSpec, OnQuorumLoss, PolicySpec};
use had_policies::Failback;
use toml::Spanned;
use toml::de::DeValue;

use crate::finding::{Findings, Span};
use crate::resource::{self, Resource};
use crate::section::{At, Keys, Section, mismatch};
use crate::{cluster, duration, values};

const KEYS: Keys = Keys {
    known: &[
        "name",
        "policy",
        "nodes",
        "failback",
        "on_quorum_loss",
        "resource",
    ],
    later: &[
        "primary",
        "backup",
        "displaces",
        "home",
        "partners",
        "load",
        "with",
        "apart_from",
        "capacity_is_hard",
    ],
};
const LISTED_KEYS: Keys = Keys {
    known: &["name", "priority"],
    later: &[],
};
const LATER_POLICIES: &[&str] = &["rotating-standby", "simple-failover", "mutual-takeover"];

/// One `[[group]]`; what could not be read is missing.
pub(crate) struct Group {
    pub(crate) span: Span,
    pub(crate) name: Option<At<GroupName>>,
    pub(crate) nodes: Option<At<Vec<Listed>>>,
    pub(crate) failback: Failback,
    pub(crate) on_quorum_loss: Option<OnQuorumLoss>,
    pub(crate) resources: Vec<Resource>,
}

/// One node of an idle-standby group.
pub(crate) struct Listed {
    pub(crate) name: At<NodeName>,
    pub(crate) priority: At<i64>,
}

impl Group {
    /// `None` only beside an error.
    pub(crate) fn into_spec(self, on_quorum_loss: OnQuorumLoss) -> Option<GroupSpec> {
        let listed = self.nodes?.into_inner().into_iter();
        let nodes = listed
            .map(|node| Candidate {
                name: node.name.into_inner(),
                priority: node.priority.into_inner(),
            })
            .collect();
        Some(GroupSpec {
            name: self.name?.into_inner(),
            policy: PolicySpec::IdleStandby {
                nodes,
                failback: self.failback,
            },
            on_quorum_loss: self.on_quorum_loss.unwrap_or(on_quorum_loss),
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
            let section = Section::open("[[group]]", table.into_inner(), span, KEYS, findings);
            one(&section, findings)
        })
        .collect()
}

fn one(section: &Section<'_>, findings: &mut Findings) -> Group {
    section.require("name", "name = \"web\"", findings);
    let name = section.value("name", findings, |text| {
        Ok(GroupName::from(values::name(text)?))
    });
    section.require("policy", "policy = \"idle-standby\"", findings);
    let known = [("idle-standby", ())];
    let read = |text: &str| values::word("policy", text, &known, LATER_POLICIES);
    let policy = section.value("policy", findings, read);
    let mut nodes = None;
    // The keys of a policy that is refused as a whole are not picked at one by one.
    if policy.is_some() || section.get("policy").is_none() {
        section.refuse_later(findings);
        section.require(
            "nodes",
            "nodes = [{ name = \"h1\", priority = 200 }]",
            findings,
        );
        nodes = self::nodes(section, findings);
    }
    Group {
        span: section.span(),
        name,
        nodes,
        failback: section
            .value("failback", findings, failback)
            .map_or(Failback::Manual, At::into_inner),
        on_quorum_loss: cluster::on_quorum_loss(section, findings),
        resources: resource::read(section, findings),
    }
}

fn failback(text: &str) -> Result<Failback, values::Problem> {
    match text {
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
    }
}

/// All of them, or none where one could not be read.
fn nodes(section: &Section<'_>, findings: &mut Findings) -> Option<At<Vec<Listed>>> {
    let list = section.list("nodes", findings)?;
    let span = list.span();
    if list.get_ref().is_empty() {
        let help = "write nodes = [{ name = \"h1\", priority = 200 }]";
        findings.error(span, "`nodes` is empty: nobody may own the group", help);
        return None;
    }
    let listed: Vec<_> = list
        .get_ref()
        .iter()
        .filter_map(|item| listed(item, findings))
        .collect();
    (listed.len() == list.get_ref().len()).then(|| At::new(span, listed))
}

fn listed(item: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Listed> {
    if let Some(name) = item.get_ref().as_str() {
        let help = format!("write {{ name = \"{name}\", priority = 100 }}");
        findings.error(
            item.span(),
            "a node of an idle-standby group needs a priority",
            help,
        );
        return None;
    }
    let Some(table) = item.get_ref().as_table() else {
        return mismatch("nodes", "{ name = \"h1\", priority = 200 }", item, findings);
    };
    let section = Section::open(
        "a node of `nodes`",
        table,
        item.span(),
        LISTED_KEYS,
        findings,
    );
    section.require("name", "{ name = \"h1\", priority = 200 }", findings);
    section.require("priority", "{ name = \"h1\", priority = 200 }", findings);
    let name = section.value("name", findings, |text| {
        Ok(NodeName::from(values::name(text)?))
    });
    let priority = section.integer("priority", findings);
    Some(Listed {
        name: name?,
        priority: priority?,
    })
}
