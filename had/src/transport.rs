//! The consensus' requests, over the connections to peers.

use std::time::Duration;

use futures::future::BoxFuture;
use had_consensus::{CallError, Transport};
use had_core::ids::{NodeName, VoterId};

use crate::peers::{self, Peers};

/// Carries them.
pub struct PeerTransport(pub Peers);

impl Transport for PeerTransport {
    fn call(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let call = self.0.call(name, to, body, deadline);
        Box::pin(async move { call.await.map_err(|problem| error(&problem)) })
    }

    fn bulk(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let call = self.0.bulk(name, to, body, deadline);
        Box::pin(async move { call.await.map_err(|problem| error(&problem)) })
    }
}

fn error(error: &peers::CallError) -> CallError {
    match error {
        peers::CallError::Timeout { .. } => CallError::Timeout,
        peers::CallError::Unreachable { .. } | peers::CallError::Broken { .. } => {
            CallError::Unreachable(error.to_string())
        }
        peers::CallError::Refused { .. } => CallError::Refused(error.to_string()),
    }
}
