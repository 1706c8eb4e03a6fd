//! What peers ask of this node.

use std::sync::Arc;

use had_core::ids::VoterId;
use had_core::message::Sender;
use had_proto::v1::forward_request::What;
use had_proto::v1::frame::Body;
use had_proto::v1::{
    BulkPiece, CommandReply, ConsensusReply, ConsensusRequest, ForwardRequest, Frame, peer_server,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use super::Shared;
use super::fresh::gather;
use super::hello::{self, Unfit, sender_to_wire};
use super::io::Caller;
use super::links::Side;
use super::queue::{Outgoing, Queue, Replies};
use super::stream::{Ended, Stream};
use crate::admin;

/// The server's side of the peers' port.
pub(crate) struct Service(pub(crate) Arc<Shared>);

fn caller<T>(request: &Request<T>) -> Option<Caller> {
    request
        .extensions()
        .get::<Option<Caller>>()
        .cloned()
        .flatten()
}

impl Service {
    /// A refusal: the sentence goes to the peer and into this node's log.
    fn refuse(&self, caller: Option<&Caller>, unfit: &Unfit) -> Status {
        let from = caller.map_or_else(
            || "somebody".to_owned(),
            |caller| caller.remote.ip().to_string(),
        );
        self.0.complaints.warn(&format!("refused {from}"), || {
            format!("refused {from}: {unfit}")
        });
        Status::failed_precondition(unfit.to_string())
    }

    fn check(
        &self,
        caller: Option<&Caller>,
        sender: Option<&had_proto::v1::Sender>,
        cluster_name: &str,
    ) -> Result<Sender, Status> {
        let check = || {
            let theirs = hello::sender(sender)?;
            let own = self.0.inbound.sender();
            hello::check_call(&self.0.settings, &own, cluster_name, &theirs, caller)?;
            self.0.lives.admit(&theirs)?;
            Ok(theirs)
        };
        check().map_err(|unfit| self.refuse(caller, &unfit))
    }

    fn check_consensus(
        &self,
        caller: Option<&Caller>,
        request: &ConsensusRequest,
    ) -> Result<Sender, Status> {
        let from = self.check(caller, request.sender.as_ref(), &request.cluster_name)?;
        let own = self.0.inbound.sender();
        if request.to_voter != own.voter.0 {
            let meant = VoterId(request.to_voter);
            return Err(Status::not_found(format!(
                "{} is {}, not {meant}",
                own.node, own.voter
            )));
        }
        Ok(from)
    }

    async fn answer(
        &self,
        from: Sender,
        body: Vec<u8>,
    ) -> Result<Response<ConsensusReply>, Status> {
        let body = self
            .0
            .inbound
            .consensus(from, body)
            .await
            .map_err(Status::aborted)?;
        let sender = Some(sender_to_wire(&self.0.inbound.sender()));
        Ok(Response::new(ConsensusReply { sender, body }))
    }
}

#[tonic::async_trait]
impl peer_server::Peer for Service {
    type ExchangeStream = Replies;

    async fn exchange(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Replies>, Status> {
        let caller = caller(&request);
        let shared = &self.0;
        let mut frames = request.into_inner();
        let first = timeout(shared.pace.handshake, frames.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no greeting came"))??
            .unwrap_or_default();
        let own = shared.inbound.sender();
        let greeted = hello::check_greeting(&shared.settings, &own, &first, caller.as_ref())
            .and_then(|greeted| shared.lives.admit(&greeted).map(|()| greeted))
            .map_err(|unfit| self.refuse(caller.as_ref(), &unfit))?;
        shared.remark(&first);
        let peer = shared.peers.get(&greeted.node);
        let local = caller.as_ref().map(|caller| caller.local.ip());
        let link = peer.and_then(|peer| match local {
            Some(local) => peer.link_at(local),
            None => peer.links.first(),
        });
        let Some(link) = link else {
            return Err(Status::failed_precondition("no link is known to that node"));
        };
        let out = Arc::new(Queue::default());
        out.push(shared.frame(Body::Hello(hello::greeting(
            &shared.settings,
            &greeted.node,
        ))));
        let mut stream = Stream::new(shared, link, Side::Accepted, greeted, &out);
        let complaints = Arc::clone(&shared.complaints);
        shared.spawn(async move {
            if let Ended::Unfit(unfit) = stream.run(&mut frames).await {
                complaints.warn("frame", || format!("ended a stream: {unfit}"));
            }
        });
        Ok(Response::new(Replies(Outgoing(out))))
    }

    async fn consensus(
        &self,
        request: Request<ConsensusRequest>,
    ) -> Result<Response<ConsensusReply>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let from = self.check_consensus(caller.as_ref(), &request)?;
        self.answer(from, request.body).await
    }

    async fn bulk(
        &self,
        request: Request<Streaming<BulkPiece>>,
    ) -> Result<Response<ConsensusReply>, Status> {
        let caller = caller(&request);
        let check = |head: &ConsensusRequest| self.check_consensus(caller.as_ref(), head);
        let (from, request) = gather(request.into_inner(), check).await?;
        self.answer(from, request.body).await
    }

    async fn forward(
        &self,
        request: Request<ForwardRequest>,
    ) -> Result<Response<CommandReply>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        self.check(
            caller.as_ref(),
            request.sender.as_ref(),
            &request.cluster_name,
        )?;
        let operator = self
            .0
            .operator
            .as_deref()
            .ok_or_else(|| Status::unimplemented("this node takes no commands"))?;
        let reply = match request.what {
            Some(What::Command(command)) => admin::decide(operator, command).await?,
            Some(What::Init(init)) => admin::decide_init(operator, init).await?,
            None => {
                return Err(Status::invalid_argument(
                    "a forwarded command that is empty",
                ));
            }
        };
        Ok(Response::new(reply))
    }
}
