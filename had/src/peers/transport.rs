//! The peers as the consensus sees them.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use had_consensus::Transport;
use had_core::ids::{NodeName, VoterId};

use super::{CallError, Peers};

impl Transport for Peers {
    fn call(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, had_consensus::CallError>> {
        let answer = Peers::call(self, name, to, body, deadline);
        answer.map(|answer| answer.map_err(Into::into)).boxed()
    }

    fn bulk(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, had_consensus::CallError>> {
        let answer = Peers::bulk(self, name, to, body, deadline);
        answer.map(|answer| answer.map_err(Into::into)).boxed()
    }
}

impl From<CallError> for had_consensus::CallError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Timeout { .. } => Self::Timeout,
            CallError::Unreachable { problem, .. } | CallError::Broken { problem, .. } => {
                Self::Unreachable(problem)
            }
            CallError::Refused { problem, .. } => Self::Refused(problem),
        }
    }
}
