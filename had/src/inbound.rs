//! What peers say, handed to the driver and the consensus.

use std::sync::{Arc, OnceLock, RwLock};

use futures::future::BoxFuture;
use had_consensus::{Consensus, System};
use had_core::message::{Ask, Message, Sender};
use had_core::ports::{Event, Via};
use tokio::runtime::Handle;

use crate::driver::Inbox;
use crate::peers::Inbound;

/// Asks the consensus for a permit now that the ask has arrived: whatever quorum it finds was sent before the answer.
pub(crate) async fn permit(
    inbox: Inbox,
    consensus: Arc<OnceLock<Consensus<System>>>,
    from: Sender,
    ask: Ask,
    via: Via,
) {
    let permit = match consensus.get() {
        Some(consensus) => consensus.permit().await,
        None => None,
    };
    inbox.event(Event::Asked {
        from,
        ask,
        permit,
        via,
    });
}

/// From the connections to the rest of the daemon.
pub struct Doorman {
    /// The driver's.
    pub inbox: Inbox,
    /// For permits.
    pub runtime: Handle,
    /// Set once it stands.
    pub consensus: Arc<OnceLock<Consensus<System>>>,
    /// Who this process is now.
    pub sender: Arc<RwLock<Sender>>,
}

impl Inbound for Doorman {
    fn heard(&self, from: Sender, message: Message) {
        self.inbox.event(Event::Heard { from, message });
    }

    fn asked(&self, from: Sender, ask: Ask, via: Via) {
        let (inbox, consensus) = (self.inbox.clone(), Arc::clone(&self.consensus));
        self.runtime.spawn(permit(inbox, consensus, from, ask, via));
    }

    fn consensus(
        &self,
        from: Sender,
        body: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let consensus = Arc::clone(&self.consensus);
        Box::pin(async move {
            let consensus = consensus.get().ok_or("this daemon is still starting")?;
            consensus
                .serve(from.voter, &body)
                .await
                .map_err(|error| error.to_string())
        })
    }

    fn sender(&self) -> Sender {
        self.sender
            .read()
            .expect("nothing panics while it holds the sender")
            .clone()
    }
}
