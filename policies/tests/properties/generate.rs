//! Views.

use std::collections::BTreeMap;
use std::time::Duration;

use had_policies::names::{GroupName, NodeName};
use had_policies::{Failback, GroupView, NodeView, Presence, Readiness, Scheme, View};
use proptest::prelude::*;

/// Enough nodes for every order among owner, pin and two standbys. One more is listed by some groups and known to no view.
pub(crate) const NODES: usize = 5;
/// Enough groups for a chain and a bystander.
pub(crate) const GROUPS: usize = 5;

pub(crate) fn name(number: usize) -> NodeName {
    format!("h{number}").into()
}

pub(crate) fn group_name(number: usize) -> GroupName {
    format!("g{number}").into()
}

fn time() -> impl Strategy<Value = Duration> {
    (0_u64..2_000).prop_map(Duration::from_millis)
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        4 => time().prop_map(|stable_for| Presence::Online { stable_for }),
        1 => Just(Presence::Silent),
        1 => Just(Presence::Lost),
    ]
}

fn node() -> impl Strategy<Value = NodeView> {
    let flags = (
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.25),
    );
    (presence(), flags, 0_u32..6).prop_map(|(presence, (drained, leaving, hard), capacity)| {
        NodeView {
            name: name(0),
            presence,
            drained,
            leaving,
            capacity,
            capacity_is_hard: hard,
        }
    })
}

pub(crate) fn nodes() -> impl Strategy<Value = Vec<NodeView>> {
    prop::collection::vec(node(), NODES).prop_map(|mut nodes| {
        for (number, node) in nodes.iter_mut().enumerate() {
            node.name = name(number);
        }
        nodes
    })
}

fn readiness() -> impl Strategy<Value = BTreeMap<NodeName, Readiness>> {
    let one = prop_oneof![
        6 => time().prop_map(|since| Some(Readiness::Ready { since })),
        1 => Just(Some(Readiness::NotReady("no carrier".to_owned()))),
        1 => Just(None),
    ];
    prop::collection::vec(one, NODES + 1).prop_map(|ready| {
        let named = ready.into_iter().enumerate();
        named
            .filter_map(|(node, ready)| Some((name(node), ready?)))
            .collect()
    })
}

fn failback() -> impl Strategy<Value = Failback> {
    prop_oneof![
        1 => Just(Failback::Manual),
        2 => Just(Failback::Auto),
        1 => time().prop_map(Failback::After)
    ]
}

/// Some nodes in some order, also twice, also unknown.
fn some(most: usize) -> impl Strategy<Value = Vec<NodeName>> {
    prop::collection::vec((0..=NODES).prop_map(name), 0..=most)
}

pub(crate) fn scheme() -> impl Strategy<Value = Scheme> {
    let priorities = prop::collection::btree_map((0..=NODES).prop_map(name), 0_i64..3, 0..=NODES);
    let one = || (0..=NODES).prop_map(name);
    prop_oneof![
        (priorities, failback()).prop_map(|(priorities, failback)| Scheme::IdleStandby {
            priorities,
            failback
        }),
        some(NODES).prop_map(|nodes| Scheme::RotatingStandby { nodes }),
        (one(), one(), failback()).prop_map(|(primary, backup, failback)| {
            Scheme::SimpleFailover {
                primary,
                backup,
                failback,
            }
        }),
        (one(), some(4), failback()).prop_map(|(home, partners, failback)| {
            Scheme::MutualTakeover {
                home,
                partners,
                failback,
            }
        }),
    ]
}

/// Rules about other groups, circles too, and now and then about one that is not there.
fn rules(likely: f64) -> impl Strategy<Value = Vec<GroupName>> {
    prop::collection::vec(prop::bool::weighted(likely), GROUPS + 1).prop_map(|named| {
        let named = named.into_iter().enumerate().filter(|(_, named)| *named);
        named.map(|(number, _)| group_name(number)).collect()
    })
}

fn bans() -> impl Strategy<Value = BTreeMap<NodeName, String>> {
    prop::collection::vec(prop::bool::weighted(0.1), NODES).prop_map(|banned| {
        let banned = banned.into_iter().enumerate().filter(|(_, banned)| *banned);
        banned
            .map(|(node, _)| (name(node), "exit 1".to_owned()))
            .collect()
    })
}

fn group() -> impl Strategy<Value = GroupView> {
    let stands = (
        prop::option::weighted(0.8, (0..=NODES).prop_map(name)),
        prop::option::weighted(0.2, (0..NODES).prop_map(name)),
        some(NODES),
    );
    let rules = (rules(0.1), rules(0.1), rules(0.1));
    let flags = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    (
        scheme(),
        stands,
        readiness(),
        0_u32..4,
        rules,
        bans(),
        flags,
    )
        .prop_map(
            |(scheme, (owner, pinned, mut queue), readiness, load, rules, bans, flags)| {
                let (displaces, with, apart_from) = rules;
                let (stopped, maintenance, keeps) = flags;
                queue.retain(|node| Some(node) != owner.as_ref());
                GroupView {
                    name: group_name(0),
                    scheme,
                    owner,
                    pinned,
                    readiness,
                    load,
                    displaces,
                    with,
                    apart_from,
                    queue,
                    bans,
                    stopped,
                    maintenance,
                    keeps,
                }
            },
        )
}

pub(crate) fn view() -> impl Strategy<Value = View> {
    (nodes(), prop::collection::vec(group(), 1..=GROUPS)).prop_map(|(nodes, mut groups)| {
        for (number, group) in groups.iter_mut().enumerate() {
            group.name = group_name(number);
        }
        View {
            lease: Duration::from_millis(300),
            maintenance: false,
            nodes,
            groups,
        }
    })
}

/// Views without circles: a rule about order names only later groups (`displaces`) or earlier ones (`with`).
pub(crate) fn sound_view() -> impl Strategy<Value = View> {
    view().prop_map(|mut view| {
        for (number, group) in view.groups.iter_mut().enumerate() {
            let place = |name: &GroupName| (0..=GROUPS).find(|one| group_name(*one) == *name);
            group.displaces.retain(|name| place(name) > Some(number));
            group.with.retain(|name| place(name) < Some(number));
        }
        // Nor does a group displace one that goes with it.
        let follows: Vec<_> = view
            .groups
            .iter()
            .map(|group| (group.name.clone(), group.with.clone()))
            .collect();
        for group in &mut view.groups {
            let bound = |name: &GroupName| {
                follows
                    .iter()
                    .any(|(one, with)| one == name && !with.is_empty())
            };
            group.displaces.retain(|name| !bound(name));
        }
        view
    })
}
