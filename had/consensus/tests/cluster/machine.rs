//! A state machine that remembers everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use had_consensus::Machine;
use had_core::ids::{LeaderId, NodeName, VoterId};
use tokio::sync::watch;

use super::within;

#[derive(Clone, Default)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Clone, Default)]
pub struct State {
    pub payloads: Vec<Vec<u8>>,
    pub voters: BTreeMap<VoterId, NodeName>,
    pub index: u64,
    pub leader: Option<LeaderId>,
    pub restored: u64,
}

impl Recorder {
    pub fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    /// Waits until so much is applied.
    pub async fn applied(&self, index: u64) -> State {
        let mut changed = self.changed.subscribe();
        let reached = changed.wait_for(|applied| *applied >= index);
        within(&format!("entry {index}"), reached).await.unwrap();
        self.state()
    }

    fn at(&self, index: u64, leader: LeaderId, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        assert!(index >= state.index, "entry {index} after {}", state.index);
        state.index = index;
        state.leader = Some(leader);
        change(&mut state);
        self.changed.send_replace(index);
    }
}

impl Machine for Recorder {
    fn apply(
        &mut self,
        index: u64,
        leader: LeaderId,
        payload: Option<&[u8]>,
    ) -> Result<(), String> {
        self.at(index, leader, |state| {
            state.payloads.extend(payload.map(<[u8]>::to_vec))
        });
        Ok(())
    }

    fn voters(&mut self, _: u64, voters: &BTreeMap<VoterId, NodeName>) {
        self.state.lock().unwrap().voters = voters.clone();
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state().payloads.concat()
    }

    fn restore(&mut self, index: u64, leader: LeaderId, snapshot: &[u8]) -> Result<(), String> {
        self.at(index, leader, |state| {
            state.payloads = vec![snapshot.to_vec()];
            state.restored += 1;
        });
        Ok(())
    }
}
