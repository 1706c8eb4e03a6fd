//! Operators, who command at any moment and ask elsewhere where they are sent elsewhere.

use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{CommandId, NodeName, ProcessId};
use had_core::ports::{Reply, Request};
use openraft_rt::AsyncRuntime;

use super::Fate;
use crate::cluster::Cluster;
use crate::runtime::{Dice, SimRuntime, WORLD, spawn_on};

/// Operators' programs draw their command ids here: no daemon has such a process id.
const OPERATORS: u64 = 0xffff_0000;
/// How long an operator waits for a reply.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often an operator asks, all in all.
const TRIES: u32 = 12;

impl Fate {
    pub(super) fn operator(&mut self) -> bool {
        let victim = self.victim();
        let node = self.cluster.hosts[victim].name.clone();
        let groups = &self.cluster.config.spec.groups;
        let group = groups[self.dice.index(groups.len())].name.clone();
        match self.dice.between(0, 6) {
            0 => self.command(Request::Failover { group, to: None }),
            1 | 2 => self.command(Request::Failover {
                group,
                to: Some(node),
            }),
            3 => self.command(Request::Failback { group }),
            _ => self.drain_for_a_while(node, None),
        }
        true
    }

    /// A drained node is always resumed: else the last ones would carry everything, and nothing would move any more.
    /// `first`: whom the operator asks first.
    pub(super) fn drain_for_a_while(&mut self, node: NodeName, first: Option<usize>) {
        let later = self.length() + Duration::from_millis(300);
        self.command_at(
            first,
            Request::Drain {
                node: node.clone(),
                drained: true,
            },
        );
        let id = self.command_id();
        let (cluster, dice) = (Rc::clone(&self.cluster), self.own_dice());
        drop(spawn_on(WORLD, async move {
            SimRuntime::sleep(later).await;
            // Also after the faults have ceased: the operator who drained comes back.
            ask(
                cluster,
                dice,
                None,
                id,
                Request::Drain {
                    node,
                    drained: false,
                },
            )
            .await;
        }));
    }

    fn command(&mut self, what: Request) {
        self.command_at(None, what);
    }

    fn command_at(&mut self, first: Option<usize>, what: Request) {
        self.cluster.fault(&format!("operator: {what:?}"));
        let id = self.command_id();
        let (cluster, dice) = (Rc::clone(&self.cluster), self.own_dice());
        drop(spawn_on(WORLD, ask(cluster, dice, first, id, what)));
    }

    fn command_id(&mut self) -> CommandId {
        self.commands += 1;
        CommandId {
            process: ProcessId(OPERATORS),
            number: self.commands,
        }
    }

    fn own_dice(&mut self) -> Dice {
        Dice::new(self.dice.any(), 0)
    }
}

/// Asks some node, and then the one that it names, until there is an answer.
async fn ask(
    cluster: Rc<Cluster>,
    mut dice: Dice,
    first: Option<usize>,
    id: CommandId,
    what: Request,
) {
    let mut asked = first.unwrap_or_else(|| dice.index(cluster.hosts.len()));
    for _ in 0..TRIES {
        let reply = match cluster.hosts[asked].request(id, what.clone()) {
            Some(reply) => SimRuntime::timeout(PATIENCE, reply)
                .await
                .ok()
                .and_then(Result::ok),
            None => None,
        };
        let next = match reply {
            Some(Reply::Done { .. } | Reply::Refused(_)) => return,
            Some(Reply::NotLeader(Some(leader))) => cluster.host_of(&leader),
            Some(Reply::NotLeader(None) | Reply::NoQuorum(_)) | None => None,
        };
        SimRuntime::sleep(Duration::from_millis(dice.between(1, 300))).await;
        asked = next.unwrap_or_else(|| dice.index(cluster.hosts.len()));
    }
}
