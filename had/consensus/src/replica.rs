//! The replicated state of `had_core` as a [`Machine`]: each entry applied is delivered to the node as an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use had_core::ids::{LeaderId, NodeName, VoterId};
use had_core::ports::Event;
use had_core::state::{Entry, State};

use crate::machine::Machine;

/// Applies entries to a [`State`] and delivers the state after each of them as [`Event::Applied`], in order.
pub struct Replica<F> {
    state: State,
    deliver: F,
}

impl<F: FnMut(Event) + Send + 'static> Replica<F> {
    /// An empty state; `deliver` must not block.
    pub fn new(deliver: F) -> Self {
        Self {
            state: State::default(),
            deliver,
        }
    }

    fn deliver(&mut self, index: u64, leader: LeaderId) {
        let state = Arc::new(self.state.clone());
        (self.deliver)(Event::Applied {
            index,
            leader,
            state,
        });
    }
}

impl<F: FnMut(Event) + Send + 'static> Machine for Replica<F> {
    fn apply(
        &mut self,
        index: u64,
        leader: LeaderId,
        payload: Option<&[u8]>,
    ) -> Result<(), String> {
        if let Some(payload) = payload {
            let entry = Entry::decode(payload).map_err(|error| {
                format!("entry {index} is not one that this program knows ({error}): upgrade had on this node")
            })?;
            self.state.apply(&entry);
            self.state.readable()?;
        }
        self.deliver(index, leader);
        Ok(())
    }

    fn voters(&mut self, _index: u64, voters: &BTreeMap<VoterId, NodeName>) {
        self.state.set_voters(voters);
    }

    fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).expect("a state has only text keys")
    }

    fn restore(&mut self, index: u64, leader: LeaderId, snapshot: &[u8]) -> Result<(), String> {
        self.state = serde_json::from_slice(snapshot).map_err(|error| {
            format!("the snapshot is not a state that this program knows ({error}): upgrade had on this node")
        })?;
        self.state.readable()?;
        self.deliver(index, leader);
        Ok(())
    }
}
