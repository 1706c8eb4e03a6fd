//! The first start: the cluster forms by itself when all voters of the file answer and all are empty, or by an operator's
//! word who is there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use crate::ids::{NodeName, RequestId, VoterId};
use crate::ports::{Command, Reply};
use crate::time::Now;

/// Between two attempts to form.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

impl Node {
    /// The first node of the file forms the cluster, so that two never do.
    pub(super) fn form(&mut self, now: Now, out: &mut Vec<Command>) {
        let first = self
            .own
            .spec
            .nodes
            .first()
            .is_some_and(|node| node.name == self.me.node);
        let tried = self
            .last_form
            .is_some_and(|last| now.mono.since(last) < BETWEEN_ATTEMPTS);
        if !first || tried || !self.me.cluster.is_blank() || !self.state.voters.is_empty() {
            return;
        }
        let all: Vec<_> = self
            .own
            .spec
            .nodes
            .iter()
            .map(|node| node.name.clone())
            .collect();
        if let Ok(voters) = self.blank_voters(&all, now) {
            self.last_form = Some(now.mono);
            out.push(Command::Form { voters });
        }
    }

    /// An operator says who is there.
    pub(super) fn init(
        &mut self,
        now: Now,
        request: RequestId,
        nodes: &[NodeName],
        out: &mut Vec<Command>,
    ) {
        let reply = if !self.me.cluster.is_blank() || !self.state.voters.is_empty() {
            Reply::Refused("the cluster is formed already: see `hactl status`".to_owned())
        } else if !nodes.contains(&self.me.node) {
            let me = &self.me.node;
            Reply::Refused(format!(
                "{me} must be among the nodes named: it is the one that forms"
            ))
        } else {
            match self.blank_voters(nodes, now) {
                Ok(voters) => {
                    self.last_form = Some(now.mono);
                    let names: Vec<_> = voters.values().map(NodeName::as_str).collect();
                    let text = format!("the cluster forms with {}", names.join(", "));
                    out.push(Command::Form { voters });
                    Reply::Done {
                        text,
                        moved: BTreeMap::new(),
                        took_ms: 0.0,
                    }
                }
                Err(why) => Reply::Refused(why),
            }
        };
        out.push(Command::Reply { request, reply });
    }

    /// The voters behind these names, if all are heard and all are empty.
    fn blank_voters(
        &self,
        names: &[NodeName],
        now: Now,
    ) -> Result<BTreeMap<VoterId, NodeName>, String> {
        let recent = self.timing.heartbeat * 3;
        let voter = |name: &NodeName| {
            if *name == self.me.node {
                return Ok((self.me.voter, name.clone()));
            }
            if self.own.spec.node(name).is_none() {
                return Err(format!("{name} is not in the cluster file"));
            }
            match self
                .peers
                .get(name)
                .filter(|peer| now.mono.since(peer.heard) <= recent)
            {
                None => Err(format!("{name} cannot be heard")),
                Some(peer) if !peer.sender.cluster.is_blank() => Err(format!(
                    "{name} belongs to a cluster already; it takes this node in by itself"
                )),
                Some(peer) => Ok((peer.sender.voter, name.clone())),
            }
        };
        names.iter().map(voter).collect()
    }
}
