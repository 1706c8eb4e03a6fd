//! Many trials: the median, 19 of 20, the worst, and what was promised.

use crate::fault::Fault;
use crate::trial::Outcome;

/// The figures of one fault.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// How many trials.
    pub runs: usize,
    /// The median of the silences, milliseconds.
    pub p50_ms: f64,
    /// The silence that 19 of 20 do not exceed, milliseconds.
    pub most_ms: f64,
    /// The longest, milliseconds.
    pub max_ms: f64,
}

impl Figures {
    /// From the silences of all trials, milliseconds; nothing where there were none.
    #[must_use]
    pub fn of(silences: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut silences: Vec<f64> = silences.into_iter().collect();
        silences.sort_by(f64::total_cmp);
        // The nearest rank: the smallest that so many twentieths do not exceed.
        let rank = |twentieths: usize| {
            let place = (silences.len() * twentieths).div_ceil(20).max(1);
            silences.get(place - 1).copied()
        };
        Some(Self {
            runs: silences.len(),
            p50_ms: rank(10)?,
            most_ms: rank(19)?,
            max_ms: *silences.last()?,
        })
    }

    /// What of a fault's promise they break, in words.
    #[must_use]
    pub fn broken(&self, fault: Fault) -> Vec<String> {
        let promise = fault.promise();
        let line = |what, is: f64, promised: Option<f64>| {
            let promised = promised.filter(|promised| is > *promised)?;
            Some(format!("{what} {is:.1} ms, promised {promised:.0} ms"))
        };
        let p50 = line("p50", self.p50_ms, promise.p50_ms);
        let most = line("19 of 20", self.most_ms, promise.most_ms);
        p50.into_iter().chain(most).collect()
    }
}

/// Whether an outcome is one to be explained: slower than what is promised of 19 in 20, or unsafe.
#[must_use]
pub fn is_outlier(fault: Fault, outcome: &Outcome) -> bool {
    let slow = fault
        .promise()
        .most_ms
        .is_some_and(|most| outcome.silence_ms.max(outcome.silence6_ms) > most);
    slow || outcome.unsafe_because.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_twenty_may_be_worse() {
        let figures = Figures::of((1..=19).map(|n| f64::from(300 + n)).chain([2000.0])).unwrap();
        assert_eq!(
            (figures.p50_ms, figures.most_ms, figures.max_ms),
            (310.0, 319.0, 2000.0)
        );
        assert!(figures.broken(Fault::OwnerCut).is_empty());
    }

    #[test]
    fn two_of_twenty_break_the_promise() {
        let figures = Figures::of((1..=18).map(f64::from).chain([401.0, 402.0])).unwrap();
        assert_eq!(
            figures.broken(Fault::OwnerCut),
            ["19 of 20 401.0 ms, promised 400 ms"]
        );
    }
}
