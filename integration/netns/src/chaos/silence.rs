//! How long an address was silent for a client.

use had_rig::client::{Heard, PATIENCE, Seen};
use had_rig::wall::{WallNs, ns};

/// Shorter ones are nobody's: a lost datagram, a thread that had to wait.
pub const NOTICED: WallNs = 5_000_000;

/// A time in which an address was asked, and nobody answered in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Silence {
    /// When the last answered ask before it was sent.
    pub from: WallNs,
    /// When the first answered ask after it was sent; where it lasts, the last ask.
    pub to: WallNs,
    /// Whether it lasts.
    pub lasts: bool,
    /// Who answered before it: the host's number.
    pub before: u8,
    /// Who answered after it.
    pub after: Option<u8>,
}

impl Silence {
    /// How long, nanoseconds.
    #[must_use]
    pub fn length(&self) -> WallNs {
        self.to - self.from
    }
}

/// Finds the silences of one address.
#[derive(Clone, Debug, Default)]
pub struct Ear {
    last: Option<Heard>,
}

impl Ear {
    /// The silences of at least [`NOTICED`] since the last time. Asks that were not sent, since the client itself had to wait, make
    /// none: at least one must have remained unanswered. A silence that lasts is told again, whole, when it has ended.
    pub fn listen(&mut self, seen: &Seen) -> Vec<Silence> {
        let in_time = seen
            .answers
            .iter()
            .filter(|one| one.at - one.asked <= ns(PATIENCE));
        let mut answers: Vec<Heard> = in_time.copied().collect();
        answers.sort_by_key(|answer| answer.sequence);
        let mut silences = Vec::new();
        for answer in answers {
            let Some(last) = self.last.replace(answer) else {
                continue;
            };
            if answer.sequence <= last.sequence {
                self.last = Some(last);
            } else if answer.sequence > last.sequence + 1 && answer.asked - last.asked >= NOTICED {
                silences.push(Silence {
                    from: last.asked,
                    to: answer.asked,
                    lasts: false,
                    before: last.host,
                    after: Some(answer.host),
                });
            }
        }
        let lasting = self.last.filter(|last| {
            seen.asks > last.sequence + 1 && seen.last_ask.saturating_sub(last.asked) > ns(PATIENCE)
        });
        silences.extend(lasting.map(|last| Silence {
            from: last.asked,
            to: seen.last_ask,
            lasts: true,
            before: last.host,
            after: None,
        }));
        silences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: WallNs = 1_000_000;

    /// An ask a millisecond, answered by whom `who` says.
    fn seen(asks: std::ops::Range<u64>, who: impl Fn(u64) -> Option<u8>) -> Seen {
        let heard = |sequence: u64| {
            who(sequence).map(|host| Heard {
                sequence,
                asked: sequence * MS,
                at: sequence * MS + 100,
                host,
            })
        };
        Seen {
            answers: asks.clone().filter_map(heard).collect(),
            asks: asks.end,
            last_ask: (asks.end - 1) * MS,
        }
    }

    #[test]
    fn a_silence_lies_between_two_answered_asks() {
        let mut ear = Ear::default();
        let found = ear.listen(&seen(0..200, |ask| {
            (!(20..=59).contains(&ask)).then_some(1)
        }));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].from, found[0].length()), (19 * MS, 41 * MS));
    }

    #[test]
    fn one_that_lasts_is_told_whole_when_it_ends() {
        let mut ear = Ear::default();
        let found = ear.listen(&seen(0..100, |ask| (ask < 20).then_some(1)));
        assert!(found[0].lasts);
        let found = ear.listen(&seen(100..200, |ask| (ask >= 150).then_some(2)));
        assert_eq!(
            (found[0].from, found[0].to, found[0].after),
            (19 * MS, 150 * MS, Some(2))
        );
    }

    #[test]
    fn a_client_that_had_to_wait_itself_heard_no_silence() {
        let mut ear = Ear::default();
        let mut paused = seen(0..40, |_| Some(1));
        for answer in &mut paused.answers[20..] {
            answer.asked += 500 * MS;
            answer.at += 500 * MS;
        }
        assert!(ear.listen(&paused).is_empty());
    }

    #[test]
    fn an_answer_that_lay_in_a_queue_ends_no_silence() {
        let mut ear = Ear::default();
        let mut late = seen(0..100, |ask| (!(20..=90).contains(&ask)).then_some(1));
        late.answers.push(Heard {
            sequence: 30,
            asked: 30 * MS,
            at: 95 * MS,
            host: 1,
        });
        assert_eq!(ear.listen(&late)[0].length(), 72 * MS);
    }
}
