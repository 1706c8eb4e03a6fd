//! The network between hosts: when, how often and whether a message arrives.
//!
//! What the real transport can do, and this one does:
//! - Daemons hold two connections or more to each peer. On one of them frames keep their order; a frame on another, or on the
//!   next after one broke, may overtake it. An ask goes over all of them, so it comes twice. Nothing else is sent twice on
//!   purpose, but a few frames are here all the time, and many in disorder: the core is told that they may.
//! - A call of the consensus is one request and one answer. Where the answer does not come soon the request goes over the
//!   next connection too: it may arrive twice, the second time after a newer request. The first answer counts.
//! - A lost segment is sent again after 200 ms, or its connection breaks and what was on it is lost.

use std::time::Duration;

use had_core::time::nanos;

use crate::runtime::Dice;

/// One way on a quiet LAN.
const DELAY_MIN_NS: u64 = 50_000;
const DELAY_MAX_NS: u64 = 400_000;
/// Now and then a message waits in some queue.
const SPIKE_PER_MILLE: u64 = 2;
const SPIKE_MAX_NS: u64 = 15_000_000;
/// What TCP waits before it sends a lost segment again, on the usual Linux.
const RETRANSMISSION_NS: u64 = 200_000_000;

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carriage {
    /// A frame on a stream between daemons; rarely comes twice, because the core says things again.
    Frame,
    /// A request of the consensus or its answer, on one connection: once or not at all.
    Call,
}

/// What becomes of messages that take different ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Disorder {
    /// So many frames in a thousand come twice, besides the usual few.
    pub twice_per_mille: u64,
    /// Each message takes up to so much longer than another.
    pub up_to: Duration,
}

/// One direction between two hosts.
#[derive(Clone, Debug, Default)]
struct Link {
    cut: u32,
    loss_per_mille: u64,
    slower: u64,
    disorder: Disorder,
    held_until: u64,
    /// When the last call arrives.
    last_call: u64,
}

/// All links.
#[derive(Debug)]
pub struct Network {
    hosts: usize,
    links: Vec<Link>,
    dice: Dice,
    duplicates_per_mille: u64,
    calls_in_order: bool,
}

impl Network {
    /// A quiet network between so many hosts.
    #[must_use]
    pub fn new(hosts: usize, dice: Dice) -> Self {
        Self {
            hosts,
            links: vec![Link::default(); hosts * hosts],
            dice,
            duplicates_per_mille: 2,
            calls_in_order: false,
        }
    }

    /// Carries the calls of one direction as one stream: none overtakes another, and a lost segment delays all behind it.
    /// Calls of one connection are so; but a daemon has several, and a late request of one may come after a newer one of
    /// another, so that it is not so as a rule.
    pub fn keep_calls_in_order(&mut self) {
        self.calls_in_order = true;
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.hosts + to]
    }

    /// When a message that leaves now arrives: not at all, once, or twice.
    pub fn send(
        &mut self,
        now: u64,
        from: usize,
        to: usize,
        carriage: Carriage,
    ) -> [Option<u64>; 2] {
        let link = self.link(from, to).clone();
        if link.cut > 0 {
            return [None, None];
        }
        let apart = nanos(link.disorder.up_to);
        let mut arrival = now + link.slower + self.delay() + self.dice.between(0, apart);
        if self.dice.chance(link.loss_per_mille) {
            // Either the connection is rebuilt and the message gone, or TCP sends the segment again.
            if !self.calls_in_order && self.dice.chance(500) {
                return [None, None];
            }
            arrival += RETRANSMISSION_NS;
        }
        let mut arrival = arrival.max(link.held_until + self.dice.between(0, DELAY_MIN_NS));
        if carriage == Carriage::Call && self.calls_in_order {
            arrival = arrival.max(link.last_call + 1);
            self.link(from, to).last_call = arrival;
        }
        let duplicates = self.duplicates_per_mille + link.disorder.twice_per_mille;
        let twice = carriage == Carriage::Frame && self.dice.chance(duplicates);
        let second = twice.then(|| arrival + self.delay() + self.dice.between(0, apart));
        [Some(arrival), second]
    }

    /// Whether what is sent on two connections may make a difference. Where nothing is wrong between the two hosts, the second
    /// copy is but a duplicate, and one in eight of them is enough.
    pub fn matters_twice(&mut self, now: u64, from: usize, to: usize) -> bool {
        let troubled = |link: &Link| {
            link.cut > 0 || link.loss_per_mille > 0 || link.slower > 0 || link.held_until > now
        };
        troubled(self.link(from, to)) || troubled(self.link(to, from)) || self.dice.chance(125)
    }

    fn delay(&mut self) -> u64 {
        let usual = self.dice.between(DELAY_MIN_NS, DELAY_MAX_NS);
        if self.dice.chance(SPIKE_PER_MILLE) {
            usual + self.dice.between(0, SPIKE_MAX_NS)
        } else {
            usual
        }
    }

    /// Cuts one direction; cuts add up, each needs its own mending.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).cut += 1;
    }

    /// Takes one cut back.
    pub fn mend(&mut self, from: usize, to: usize) {
        let link = self.link(from, to);
        link.cut = link.cut.saturating_sub(1);
    }

    /// Loses so many messages in a thousand, in one direction.
    pub fn lose(&mut self, from: usize, to: usize, per_mille: u64) {
        self.link(from, to).loss_per_mille = per_mille;
    }

    /// Lets every message of one direction take longer.
    pub fn slow_down(&mut self, from: usize, to: usize, by: Duration) {
        self.link(from, to).slower = nanos(by);
    }

    /// Lets messages of one direction come in another order, and twice.
    pub fn disorder(&mut self, from: usize, to: usize, disorder: Disorder) {
        self.link(from, to).disorder = disorder;
    }

    /// Whether calls of one direction come in their order.
    #[must_use]
    pub fn keeps_calls_in_order(&self) -> bool {
        self.calls_in_order
    }

    /// Holds everything that is sent in one direction until a true time, then lets it all arrive.
    pub fn hold(&mut self, from: usize, to: usize, until: u64) {
        let link = self.link(from, to);
        link.held_until = link.held_until.max(until);
    }

    /// A quiet network again; what is on its way arrives.
    pub fn heal(&mut self) {
        self.links.fill(Link::default());
    }

    /// Whether both directions between two hosts are open.
    #[must_use]
    pub fn connected(&self, one: usize, other: usize) -> bool {
        let open = |from: usize, to: usize| self.links[from * self.hosts + to].cut == 0;
        open(one, other) && open(other, one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network::new(2, Dice::new(1, 1))
    }

    #[test]
    fn a_cut_holds_in_one_direction_until_each_cut_is_mended() {
        let mut network = network();
        network.cut(0, 1);
        network.cut(0, 1);
        network.mend(0, 1);
        assert_eq!(network.send(0, 0, 1, Carriage::Call), [None, None]);
        assert!(network.send(0, 1, 0, Carriage::Call)[0].is_some());
        assert!(!network.connected(0, 1));
        network.mend(0, 1);
        assert!(network.send(0, 0, 1, Carriage::Call)[0].is_some());
    }

    #[test]
    fn a_call_never_arrives_twice_and_a_frame_sometimes_does() {
        let mut network = network();
        let mut twice = |carriage| {
            (0..10_000)
                .filter(|_| network.send(0, 0, 1, carriage)[1].is_some())
                .count()
        };
        assert_eq!(twice(Carriage::Call), 0);
        assert!(twice(Carriage::Frame) > 0);
    }

    #[test]
    fn in_disorder_a_message_overtakes_another_and_many_come_twice() {
        let mut network = network();
        let disorder = Disorder {
            twice_per_mille: 500,
            up_to: Duration::from_millis(10),
        };
        network.disorder(0, 1, disorder);
        let sent = (0..1_000).map(|_| network.send(0, 0, 1, Carriage::Frame));
        let sent: Vec<_> = sent.collect();
        assert!(sent.iter().filter(|[_, second]| second.is_some()).count() > 400);
        assert!(sent.windows(2).any(|pair| pair[0][0] > pair[1][0]));
    }

    #[test]
    fn what_is_held_arrives_when_it_is_let_go() {
        let mut network = network();
        network.hold(0, 1, 1_000_000_000);
        let arrival = network.send(0, 0, 1, Carriage::Call)[0].expect("nothing is lost here");
        assert!((1_000_000_000..1_100_000_000).contains(&arrival));
    }
}
