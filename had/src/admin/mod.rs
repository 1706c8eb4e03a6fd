//! What operators ask: on the unix socket, and with a client certificate on the peers' port.
//!
//! ```text
//!  hactl ──▶ socket::serve ─┐
//!  hactl ──▶ peers' port ───┴▶ Service ──▶ Operator (the driver of this node)
//!                                 │ a change, and not the leader?
//!                                 └──▶ Forward (peers) ──▶ the leader's Operator
//! ```

mod convert;
mod service;
mod socket;

use std::time::Duration;

use futures::future::BoxFuture;
use had_core::ids::{CommandId, GroupName, NodeName};
use had_core::ports::{Reply, Request};
use had_core::time::WallTime;
use had_policies::Scenario;
use had_proto::v1;
use had_proto::v1::forward_request::What;
use tokio::sync::watch;
use tonic::Status;

pub use service::Service;
pub use socket::{Socket, SocketError, serve_socket};

use crate::peers::CallError;

/// This node, as operators see it. The driver supplies it.
pub trait Operator: Send + Sync + 'static {
    /// The name of this node.
    fn node(&self) -> NodeName;
    /// The document of `hactl status --json`, of the whole cluster or one group; one sentence where the group is unknown.
    fn status(&self, group: Option<GroupName>) -> BoxFuture<'static, Result<String, String>>;
    /// The document of `hactl explain --json`, of now or of a former moment; one sentence where the group is unknown.
    fn explain(
        &self,
        group: GroupName,
        at: Option<WallTime>,
    ) -> BoxFuture<'static, Result<String, String>>;
    /// The document of `hactl simulate --json`.
    fn simulate(&self, scenario: Scenario) -> BoxFuture<'static, Result<String, NoForecast>>;
    /// The number of the last event, told whenever it changes.
    fn last_event(&self) -> watch::Receiver<u64>;
    /// The events that are kept with a number above `after`, in order.
    fn events(&self, after: u64) -> Vec<EventDocument>;
    /// A command on this node, answered when it is done or refused. The same id means the same command.
    fn request(&self, id: CommandId, what: Request) -> BoxFuture<'static, Reply>;
    /// Forms the cluster with these voters alone.
    fn init(&self, id: CommandId, nodes: Vec<NodeName>) -> BoxFuture<'static, Reply>;
}

/// Why nothing can be foreseen, in a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoForecast {
    /// The scenario makes no sense here.
    Senseless(String),
    /// This node cannot know where everything runs.
    NoQuorum(String),
}

/// One line of the cluster's history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventDocument {
    /// Counts up.
    pub number: u64,
    /// When it happened.
    pub at: WallTime,
    /// The document.
    pub json: String,
}

/// Passes a command on to another node.
pub trait Forward: Send + Sync + 'static {
    /// To that node, once.
    fn forward(
        &self,
        to: &NodeName,
        what: What,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<v1::CommandReply, CallError>>;
}

/// A command on this node alone.
///
/// # Errors
/// `INVALID_ARGUMENT` where the message lacks something.
pub(crate) async fn decide(
    operator: &dyn Operator,
    command: v1::CommandRequest,
) -> Result<v1::CommandReply, Status> {
    let (id, request) = convert::request(command).map_err(Status::invalid_argument)?;
    let reply = operator.request(id, request).await;
    Ok(convert::reply(&operator.node(), reply))
}

/// The first start, on this node alone.
///
/// # Errors
/// `INVALID_ARGUMENT` where the message lacks something.
pub(crate) async fn decide_init(
    operator: &dyn Operator,
    init: v1::ClusterInitRequest,
) -> Result<v1::CommandReply, Status> {
    let id = convert::command_id(init.id).map_err(Status::invalid_argument)?;
    let nodes = init.nodes.into_iter().map(NodeName::from).collect();
    let reply = operator.init(id, nodes).await;
    Ok(convert::reply(&operator.node(), reply))
}

#[cfg(test)]
mod tests;
