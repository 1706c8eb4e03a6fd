//! L1: when a majority is connected and faults cease, every group that has an eligible node runs, without a person.

use std::collections::BTreeMap;

use had_core::ids::{GroupName, NodeName};
use had_core::state::State;

use super::Violation;

/// How a cluster stands at one moment.
#[derive(Debug)]
pub struct Stand<'a> {
    /// The newest decision.
    pub state: &'a State,
    /// Whose gate is open, for each group.
    pub open: BTreeMap<GroupName, Vec<NodeName>>,
    /// What each node has applied.
    pub applied: BTreeMap<NodeName, u64>,
    /// The newest decision that was acknowledged.
    pub acknowledged: u64,
}

/// Whether every group that can run does, on exactly the node that owns it.
///
/// # Errors
/// What is not as it should be.
pub fn heals(stand: &Stand<'_>) -> Result<(), Violation> {
    let broken = |text: String| {
        Err(Violation {
            check: "heals",
            text,
        })
    };
    let Some(spec) = stand.state.spec() else {
        return broken("nothing was ever configured".into());
    };
    for group in &spec.groups {
        let drained =
            |node: &NodeName| stand.state.nodes.get(node).is_some_and(|node| node.drained);
        let eligible = group.policy.nodes().any(|node| !drained(node));
        let decided = stand.state.groups.get(&group.name);
        let owner = decided.and_then(|decided| decided.owner.as_ref());
        let open = stand.open.get(&group.name).map_or(&[][..], Vec::as_slice);
        let right = match owner {
            Some(owner) => open == [owner.clone()],
            None => !eligible && open.is_empty(),
        };
        if !right {
            let owner = owner.map_or("nobody", NodeName::as_str);
            return broken(format!(
                "{} is owned by {owner}, and open on {open:?}",
                group.name
            ));
        }
    }
    let knowing = stand
        .applied
        .values()
        .filter(|applied| **applied >= stand.acknowledged)
        .count();
    if knowing * 2 <= spec.nodes.len() {
        return broken(format!(
            "only {knowing} of {} nodes have applied entry {}, which was acknowledged",
            spec.nodes.len(),
            stand.acknowledged
        ));
    }
    Ok(())
}
