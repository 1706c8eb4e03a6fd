//! Operators, who command at any moment and ask elsewhere where they are sent elsewhere.
//!
//! Whoever drains a node resumes it, whoever stops a group starts it, and whoever begins maintenance ends it, also after the
//! faults have ceased: else nothing would move any more.

use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{CommandId, NodeName, ProcessId};
use had_core::ports::{GroupAction, Reply, Request};
use had_core::time::nanos;
use openraft_rt::AsyncRuntime;

use super::Fate;
use crate::cluster::Cluster;
use crate::runtime::{Dice, SimRuntime, WORLD, spawn_on, true_time};

/// Operators' programs draw their command ids here: no daemon has such a process id.
const OPERATORS: u64 = 0xffff_0000;
/// How long an operator waits for a reply.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often an operator asks, all in all.
const TRIES: u32 = 12;
/// How often, where the opposite is asked for afterwards all the same.
const TRIES_FOR_A_WHILE: u32 = 4;
/// What is taken back is taken back within this time, so that the cluster can heal from it before it is looked at.
const LONGEST_WHILE: Duration = Duration::from_secs(2);

/// Numbers of operators' commands.
#[derive(Debug, Default)]
pub struct CommandIds(u64);

impl CommandIds {
    /// The next one.
    pub fn draw(&mut self) -> CommandId {
        self.0 += 1;
        CommandId {
            process: ProcessId(OPERATORS),
            number: self.0,
        }
    }
}

impl Fate {
    pub(super) fn operator(&mut self) -> bool {
        let victim = self.victim();
        let node = self.cluster.hosts[victim].name.clone();
        let group = self.group();
        match self.dice.between(0, 12) {
            0 | 1 => self.command(Request::Failover { group, to: None }),
            2..5 => self.command(Request::Failover {
                group,
                to: Some(node),
            }),
            5 => self.command(Request::Failback { group }),
            6 => self.command(Request::Group {
                group,
                action: GroupAction::Clear,
            }),
            7 | 8 => self.for_a_while(None, |stop| Request::Group {
                group: group.clone(),
                action: if stop {
                    GroupAction::Stop
                } else {
                    GroupAction::Start
                },
            }),
            9 => {
                let group = self.dice.chance(500).then_some(group);
                self.for_a_while(None, |on| Request::Maintenance {
                    group: group.clone(),
                    on,
                });
            }
            _ => self.drain_for_a_while(&node, None),
        }
        true
    }

    /// `first`: whom the operator asks first.
    pub(super) fn drain_for_a_while(&mut self, node: &NodeName, first: Option<usize>) {
        self.for_a_while(first, |drained| Request::Drain {
            node: node.clone(),
            drained,
        });
    }

    /// Asks for something, and for its opposite some time later, until it is done.
    fn for_a_while(&mut self, first: Option<usize>, what: impl Fn(bool) -> Request) {
        let later = self.length().min(LONGEST_WHILE) + Duration::from_millis(300);
        let over = true_time() + nanos(later);
        let (begin, end) = (what(true), what(false));
        self.cluster
            .fault(&format!("operator: {begin:?}, over after {later:?}"));
        let (begin_id, end_id) = (self.commands.draw(), self.commands.draw());
        let (cluster, dice) = (Rc::clone(&self.cluster), self.own_dice());
        drop(spawn_on(WORLD, async move {
            let (world, own) = (Rc::clone(&cluster), dice.clone());
            ask(world, own, first, TRIES_FOR_A_WHILE, begin_id, begin).await;
            SimRuntime::sleep(Duration::from_nanos(over.saturating_sub(true_time()))).await;
            ask(cluster, dice, None, u32::MAX, end_id, end).await;
        }));
    }

    fn command(&mut self, what: Request) {
        self.cluster.fault(&format!("operator: {what:?}"));
        let id = self.commands.draw();
        let (cluster, dice) = (Rc::clone(&self.cluster), self.own_dice());
        drop(spawn_on(WORLD, ask(cluster, dice, None, TRIES, id, what)));
    }

    fn own_dice(&mut self) -> Dice {
        Dice::new(self.dice.any(), 0)
    }
}

/// Asks some node, and then the one that it names, until there is an answer; so often at most. Who asks without end takes no
/// refusal either.
pub async fn ask(
    cluster: Rc<Cluster>,
    mut dice: Dice,
    first: Option<usize>,
    tries: u32,
    id: CommandId,
    what: Request,
) -> Option<Reply> {
    let mut asked = first.unwrap_or_else(|| dice.index(cluster.hosts.len()));
    for _ in 0..tries {
        let reply = match cluster.hosts[asked].request(id, what.clone()) {
            Some(reply) => SimRuntime::timeout(PATIENCE, reply)
                .await
                .ok()
                .and_then(Result::ok),
            None => None,
        };
        let next = match reply {
            Some(Reply::Done { .. }) => return reply,
            Some(Reply::Refused(_)) if tries < u32::MAX => return reply,
            Some(Reply::NotLeader(Some(leader))) => cluster.host_of(&leader),
            Some(Reply::NotLeader(None) | Reply::NoQuorum(_) | Reply::Refused(_)) | None => None,
        };
        SimRuntime::sleep(Duration::from_millis(dice.between(1, 300))).await;
        asked = next.unwrap_or_else(|| dice.index(cluster.hosts.len()));
    }
    None
}
