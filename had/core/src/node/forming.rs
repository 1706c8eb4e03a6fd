//! The first start: the cluster forms by itself when all voters of the file answer and all are empty, or by an operator's
//! word who is there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use crate::ids::{NodeName, RequestId, VoterId};
use crate::ports::{Command, Reply};
use crate::time::Now;

/// How long an operator waits for a cluster to form.
const PATIENCE: Duration = Duration::from_secs(10);
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
            match self
                .nobody_else(nodes, now)
                .and_then(|()| self.blank_voters(nodes, now))
            {
                Ok(voters) => {
                    self.last_form = Some(now.mono);
                    self.forming = Some((request, now.mono));
                    return out.push(Command::Form { voters });
                }
                Err(why) => Reply::Refused(why),
            }
        };
        out.push(Command::Reply { request, reply });
    }

    /// Answers the operator who formed the cluster, once there is one.
    pub(super) fn answer_forming(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some((request, since)) = self.forming else {
            return;
        };
        let took = now.mono.since(since);
        let reply = if self.state.config.is_some() {
            let names: Vec<_> = self.state.voters.keys().map(NodeName::as_str).collect();
            Reply::Done {
                text: format!("the cluster is formed of {}", names.join(", ")),
                moved: BTreeMap::new(),
                took_ms: took.as_secs_f64() * 1_000.0,
            }
        } else if took >= PATIENCE {
            let seconds = PATIENCE.as_secs();
            let text = format!("the cluster has not formed within {seconds} s: see `hactl status`");
            Reply::Refused(text)
        } else {
            return;
        };
        self.forming = None;
        out.push(Command::Reply { request, reply });
    }

    /// Nobody who is heard is left out, and nobody who is heard belongs to a cluster: else there would be two.
    fn nobody_else(&self, names: &[NodeName], now: Now) -> Result<(), String> {
        let recent = self.timing.heard_lately();
        let others = self.own.spec.nodes.iter().map(|node| &node.name);
        for name in others.filter(|name| **name != self.me.node) {
            let Some(peer) = self.peers.get(name) else {
                continue;
            };
            if !peer.sender.cluster.is_blank() {
                return Err(format!(
                    "{name} belongs to a cluster already; it takes this node in by itself"
                ));
            }
            if now.mono.since(peer.heard) <= recent && !names.contains(name) {
                return Err(format!("{name} is heard: name it too"));
            }
        }
        Ok(())
    }

    /// The voters behind these names, if all are heard and all are empty.
    fn blank_voters(
        &self,
        names: &[NodeName],
        now: Now,
    ) -> Result<BTreeMap<VoterId, NodeName>, String> {
        let recent = self.timing.heard_lately();
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
