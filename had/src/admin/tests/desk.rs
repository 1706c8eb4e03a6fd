//! What stands behind the services in these stories.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use had_core::ids::{ClusterId, CommandId, GroupName, NodeName, ProcessId, VoterId};
use had_core::message::{Ask, Message, Sender};
use had_core::ports::{Reply, Request, Via};
use had_core::time::WallTime;
use had_policies::Scenario;
use tokio::sync::watch;

use crate::admin::{EventDocument, NoForecast, Operator};
use crate::peers::Inbound;

/// A driver with nothing behind it.
pub(super) struct Desk {
    pub(super) node: NodeName,
    pub(super) leads: AtomicBool,
    pub(super) leader: Mutex<Option<NodeName>>,
    /// How often it says yet that it has no majority.
    pub(super) without_majority: AtomicU32,
    pub(super) seen: Mutex<Vec<(CommandId, Request)>>,
    pub(super) explained: Mutex<Vec<(GroupName, Option<WallTime>)>>,
    pub(super) simulated: Mutex<Vec<Scenario>>,
    pub(super) last: watch::Sender<u64>,
}

impl Desk {
    pub(super) fn new(node: &str, leader: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            node: node.into(),
            leads: AtomicBool::new(leader == Some(node)),
            leader: Mutex::new(leader.map(NodeName::from)),
            without_majority: AtomicU32::new(0),
            seen: Mutex::default(),
            explained: Mutex::default(),
            simulated: Mutex::default(),
            last: watch::Sender::new(2),
        })
    }
}

impl Operator for Desk {
    fn node(&self) -> NodeName {
        self.node.clone()
    }

    fn status(&self, group: Option<GroupName>) -> BoxFuture<'static, Result<String, String>> {
        let answer = match group {
            Some(group) if group.as_str() != "web" => Err(format!("there is no group {group}")),
            _ => Ok(format!("{{\"answered_by\":\"{}\"}}", self.node)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn explain(
        &self,
        group: GroupName,
        at: Option<WallTime>,
    ) -> BoxFuture<'static, Result<String, String>> {
        let answer = match group.as_str() {
            "web" => Ok(format!("{{\"explained_by\":\"{}\"}}", self.node)),
            _ => Err(format!("there is no group {group}; the groups are: web")),
        };
        self.explained.lock().unwrap().push((group, at));
        Box::pin(std::future::ready(answer))
    }

    fn simulate(&self, scenario: Scenario) -> BoxFuture<'static, Result<String, NoForecast>> {
        let answer = match &scenario {
            Scenario::Lose(nodes) if nodes.contains(&"h9".into()) => {
                Err(NoForecast::Senseless("there is no node h9".to_owned()))
            }
            Scenario::Lose(nodes) if nodes.len() == 3 => {
                Err(NoForecast::NoQuorum("h1 hears nobody".to_owned()))
            }
            _ => Ok(format!("{{\"foreseen_by\":\"{}\"}}", self.node)),
        };
        self.simulated.lock().unwrap().push(scenario);
        Box::pin(std::future::ready(answer))
    }

    fn last_event(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn events(&self, after: u64) -> Vec<EventDocument> {
        let document = |number: u64| {
            let at = WallTime(number * 1_000_000_000);
            EventDocument {
                number,
                at,
                json: format!("{{\"number\":{number}}}"),
            }
        };
        (after + 1..=*self.last.borrow()).map(document).collect()
    }

    fn request(&self, id: CommandId, what: Request) -> BoxFuture<'static, Reply> {
        self.seen.lock().unwrap().push((id, what));
        let without =
            self.without_majority
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
        let reply = if without.is_ok() {
            Reply::NoQuorum("no quorum at the moment".into())
        } else if self.leads.load(Ordering::SeqCst) {
            let moved = BTreeMap::from([("web".into(), Some("h2".into()))]);
            Reply::Done {
                text: "web runs on h2".into(),
                moved,
                took_ms: 12.5,
            }
        } else {
            Reply::NotLeader(self.leader.lock().unwrap().clone())
        };
        Box::pin(std::future::ready(reply))
    }

    fn init(&self, _: CommandId, nodes: Vec<NodeName>) -> BoxFuture<'static, Reply> {
        Box::pin(std::future::ready(Reply::Refused(format!(
            "{nodes:?} have formed a cluster"
        ))))
    }
}

/// A node that only forwards.
pub(super) struct Deaf(pub(super) NodeName);

impl Inbound for Deaf {
    fn heard(&self, _: Sender, _: Message) {}
    fn asked(&self, _: Sender, _: Ask, _: Via) {}
    fn consensus(&self, _: Sender, body: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Ok(body)))
    }
    fn sender(&self) -> Sender {
        let node = self.0.clone();
        Sender {
            node,
            voter: VoterId(1),
            process: ProcessId(1),
            cluster: ClusterId(1),
        }
    }
}
