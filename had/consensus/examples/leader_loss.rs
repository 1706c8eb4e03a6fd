//! How long three voters are without a leader that may grant when theirs is cut off, and whether an owner's lease
//! outlives it. Real clock, redb on disk (under `TMPDIR`), 200 µs each way.
//!
//! `cargo run -p had-consensus --example leader_loss [TRIALS [LEASE_MS]]`; fails where a lease lapsed.
//! The figures of one run are in `docs/design/0002-timing.md`.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement: what is unexpected ends it"
)]

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use std::process::ExitCode;
use std::time::Duration;

use cluster::Cluster;
use cluster::network::DELAY;
use had_consensus::{Runtime, System};
use had_core::ids::VoterId;
use had_core::time::MonoTime;
use had_core::timing::Timing;

/// Between two trials, so that a returned leader has caught up.
const SETTLE_LEASES: u32 = 2;
/// The moments of the cuts are spread over the intervals of heartbeats and renewals by this step.
const PHASE_STEP: Duration = Duration::from_micros(3_700);

struct Trial {
    /// From the cut to the first permit of a survivor.
    leaderless: Duration,
    /// From the cut to the owner's next grant.
    without_grant: Duration,
    /// What was left of the owner's lease when the next grant arrived, milliseconds; negative: it lapsed.
    slack_ms: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().unwrap());
    let trials = arguments.next().unwrap_or(30);
    let lease = Duration::from_millis(arguments.next().unwrap_or(300));
    let (cluster, _) = Cluster::formed(3, lease).await;
    let timing = cluster.settings.timing;
    let mut results = Vec::new();
    for number in 0..u32::try_from(trials).unwrap() {
        results.push(trial(&cluster, timing, number).await);
    }
    cluster.stop_all().await;
    report(&timing, &results)
}

/// Cuts the leader off and waits for the next; an owner beside the three renews all the while.
async fn trial(cluster: &Cluster, timing: Timing, number: u32) -> Trial {
    cluster.network.heal();
    tokio::time::sleep(timing.lease * SETTLE_LEASES).await;
    let old = cluster.permit(cluster.voters()).await.leader;
    let survivors = cluster.others(old.voter);
    let mut owner = Owner {
        end: System::mono_now(),
        timing,
    };
    let cut_after = timing.lease + PHASE_STEP * number;
    let started = System::mono_now();
    while System::mono_now().since(started) < cut_after {
        let renewed = owner.renew(cluster, &[old.voter]).await;
        let rest = cut_after.saturating_sub(System::mono_now().since(started));
        tokio::time::sleep(timing.renewal().min(rest)).await;
        assert!(
            renewed.is_some(),
            "the leader stopped to grant before it was cut off"
        );
    }
    cluster.network.isolate(old.voter, &survivors);
    let cut = System::mono_now();
    let end = owner.end;
    let watch = async {
        cluster.permit(survivors.clone()).await;
        System::mono_now().since(cut)
    };
    let (leaderless, granted) =
        futures::future::join(watch, owner.renew_until_granted(cluster, &survivors)).await;
    Trial {
        leaderless,
        without_grant: granted.since(cut),
        slack_ms: if granted <= end {
            millis(end.since(granted))
        } else {
            -millis(granted.since(end))
        },
    }
}

/// A node that holds a lease, and asks for it again every renewal interval (DESIGN §4).
struct Owner {
    end: MonoTime,
    timing: Timing,
}

impl Owner {
    /// Asks these voters once; the time of a grant's arrival. The lease counts from the sending.
    async fn renew(&mut self, cluster: &Cluster, voters: &[VoterId]) -> Option<MonoTime> {
        let sent = System::mono_now();
        cluster.network.delay().await;
        let mut granted = None;
        for voter in voters {
            if let Some(permit) = cluster.consensus(*voter).permit().await {
                let age = System::mono_now().since(permit.quorum_acked);
                granted = self.timing.grant_max().checked_sub(age);
            }
        }
        cluster.network.delay().await;
        let granted = granted?;
        self.end = self.end.max(sent + granted);
        Some(System::mono_now())
    }

    async fn renew_until_granted(&mut self, cluster: &Cluster, voters: &[VoterId]) -> MonoTime {
        // The first ask after the cut is due up to one interval later: the whole of it is the worst case.
        loop {
            tokio::time::sleep(self.timing.renewal()).await;
            if let Some(arrived) = self.renew(cluster, voters).await {
                return arrived;
            }
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn report(timing: &Timing, results: &[Trial]) -> ExitCode {
    println!(
        "{} trials, lease {:?}: h {:?}, renewal {:?}, consensus heartbeat {:?}, election {:?} to {:?}, {DELAY:?} each way, {}",
        results.len(),
        timing.lease,
        timing.grant_max(),
        timing.renewal(),
        timing.raft_heartbeat(),
        timing.election_min(),
        timing.election_max(),
        std::env::temp_dir().display(),
    );
    println!("| ms | min | p50 | p95 | max |");
    println!("| --- | --- | --- | --- | --- |");
    row(
        "cut to a survivor's first permit",
        results.iter().map(|trial| millis(trial.leaderless)),
    );
    row(
        "cut to the owner's next grant",
        results.iter().map(|trial| millis(trial.without_grant)),
    );
    row(
        "left of the owner's lease then",
        results.iter().map(|trial| trial.slack_ms),
    );
    let lapsed = results.iter().filter(|trial| trial.slack_ms < 0.0).count();
    println!("leases lapsed: {lapsed} of {}", results.len());
    if lapsed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(what: &str, values: impl Iterator<Item = f64>) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    println!(
        "| {what} | {:.1} | {:.1} | {:.1} | {:.1} |",
        at(0),
        at(50),
        at(95),
        at(100)
    );
}
