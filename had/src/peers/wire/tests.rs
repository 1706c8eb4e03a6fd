use std::collections::BTreeMap;
use std::time::Duration;

use had_core::ids::{Epoch, GroupName, LeaderId, NodeName, ResourceName, Sequence, VoterId};
use had_core::message::{
    Answer, Ask, GroupReport, Message, Outcome, Phase, Refusal, Report, ResourceReport,
    ResourceState,
};
use had_core::stall::{Cause, Stall, Told};
use had_core::time::WallTime;
use had_proto::v1::{self, frame::Body};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;

use super::{WireError, decode, encode};

fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![Just('a'), Just('é'), Just('-'), Just('"')],
        0..8,
    )
    .prop_map(|letters| letters.into_iter().collect())
}

fn name<N: From<String> + std::fmt::Debug>() -> impl Strategy<Value = N> {
    text().prop_map(N::from)
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase::{Idle, Prepared, Running, Starting, Stopping};
    prop::sample::select(vec![Idle, Starting, Prepared, Running, Stopping])
}

fn resource() -> impl Strategy<Value = ResourceReport> {
    use ResourceState::{Failed, Running, Starting, Stopped};
    let state = prop::sample::select(vec![Stopped, Starting, Running, Failed]);
    (name::<ResourceName>(), state, text()).prop_map(|(name, state, detail)| ResourceReport {
        name,
        state,
        detail,
    })
}

fn group() -> impl Strategy<Value = GroupReport> {
    let words = (of(text()), of(text()), of(text()), of(text()));
    let numbers = (any::<u64>(), any::<u64>(), of(any::<u64>()));
    (numbers, phase(), words, vec(resource(), 0..3)).prop_map(
        |((epoch, since, released), phase, (not_ready, banned, given_up, claimed), resources)| {
            GroupReport {
                epoch: Epoch(epoch),
                phase,
                since: WallTime(since),
                not_ready,
                banned,
                claimed,
                released: released.map(Epoch),
                given_up,
                resources,
            }
        },
    )
}

fn stall() -> impl Strategy<Value = Told> {
    let cause = prop::sample::select(Cause::ALL.to_vec());
    (any::<u64>(), any::<u64>(), cause, any::<bool>()).prop_map(
        |(number, lasted, cause, lapsed)| Told {
            number,
            stall: Stall {
                lasted: Duration::from_nanos(lasted),
                cause,
            },
            lapsed,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    let groups = btree_map(name::<GroupName>(), group(), 0..3);
    let hears = vec(name::<NodeName>(), 0..4);
    (
        any::<u64>(),
        text(),
        any::<[bool; 2]>(),
        hears,
        text(),
        groups,
        (any::<Option<bool>>(), of(stall())),
    )
        .prop_map(
            |(
                applied,
                config_hash,
                [leaving, supervised],
                hears,
                gate,
                groups,
                (guarded, stalled),
            )| Report {
                applied,
                config_hash,
                leaving,
                hears,
                gate,
                supervised,
                guarded,
                stalled,
                groups,
            },
        )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    use Refusal::{Deciding, NameTaken, NoQuorum, NotAVoter, OtherLease, Unheard};
    let refusals = vec![
        NoQuorum, Deciding, NotAVoter, NameTaken, OtherLease, Unheard,
    ];
    prop_oneof![
        (any::<u64>(), any::<u64>()).prop_map(|(duration, index)| Outcome::Granted {
            duration: Duration::from_nanos(duration),
            index
        }),
        prop::sample::select(refusals).prop_map(Outcome::Refused),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let leader = (any::<u64>(), any::<u64>()).prop_map(|(term, voter)| LeaderId {
        term,
        voter: VoterId(voter),
    });
    prop_oneof![
        report().prop_map(Message::Heartbeat),
        (any::<u64>(), any::<u64>(), any::<u32>(), of(report())).prop_map(
            |(sequence, lease, unanswered, report)| {
                Message::Ask(Ask {
                    sequence: Sequence(sequence),
                    lease: Duration::from_nanos(lease),
                    unanswered,
                    report,
                })
            }
        ),
        (any::<u64>(), leader, outcome()).prop_map(|(sequence, leader, outcome)| {
            Message::Answer(Answer {
                sequence: Sequence(sequence),
                leader,
                outcome,
            })
        }),
        (name(), any::<u64>()).prop_map(|(group, epoch)| Message::Prepared {
            group,
            epoch: Epoch(epoch)
        }),
        (name(), any::<u64>()).prop_map(|(group, epoch)| Message::Released {
            group,
            epoch: Epoch(epoch)
        }),
    ]
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(message in message()) {
        let frame = v1::Frame { sender: None, body: Some(encode(&message)) };
        let back = v1::Frame::decode(frame.encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(decode(back.body.unwrap()), Ok(message));
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let no_outcome = Body::Answer(v1::Answer::default());
    assert_eq!(
        decode(no_outcome).unwrap_err().to_string(),
        "an answer without its outcome"
    );

    let refusal = v1::answer::Outcome::Refused(77);
    let unknown = Body::Answer(v1::Answer {
        outcome: Some(refusal),
        ..Default::default()
    });
    assert_eq!(
        decode(unknown).unwrap_err().to_string(),
        "an answer with the unknown refusal 77"
    );

    let group = |phase| v1::GroupReport {
        group: "web".into(),
        phase,
        ..Default::default()
    };
    let report = |groups| {
        Body::Heartbeat(v1::Report {
            groups,
            ..Default::default()
        })
    };
    let unset = decode(report(vec![group(0)])).unwrap_err();
    assert_eq!(unset.to_string(), "a report with the unknown phase 0");
    let idle = v1::Phase::Idle.into();
    assert_eq!(
        decode(report(vec![group(idle), group(idle)])),
        Err(WireError::Twice(GroupName::from("web")))
    );
    assert_eq!(
        decode(Body::Ping(v1::Ping { number: 1 })),
        Err(WireError::NoMessage)
    );
    assert_eq!(
        decode(report(vec![])),
        Ok(Message::Heartbeat(Report {
            groups: BTreeMap::new(),
            ..Report::default()
        }))
    );
}
