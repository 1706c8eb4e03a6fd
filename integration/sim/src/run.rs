//! One seed, from the first boot to the verdict.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use had_consensus::Settings;
use had_core::spec::{
    Candidate, ClusterSpec, GroupSpec, InterfaceSpec, NodeSpec, OnQuorumLoss, PolicySpec,
    ResourceKind, ResourceSpec, Role, VipSpec,
};
use had_core::state::Configuration;
use had_core::timing::Timing;
use had_policies::Failback;
use openraft_rt::AsyncRuntime;

use crate::check::{Violation, heals};
use crate::cluster::Cluster;
use crate::faults::Fate;
use crate::history::Line;
use crate::plant::Planted;
use crate::runtime::{Dice, Kernel, SimRuntime, WORLD, after, true_time};

/// What a run needs to know besides its seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// So many nodes; by the seed where none is given.
    pub nodes: Option<usize>,
    /// Its length: so many heartbeats of 100 ms.
    pub heartbeats: u64,
    /// The planted mistake, if any.
    pub planted: Option<Planted>,
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The promise that was broken, if one was.
    pub broken: Option<Violation>,
    /// Equal for equal histories.
    pub hash: u64,
    /// What happened.
    pub history: Vec<Line>,
    /// How many faults there were.
    pub faults: u32,
    /// How many leaders there were.
    pub leaders: usize,
    /// How often a group changed its owner.
    pub moves: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            hash,
            faults,
            leaders,
            moves,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {faults} faults, {leaders} leaders, {moves} moves, history {hash:016x}"
        )
    }
}

/// Seeds with five nodes: a tenth, since each costs as much as two and a half with three.
const FIVE_NODES_PER_MILLE: u64 = 100;
const MS: u64 = 1_000_000;
/// The interval that users rely on.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// The lease that goes with it.
const LEASE: Duration = Duration::from_millis(300);
/// Within this time after the faults have ceased, and after the first boot, every group runs.
const HEALING: Duration = Duration::from_secs(5);
/// A planned move may be under way just when it is looked: then it is looked again, so often.
const LOOKS: u32 = 20;
/// One fault in so many heartbeats: 54 in the usual 600.
const HEARTBEATS_A_FAULT: u64 = 11;

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut dice = Dice::new(seed, 3);
    let nodes = options
        .nodes
        .unwrap_or(if dice.chance(FIVE_NODES_PER_MILLE) {
            5
        } else {
            3
        });
    let config = configuration(nodes, &mut dice);
    let settings = Settings {
        timing: config.spec.timing,
        cluster_name: config.spec.name.clone(),
        plants: Planted::in_consensus(options.planted),
    };
    let kernel = Kernel::new(seed);
    let cluster = Cluster::new(Rc::clone(&kernel), seed, config, settings, options.planted);
    let entered = cluster.enter();
    let end = options.heartbeats * had_core::time::nanos(HEARTBEAT);
    let fate = Fate::new(Rc::clone(&cluster), Dice::new(seed, 4));
    drop(kernel.spawn(
        WORLD,
        story(fate, options.heartbeats / HEARTBEATS_A_FAULT, end),
    ));
    let judge = Rc::clone(&cluster);
    // A panic ends a daemon; here it is a broken promise, told with what led to it.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        kernel.run_until(end, move || judge.broken().is_some());
    }));
    match ran {
        Ok(()) => kernel.tear_down(),
        Err(panic) => cluster.expect(Err(Violation {
            check: "panics",
            text: said(&*panic),
        })),
    }
    drop(entered);
    cluster.outcome(seed)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "something panicked".to_owned())
}

/// Boots, forms, suffers, heals.
async fn story(mut fate: Fate, faults: u64, end: u64) {
    let cluster = Rc::clone(&fate.cluster);
    for host in 0..cluster.hosts.len() {
        let (cluster, delay) = (Rc::clone(&cluster), fate.dice.between(0, 50 * MS));
        after(Duration::from_nanos(delay), move || cluster.power_on(host));
    }
    until_healed(&cluster, true_time() + had_core::time::nanos(HEALING)).await;
    cluster.note("everything runs".into());
    let healing = had_core::time::nanos(HEALING + HEARTBEAT * LOOKS);
    fate.strike(faults, end.saturating_sub(healing)).await;
    SimRuntime::sleep(HEALING).await;
    for _ in 1..LOOKS {
        if stands(&cluster).is_ok() {
            return;
        }
        SimRuntime::sleep(HEARTBEAT / 2).await;
    }
    cluster.expect(stands(&cluster));
}

async fn until_healed(cluster: &Rc<Cluster>, limit: u64) {
    while stands(cluster).is_err() {
        if true_time() >= limit {
            return cluster.expect(stands(cluster));
        }
        SimRuntime::sleep(HEARTBEAT / 10).await;
    }
}

fn stands(cluster: &Cluster) -> Result<(), Violation> {
    let nothing = || Violation {
        check: "heals",
        text: "no cluster was formed".into(),
    };
    cluster.stand(heals).ok_or_else(nothing)?
}

impl Cluster {
    fn outcome(&self, seed: u64) -> Outcome {
        let checks = self.checks.borrow();
        let moves = checks.decided_moves.newest().map_or(0, |(_, state)| {
            state.groups.values().map(|group| group.epoch.0).sum()
        });
        Outcome {
            seed,
            broken: self.broken(),
            hash: self.history.hash(),
            history: self.history.lines(),
            faults: self.faults(),
            leaders: checks.quorum_clock.count(),
            moves,
        }
    }
}

/// A cluster file of one seed: one to three groups with different priorities and ways back, sometimes a witness.
fn configuration(nodes: usize, dice: &mut Dice) -> Configuration {
    let witness = dice.chance(250);
    let names: Vec<String> = (1..=nodes).map(|number| format!("h{number}")).collect();
    let specs = names.iter().enumerate().map(|(index, name)| NodeSpec {
        name: name.as_str().into(),
        role: if witness && index + 1 == nodes {
            Role::Witness
        } else {
            Role::Member
        },
        addresses: vec![([10, 77, 0, u8::try_from(index + 1).unwrap_or(0)], 7400).into()],
    });
    let members = nodes - usize::from(witness);
    let groups = (0..dice.between(1, 4))
        .map(|number| group(number, &names[..members], dice))
        .collect();
    let spec = ClusterSpec {
        name: "web".into(),
        timing: Timing {
            lease: LEASE,
            heartbeat: HEARTBEAT,
        },
        nodes: specs.collect(),
        groups,
    };
    Configuration {
        hash: "one".into(),
        spec,
    }
}

fn group(number: u64, members: &[String], dice: &mut Dice) -> GroupSpec {
    let mut order = members.to_vec();
    dice.shuffle(&mut order);
    let candidates = order.iter().zip((0..).map(|step| 200 - step * 50));
    let failback = match dice.between(0, 3) {
        0 => Failback::Manual,
        1 => Failback::Auto,
        _ => Failback::After(Duration::from_millis(dice.between(100, 2_000))),
    };
    let address = std::net::Ipv4Addr::new(10, 77, 0, 100 + u8::try_from(number).unwrap_or(0));
    let vip = VipSpec {
        address: address.into(),
        prefix: 24,
        interface: InterfaceSpec::BySubnet,
    };
    GroupSpec {
        name: format!("g{number}").into(),
        policy: PolicySpec::IdleStandby {
            nodes: candidates
                .map(|(name, priority)| Candidate {
                    name: name.as_str().into(),
                    priority,
                })
                .collect(),
            failback,
        },
        on_quorum_loss: OnQuorumLoss::Stop,
        resources: vec![ResourceSpec {
            name: "vip".into(),
            kind: ResourceKind::Vip(vip),
        }],
    }
}
