//! Between openraft's types and the messages.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, EntryBody, LogId, Membership, Node, Snapshot, Vote, VoterSet, WireError};
use crate::types::{self, Payload, Peer, RaftLeader};

impl From<&types::Vote> for Vote {
    fn from(vote: &types::Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            voter: vote.leader_id.node_id,
            committed: vote.committed,
        }
    }
}

impl From<Vote> for types::Vote {
    fn from(vote: Vote) -> Self {
        let leader_id = RaftLeader {
            term: vote.term,
            node_id: vote.voter,
        };
        Self {
            leader_id,
            committed: vote.committed,
        }
    }
}

impl From<&types::LogId> for LogId {
    fn from(id: &types::LogId) -> Self {
        Self {
            term: id.leader_id.term,
            voter: id.leader_id.node_id,
            index: id.index,
        }
    }
}

impl From<LogId> for types::LogId {
    fn from(id: LogId) -> Self {
        Self::new(
            RaftLeader {
                term: id.term,
                node_id: id.voter,
            },
            id.index,
        )
    }
}

impl From<&types::Membership> for Membership {
    fn from(membership: &types::Membership) -> Self {
        let set = |voters: &BTreeSet<u64>| VoterSet {
            voters: voters.iter().copied().collect(),
        };
        let node = |(voter, peer): (&u64, &Peer)| Node {
            voter: *voter,
            name: peer.0.clone(),
        };
        Self {
            sets: membership.get_joint_config().iter().map(set).collect(),
            nodes: membership.nodes().map(node).collect(),
        }
    }
}

impl TryFrom<Membership> for types::Membership {
    type Error = WireError;

    fn try_from(membership: Membership) -> Result<Self, WireError> {
        let nodes: BTreeMap<u64, Peer> = membership
            .nodes
            .into_iter()
            .map(|node| (node.voter, Peer(node.name)))
            .collect();
        let sets: Vec<BTreeSet<u64>> = membership
            .sets
            .into_iter()
            .map(|set| set.voters.into_iter().collect())
            .collect();
        if sets.is_empty() && nodes.is_empty() {
            // That of a node which is in no cluster yet; `new` refuses it.
            return Ok(Self::default());
        }
        Self::new(sets, nodes).map_err(|error| WireError::Membership(error.to_string()))
    }
}

impl From<&types::Entry> for Entry {
    fn from(entry: &types::Entry) -> Self {
        let body = match &entry.payload {
            types::EntryBody::Blank => None,
            types::EntryBody::Normal(payload) => Some(EntryBody::Payload(payload.0.to_vec())),
            types::EntryBody::Membership(membership) => {
                Some(EntryBody::Membership(membership.into()))
            }
        };
        Self {
            at: Some((&entry.log_id).into()),
            body,
        }
    }
}

impl TryFrom<Entry> for types::Entry {
    type Error = WireError;

    fn try_from(entry: Entry) -> Result<Self, WireError> {
        let log_id = entry
            .at
            .ok_or(WireError::Missing("an entry's place"))?
            .into();
        let payload = match entry.body {
            None => types::EntryBody::Blank,
            Some(EntryBody::Payload(bytes)) => types::EntryBody::Normal(Payload(bytes.into())),
            Some(EntryBody::Membership(membership)) => {
                types::EntryBody::Membership(membership.try_into()?)
            }
        };
        Ok(Self { log_id, payload })
    }
}

impl From<&types::Snapshot> for Snapshot {
    fn from(snapshot: &types::Snapshot) -> Self {
        let membership = &snapshot.meta.last_membership;
        Self {
            last: snapshot.meta.last_log_id.as_ref().map(Into::into),
            membership_at: membership.log_id().as_ref().map(Into::into),
            membership: Some(membership.membership().into()),
            data: snapshot.snapshot.to_vec(),
        }
    }
}

impl TryFrom<Snapshot> for types::Snapshot {
    type Error = WireError;

    fn try_from(snapshot: Snapshot) -> Result<Self, WireError> {
        let membership = snapshot
            .membership
            .ok_or(WireError::Missing("a snapshot's membership"))?;
        let last_membership = types::StoredMembership::new(
            snapshot.membership_at.map(Into::into),
            membership.try_into()?,
        );
        let meta = types::SnapshotMeta {
            last_log_id: snapshot.last.map(Into::into),
            last_membership,
        };
        Ok(Self {
            meta,
            snapshot: snapshot.data.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn at(term: u64, voter: u64, index: u64) -> types::LogId {
        types::LogId::new(
            RaftLeader {
                term,
                node_id: voter,
            },
            index,
        )
    }

    fn joint() -> types::Membership {
        let nodes = [(1, "h1"), (2, "h2"), (3, "h3"), (9, "h3")];
        let nodes: BTreeMap<u64, Peer> = nodes
            .into_iter()
            .map(|(voter, name)| (voter, Peer(name.into())))
            .collect();
        types::Membership::new(vec![[1, 2, 3].into(), [1, 2, 9].into()], nodes).unwrap()
    }

    #[test]
    fn entries_survive_the_way_through_bytes() {
        let bodies = [
            types::EntryBody::Blank,
            types::EntryBody::Normal(Payload((*b"move").into())),
            types::EntryBody::Normal(Payload((*b"").into())),
            types::EntryBody::Membership(joint()),
        ];
        for payload in bodies {
            let entry = types::Entry {
                log_id: at(7, u64::MAX, 12),
                payload,
            };
            let bytes = Entry::from(&entry).encode_to_vec();
            let back: types::Entry = Entry::decode(&bytes[..]).unwrap().try_into().unwrap();
            assert_eq!(back, entry);
        }
    }

    #[test]
    fn a_snapshot_survives_the_way_through_bytes() {
        let last_membership = types::StoredMembership::new(Some(at(1, 1, 4)), joint());
        let meta = types::SnapshotMeta {
            last_log_id: Some(at(3, 2, 9)),
            last_membership,
        };
        let snapshot = types::Snapshot {
            meta: meta.clone(),
            snapshot: (*b"state").into(),
        };
        let bytes = Snapshot::from(&snapshot).encode_to_vec();
        let back: types::Snapshot = Snapshot::decode(&bytes[..]).unwrap().try_into().unwrap();
        assert_eq!((back.meta, &back.snapshot[..]), (meta, &b"state"[..]));
    }

    #[test]
    fn a_voter_without_a_name_is_refused() {
        let membership = Membership {
            sets: vec![VoterSet { voters: vec![1] }],
            nodes: vec![],
        };
        assert!(matches!(
            types::Membership::try_from(membership),
            Err(WireError::Membership(_))
        ));
    }

    #[test]
    fn an_entry_without_its_place_is_refused() {
        let refused = types::Entry::try_from(Entry {
            at: None,
            body: None,
        });
        assert!(matches!(refused, Err(WireError::Missing(_))));
    }
}
