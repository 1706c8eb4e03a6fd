//! The nodes that a group lists.

use had_core::ids::NodeName;
use toml::Spanned;
use toml::de::DeValue;

use crate::finding::Findings;
use crate::section::{At, Keys, Section, example, mismatch};
use crate::values;

use super::names;
use super::policy::Listed;

const LISTED_KEYS: Keys = Keys {
    known: &["name", "priority"],
    ..Keys::NONE
};
/// What to write for an idle-standby group, and for a rotating one.
const CANDIDATES: &str = "nodes = [{ name = \"h1\", priority = 200 }]";
const QUEUE: &str = "nodes = [\"h1\", \"h2\"]";

/// The partners of a mutual-takeover group.
pub(super) fn partners(
    section: &Section<'_>,
    findings: &mut Findings,
) -> Option<At<Vec<At<NodeName>>>> {
    let example = example("partners", "the names of nodes");
    section.require("partners", example, findings);
    let partners = names::nodes(section, "partners", findings)?;
    if partners.get_ref().is_empty() {
        let message = "`partners` is empty: nobody could take the group over";
        findings.error(partners.span(), message, format!("write {example}"));
        return None;
    }
    Some(partners)
}

/// The nodes of a rotating group. Priorities are refused and the names read all the same.
pub(super) fn queue(
    section: &Section<'_>,
    findings: &mut Findings,
) -> Option<At<Vec<At<NodeName>>>> {
    section.require("nodes", QUEUE, findings);
    let rewritten = names::rewritten("nodes", section.get("nodes")?.get_ref());
    let help = rewritten.as_deref().unwrap_or(QUEUE);
    let list = section.list("nodes", help, findings)?;
    let span = list.span();
    if list.get_ref().is_empty() {
        let message = "`nodes` is empty: nobody may own the group";
        findings.error(span, message, format!("write {help}"));
        return None;
    }
    let mut queue = Vec::new();
    let mut has_tables = false;
    for item in list.get_ref() {
        let name = match item.get_ref().as_table() {
            Some(table) => {
                if !has_tables {
                    let message = "a rotating group has no priorities: first in, first out";
                    findings.error(item.span(), message, format!("write {help}"));
                }
                has_tables = true;
                table.get("name").and_then(|name| name.get_ref().as_str())
            }
            None if item.get_ref().is_str() => item.get_ref().as_str(),
            None => mismatch("nodes", help, item, findings),
        };
        queue.extend(name.and_then(|name| names::name(item, name, findings)));
    }
    (queue.len() == list.get_ref().len()).then(|| At::new(span, queue))
}

/// The nodes of an idle-standby group: all of them, or none where one could not be read.
pub(super) fn candidates(
    section: &Section<'_>,
    findings: &mut Findings,
) -> Option<At<Vec<Listed>>> {
    section.require("nodes", CANDIDATES, findings);
    let list = section.list("nodes", CANDIDATES, findings)?;
    let span = list.span();
    if list.get_ref().is_empty() {
        let message = "`nodes` is empty: nobody may own the group";
        findings.error(span, message, format!("write {CANDIDATES}"));
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
