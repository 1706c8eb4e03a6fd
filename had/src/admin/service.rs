//! The operators' service of one node.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use had_core::ids::{GroupName, NodeName};
use had_core::time::WallTime;
use had_proto::v1::admin_server::Admin;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::forward_request::What;
use had_proto::v1::{
    ClusterInitRequest, CommandReply, CommandRequest, Document, EventsRequest, ExplainRequest,
    NoQuorum, NotLeader, SimulateRequest, StatusRequest, Unknown,
};
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};

use super::{EventDocument, Forward, NoForecast, Operator, convert, decide, decide_init};
use crate::peers::CallError;

/// How long a leader is looked for: more than two elections of the longest usual lease.
const SEEK: Duration = Duration::from_secs(3);
/// How long a node without a majority is asked again: an election may be on its way, and ends within a third of this.
const ELECTION: Duration = Duration::from_secs(1);
/// Between two looks.
const SEEK_PAUSE: Duration = Duration::from_millis(50);
/// How long a forwarded command may take: a stop with its usual timeout of 20 s and the start elsewhere.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

const NANOS_PER_MS: u64 = 1_000_000;

/// Answers operators; what the leader must decide is passed on to it.
pub struct Service {
    operator: Arc<dyn Operator>,
    forward: Arc<dyn Forward>,
}

impl Service {
    /// For this node; `forward` reaches the others.
    #[must_use]
    pub fn new(operator: Arc<dyn Operator>, forward: Arc<dyn Forward>) -> Self {
        Self { operator, forward }
    }

    /// Here if this node leads, else at the leader, which is looked for while there is none.
    async fn carry_out(&self, what: What) -> Result<CommandReply, Status> {
        let (give_up, elected) = (Instant::now() + SEEK, Instant::now() + ELECTION);
        loop {
            let here = match what.clone() {
                What::Command(command) => decide(&*self.operator, command).await?,
                What::Init(init) => decide_init(&*self.operator, init).await?,
            };
            let reply = match &here.outcome {
                Some(Outcome::NotLeader(elsewhere)) => self.elsewhere(elsewhere, &what).await,
                _ => Ok(here),
            };
            let waits = |reply: &CommandReply| {
                matches!(reply.outcome, Some(Outcome::NoQuorum(_))) && Instant::now() < elected
            };
            match reply {
                Ok(reply) if waits(&reply) => {}
                Ok(reply) => return Ok(reply),
                Err(text) if Instant::now() >= give_up => {
                    let outcome = Outcome::NoQuorum(NoQuorum { text });
                    return Ok(convert::outcome(&self.operator.node(), outcome));
                }
                Err(_) => {}
            }
            sleep(SEEK_PAUSE).await;
        }
    }

    /// At the node that leads, as the one here says; or why it was certainly not carried out.
    async fn elsewhere(&self, said: &NotLeader, what: &What) -> Result<CommandReply, String> {
        match said.leader.as_deref().map(NodeName::from) {
            Some(leader) if leader != self.operator.node() => self.at(&leader, what.clone()).await,
            _ => Err(
                "no node is known to lead: there is no majority, or an election is on its way"
                    .into(),
            ),
        }
    }

    /// At another node: its answer, or why it was certainly not carried out there.
    async fn at(&self, leader: &NodeName, what: What) -> Result<CommandReply, String> {
        match self.forward.forward(leader, what, COMMAND_DEADLINE).await {
            Ok(CommandReply {
                outcome: Some(Outcome::NotLeader(elsewhere)),
                ..
            }) => Err(elsewhere.text),
            Ok(reply) => Ok(reply),
            Err(error @ (CallError::Unreachable { .. } | CallError::Refused { .. })) => {
                Err(format!("{leader} leads; {error}"))
            }
            Err(error @ (CallError::Broken { .. } | CallError::Timeout { .. })) => {
                let text = format!("the command may have been carried out: {error}");
                let outcome = Outcome::Unknown(Unknown { text });
                Ok(convert::outcome(&self.operator.node(), outcome))
            }
        }
    }
}

type Documents = Pin<Box<dyn Stream<Item = Result<Document, Status>> + Send>>;

#[tonic::async_trait]
impl Admin for Service {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<Document>, Status> {
        let group = request.into_inner().group;
        let group = (!group.is_empty()).then(|| GroupName::from(group));
        let json = self.operator.status(group).await;
        json.map(document).map_err(Status::not_found)
    }

    type EventsStream = Documents;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Documents>, Status> {
        let request = request.into_inner();
        let since_ns = request.since_ms.saturating_mul(NANOS_PER_MS);
        let batches = batches(Arc::clone(&self.operator), request.follow);
        let wanted = batches
            .flat_map(stream::iter)
            .filter(move |event| std::future::ready(event.at.0 >= since_ns))
            .map(|event| Ok(document(event.json).into_inner()));
        Ok(Response::new(Box::pin(wanted)))
    }

    async fn request(
        &self,
        request: Request<CommandRequest>,
    ) -> Result<Response<CommandReply>, Status> {
        self.carry_out(What::Command(request.into_inner()))
            .await
            .map(Response::new)
    }

    async fn cluster_init(
        &self,
        request: Request<ClusterInitRequest>,
    ) -> Result<Response<CommandReply>, Status> {
        self.carry_out(What::Init(request.into_inner()))
            .await
            .map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Document>, Status> {
        let ExplainRequest { group, at_ms } = request.into_inner();
        let at = (at_ms != 0).then(|| WallTime(at_ms.saturating_mul(NANOS_PER_MS)));
        let json = self.operator.explain(group.into(), at).await;
        json.map(document).map_err(Status::not_found)
    }

    async fn simulate(
        &self,
        request: Request<SimulateRequest>,
    ) -> Result<Response<Document>, Status> {
        let scenario = convert::scenario(request.into_inner()).map_err(Status::invalid_argument)?;
        let json = self.operator.simulate(scenario).await;
        json.map(document).map_err(|why| match why {
            NoForecast::Senseless(text) => Status::invalid_argument(text),
            NoForecast::NoQuorum(text) => Status::failed_precondition(text),
        })
    }
}

fn document(json: String) -> Response<Document> {
    Response::new(Document {
        json: json.into_bytes(),
    })
}

/// What is kept, then, if wanted, what comes, each event once.
fn batches(
    operator: Arc<dyn Operator>,
    follow: bool,
) -> impl Stream<Item = Vec<EventDocument>> + Send {
    let last = operator.last_event();
    stream::unfold(Some((operator, last, 0)), move |state| async move {
        let (operator, mut last, mut after) = state?;
        loop {
            last.borrow_and_update();
            let events = operator.events(after);
            if let Some(newest) = events.last() {
                after = newest.number;
                return Some((events, follow.then_some((operator, last, after))));
            }
            if !follow || last.changed().await.is_err() {
                return None;
            }
        }
    })
}
