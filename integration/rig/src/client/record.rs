//! What a client saw, and what it says about a moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer that comes later than this after its ask is none: a datagram that lay in the client's own queue until the
/// address was resolved again would make a silence look short.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The ask's number.
    pub sequence: u64,
    /// The host that answered.
    pub who: Arc<str>,
    /// When the ask was sent.
    pub asked: Instant,
    /// When the answer was received.
    pub at: Instant,
}

/// Asks and answers, in the order in which they were sent and received.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    asks: Vec<Instant>,
    answers: Vec<Answer>,
    names: Vec<Arc<str>>,
}

/// A time in which nobody answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// When the last answered ask before it was sent.
    pub from: Instant,
    /// When the first answered ask after it was sent; `None` where the silence lasts.
    pub to: Option<Instant>,
    /// How long; where it lasts, up to the last ask.
    pub length: Duration,
    /// Who answered last before it.
    pub before: Option<Arc<str>>,
    /// Who answered first after it.
    pub after: Option<Arc<str>>,
}

impl Record {
    /// With room for so many asks without moving in memory.
    pub(super) fn with_room(asks: usize) -> Self {
        Self {
            asks: Vec::with_capacity(asks),
            answers: Vec::with_capacity(asks),
            names: vec![],
        }
    }

    pub(crate) fn sent(&mut self, at: Instant) -> u64 {
        self.asks.push(at);
        self.asks.len() as u64 - 1
    }

    pub(crate) fn answered(&mut self, sequence: u64, who: &str, at: Instant) {
        let ask = usize::try_from(sequence)
            .ok()
            .and_then(|number| self.asks.get(number));
        let Some(asked) = ask.copied() else { return };
        let who = match self.names.iter().find(|name| &***name == who) {
            Some(name) => name.clone(),
            None => {
                self.names.push(who.into());
                self.names[self.names.len() - 1].clone()
            }
        };
        self.answers.push(Answer {
            sequence,
            who,
            asked,
            at,
        });
    }

    /// How often it asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asks.len()
    }

    /// All answers, in the order in which they came.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The answers that came after a moment.
    #[must_use]
    pub fn answers_after(&self, moment: Instant) -> &[Answer] {
        &self.answers[self.answers.partition_point(|answer| answer.at <= moment)..]
    }

    /// The longest silence that ended after `moment` (or lasts): what a client saw of an event at that moment.
    #[must_use]
    pub fn silence_after(&self, moment: Instant) -> Option<Silence> {
        let in_time = |answer: &&Answer| answer.at - answer.asked <= PATIENCE;
        let mut answered: Vec<&Answer> = self.answers.iter().filter(in_time).collect();
        answered.sort_by_key(|answer| answer.sequence);
        let start = answered
            .partition_point(|answer| answer.asked <= moment)
            .saturating_sub(1);
        let answered = &answered[start..];
        let between = answered.windows(2).map(|pair| Silence {
            from: pair[0].asked,
            to: Some(pair[1].asked),
            length: pair[1].asked - pair[0].asked,
            before: Some(pair[0].who.clone()),
            after: Some(pair[1].who.clone()),
        });
        between
            .chain(self.lasting(answered.last().copied()))
            .max_by_key(|silence| silence.length)
    }

    /// The silence behind the last answer, once it is longer than an answer may take.
    fn lasting(&self, last: Option<&Answer>) -> Option<Silence> {
        let end = self.asks.last()?;
        let from = last.map_or(self.asks[0], |answer| answer.asked);
        let length = *end - from;
        (length > PATIENCE).then(|| Silence {
            from,
            to: None,
            length,
            before: last.map(|answer| answer.who.clone()),
            after: None,
        })
    }

    /// Who answered after a moment, each time it changed: `["h1", "h2"]` for one clean move.
    #[must_use]
    pub fn turns_after(&self, moment: Instant) -> Vec<Arc<str>> {
        let mut turns: Vec<Arc<str>> = Vec::new();
        for answer in self.answers_after(moment) {
            if turns.last() != Some(&answer.who) {
                turns.push(answer.who.clone());
            }
        }
        turns
    }

    /// Answers of `old` that came after the first answer of somebody else after `moment`: none, if moves are safe.
    #[must_use]
    pub fn overlap_after(&self, moment: Instant, old: &str) -> usize {
        let answers = self.answers_after(moment).iter();
        answers
            .skip_while(|answer| &*answer.who == old)
            .filter(|answer| &*answer.who == old)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with an ask each millisecond, answered as `who` says for each.
    fn record(who: impl Fn(u64) -> Option<&'static str>) -> (Record, Instant) {
        let start = Instant::now();
        let mut record = Record::default();
        for number in 0..100 {
            let at = start + Duration::from_millis(number);
            let sequence = record.sent(at);
            if let Some(who) = who(number) {
                record.answered(sequence, who, at + Duration::from_micros(100));
            }
        }
        (record, start)
    }

    #[test]
    fn a_silence_is_what_lies_between_two_answered_asks() {
        let (record, start) = record(|number| match number {
            0..=20 => Some("h1"),
            21..=59 => None,
            _ => Some("h2"),
        });
        let silence = record
            .silence_after(start + Duration::from_millis(30))
            .unwrap();
        assert_eq!(silence.length, Duration::from_millis(40));
        assert_eq!(silence.after.as_deref(), Some("h2"));
        assert_eq!(record.overlap_after(start, "h1"), 0);
        assert_eq!(record.turns_after(start), ["h1".into(), "h2".into()]);
    }

    #[test]
    fn a_silence_without_an_end_counts() {
        let (record, start) = record(|number| (number < 20).then_some("h1"));
        let silence = record.silence_after(start).unwrap();
        assert_eq!(
            (silence.length, silence.to),
            (Duration::from_millis(80), None)
        );
    }

    #[test]
    fn an_answer_of_the_old_after_the_new_is_an_overlap() {
        let (record, start) = record(|number| Some(if number % 10 == 9 { "h2" } else { "h1" }));
        assert_eq!(record.overlap_after(start, "h1"), 81);
    }

    #[test]
    fn an_answer_that_lay_in_a_queue_ends_no_silence() {
        let (mut record, start) = record(|number| (!(20..=90).contains(&number)).then_some("h1"));
        record.answered(30, "h1", start + Duration::from_millis(95));
        let silence = record.silence_after(start).unwrap();
        assert_eq!(silence.length, Duration::from_millis(72));
    }
}
