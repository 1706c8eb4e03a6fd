//! This node, as operators see it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use had_core::ids::{CommandId, GroupName, NodeName};
use had_core::node::Node;
use had_core::ports::{Event, Reply, Request};
use had_core::state::{ClusterEvent, State};
use had_core::status::{EventLine, Status};
use had_core::time::{Now, WallTime};
use had_policies::Scenario;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::admin::{EventDocument, NoForecast, Operator};
use crate::driver::{Inbox, Input, Replies};

/// The core answers an operator within ten seconds; this is for a core that does not answer at all.
const PATIENCE: Duration = Duration::from_secs(12);
/// What is said of such a core.
const SILENT: &str = "the daemon does not answer: it is ending, or stuck";

/// Answers from the driver and the applied state.
#[derive(Clone)]
pub struct LocalOperator {
    /// The driver's.
    pub inbox: Inbox,
    /// Answers to commands.
    pub replies: Replies,
    /// The applied state.
    pub applied: watch::Receiver<Arc<State>>,
    /// The number of the last event.
    pub last_event: watch::Receiver<u64>,
    /// This node.
    pub node: NodeName,
}

impl LocalOperator {
    /// The cluster as this node knows it.
    ///
    /// # Errors
    /// One sentence, where the driver does not answer.
    pub async fn look(&self) -> Result<Status, String> {
        self.query(Node::status).await
    }

    /// Whether the driver answers at all.
    pub async fn is_alive(&self) -> bool {
        self.query(|_, _| ()).await.is_ok()
    }

    /// What this node owns, in one line; cheap, for whoever asks all the time.
    ///
    /// # Errors
    /// One sentence, where the driver does not answer.
    pub async fn owned(&self) -> Result<String, String> {
        let leased = self
            .query(|node, now| now.boot < node.lease_until())
            .await?;
        let state = Arc::clone(&self.applied.borrow());
        let groups: Vec<_> = state.owned_by(&self.node).map(GroupName::as_str).collect();
        Ok(match (leased, groups.is_empty()) {
            (false, _) => "no quorum".to_owned(),
            (true, true) => "owns nothing".to_owned(),
            (true, false) => format!("owns {}", groups.join(", ")),
        })
    }

    /// What the node says, on the driver's thread.
    async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Node, Now) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (answer, waiting) = oneshot::channel();
        self.inbox.send(Input::Query(Box::new(move |node, now| {
            // Whoever asked may have gone.
            let _ = answer.send(question(node, now));
        })));
        match timeout(PATIENCE, waiting).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(SILENT.to_owned()),
        }
    }

    async fn ask(inbox: Inbox, replies: Replies, id: CommandId, what: Request) -> Reply {
        let (request, waiting) = replies.expect();
        inbox.event(Event::Request { request, id, what });
        match timeout(PATIENCE, waiting).await {
            Ok(Ok(reply)) => reply,
            _ => Reply::Refused(SILENT.to_owned()),
        }
    }
}

impl Operator for LocalOperator {
    fn node(&self) -> NodeName {
        self.node.clone()
    }

    fn status(&self, group: Option<GroupName>) -> BoxFuture<'static, Result<String, String>> {
        let this = self.clone();
        Box::pin(async move {
            let mut status = this.look().await?;
            if let Some(group) = group {
                let known: Vec<_> = status
                    .groups
                    .iter()
                    .map(|one| one.name.to_string())
                    .collect();
                status.groups.retain(|one| one.name == group);
                if status.groups.is_empty() {
                    return Err(format!(
                        "there is no group {group}; the groups are: {}",
                        known.join(", ")
                    ));
                }
            }
            document(&status)
        })
    }

    fn explain(
        &self,
        group: GroupName,
        at: Option<WallTime>,
    ) -> BoxFuture<'static, Result<String, String>> {
        let this = self.clone();
        Box::pin(async move {
            let explained = this.query(move |node, now| node.explain(now, &group, at));
            document(&explained.await??)
        })
    }

    fn simulate(&self, scenario: Scenario) -> BoxFuture<'static, Result<String, NoForecast>> {
        let this = self.clone();
        Box::pin(async move {
            let foreseen = this.query(move |node, now| {
                let foreseen = node.forecast(now, &scenario);
                foreseen.map_err(|why| match node.status(now).quorate {
                    true => NoForecast::Senseless(why),
                    false => NoForecast::NoQuorum(why),
                })
            });
            let foreseen = foreseen.await.map_err(NoForecast::Senseless)??;
            document(&foreseen).map_err(NoForecast::Senseless)
        })
    }

    fn last_event(&self) -> watch::Receiver<u64> {
        self.last_event.clone()
    }

    fn events(&self, after: u64) -> Vec<EventDocument> {
        let state = Arc::clone(&self.applied.borrow());
        let line = |event: &Arc<ClusterEvent>| EventDocument {
            number: event.number,
            at: event.at,
            json: serde_json::to_string(&EventLine::from(&**event))
                .expect("a line of text and numbers"),
        };
        state
            .events
            .iter()
            .filter(|event| event.number > after)
            .map(line)
            .collect()
    }

    fn request(&self, id: CommandId, what: Request) -> BoxFuture<'static, Reply> {
        Box::pin(Self::ask(
            self.inbox.clone(),
            self.replies.clone(),
            id,
            what,
        ))
    }

    fn init(&self, id: CommandId, nodes: Vec<NodeName>) -> BoxFuture<'static, Reply> {
        self.request(id, Request::Init { nodes })
    }
}

fn document(answer: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(answer).map_err(|error| error.to_string())
}
