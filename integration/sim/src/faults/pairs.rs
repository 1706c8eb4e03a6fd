//! Two faults of two kinds, the second soon after the first: every pair in its turn, by the seed. How long the groups were dark.

use std::rc::Rc;
use std::time::Duration;

use had_core::time::nanos;
use openraft_rt::AsyncRuntime;

use super::Fate;
use crate::runtime::{SimRuntime, true_time};
use crate::story::{HEALING, runs_within};

/// A kind of fault, and what brings one of it; `false` where it cannot be now.
type Kind = (&'static str, fn(&mut Fate) -> bool);

/// Every kind that strikes by itself.
const KINDS: [Kind; 18] = [
    ("daemon killed", Fate::kill),
    ("daemon frozen", Fate::freeze),
    ("daemon ended", Fate::terminate),
    ("guard gone", Fate::guard_away),
    ("power lost", Fate::power_loss),
    ("host stalled", Fate::stall_host),
    ("host suspended", Fate::suspend),
    ("clock slewed", Fate::slew),
    ("disk replaced", Fate::wipe),
    ("same name twice", Fate::same_name),
    ("disk full or failing", Fate::disk_trouble),
    ("network cut", Fate::partition),
    ("network flapping", Fate::flapping),
    ("network bad", Fate::bad_network),
    ("network queues", Fate::stall),
    ("late answers", Fate::late_answers),
    ("another file", Fate::another_file),
    ("operator", Fate::operator),
];
/// The second comes within this time of the first: within a lease, and a little after.
const BETWEEN_MS: u64 = 400;
/// So long it is looked from the first fault on. Faults last for 3 s at most, and their end is not waited for: the dark counts
/// that a pair brings while it lasts.
const LOOKED_AT: Duration = Duration::from_secs(4);
/// How often.
const LOOK: Duration = Duration::from_millis(1);

/// What one pair brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dark {
    /// The kinds, in the order of the table.
    pub kinds: (&'static str, &'static str),
    /// The longest time in which one group was open nowhere.
    pub longest: Duration,
}

/// How many pairs there are, those of one kind with itself included.
#[must_use]
pub fn pairs() -> u64 {
    let kinds = KINDS.len() as u64;
    kinds * (kinds + 1) / 2
}

/// The pair of a seed.
fn pair(seed: u64) -> (Kind, Kind) {
    let all = KINDS
        .iter()
        .enumerate()
        .flat_map(|(place, first)| KINDS[place..].iter().map(move |second| (*first, *second)));
    let place = usize::try_from(seed % pairs()).unwrap_or(0);
    all.clone().nth(place).unwrap_or((KINDS[0], KINDS[0]))
}

impl Fate {
    /// One pair, in either order, in an otherwise quiet cluster, until it is over; then faults cease.
    pub(crate) async fn strike_a_pair(mut self, seed: u64) {
        let (first, second) = pair(seed);
        let kinds = (first.0, second.0);
        let (first, second) = if self.dice.chance(500) {
            (first, second)
        } else {
            (second, first)
        };
        let cluster = Rc::clone(&self.cluster);
        let groups = cluster.committed().spec.groups.clone();
        let from = true_time();
        let later = from + nanos(Duration::from_millis(self.dice.between(0, BETWEEN_MS)));
        let mut due = vec![(later, second), (from, first)];
        let mut open: Vec<u64> = vec![from; groups.len()];
        let mut longest = Duration::ZERO;
        while true_time() < from + nanos(LOOKED_AT) {
            let now = true_time();
            // One that cannot be now (there is no owner, the host is down) is tried again at the next look.
            if let Some((at, (_, strike))) = due.last()
                && now >= *at
                && strike(&mut self)
            {
                due.pop();
            }
            for (group, open) in groups.iter().zip(&mut open) {
                if !cluster.open_on(&group.name).is_empty() {
                    *open = now;
                }
                longest = longest.max(Duration::from_nanos(now - *open));
            }
            SimRuntime::sleep(LOOK).await;
        }
        self.cease();
        runs_within(&cluster, HEALING).await;
        cluster.note(format!("{} and {}: dark for {longest:?}", kinds.0, kinds.1));
        cluster.darkened(Dark { kinds, longest });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pair_has_its_seeds() {
        let names: BTreeSet<_> = (0..pairs())
            .map(|seed| pair(seed))
            .map(|(first, second)| (first.0, second.0))
            .collect();
        assert_eq!(names.len() as u64, pairs());
    }
}
