//! Everybody who looks at the addresses: the client, the sniffer, the stranger who asks for them, and what is proven by it.

use std::net::IpAddr;

use anyhow::Result;
use had_rig::client::{PATIENCE, Seen};
use had_rig::wall::{WallNs, ns, wall_ns};
use had_rig::wire::Use;
use had_rig::{Cluster, Sniffer, Stranger, Stream};

use super::owners::Ledger;
use super::scene::Place;
use super::sighting::{How, Judge, Overlap, Sighting};
use super::silence::{Ear, Silence};
use crate::history::Event;

/// Nobody uses an address for so long on the wire although it is asked for every millisecond: its owner does not serve. One
/// that asks may lose all its frames for some milliseconds, not for a hundred.
pub const LAPSE: WallNs = 100_000_000;

/// One that has not ended at a look has lasted for so long: what is on its way to the sniffer's thread is no lapse.
const LASTING: WallNs = 5 * LAPSE;

/// Looks at every address.
pub struct Observer {
    /// The addresses.
    pub places: Vec<Place>,
    /// What was decided.
    pub ledger: Ledger,
    stream: Stream,
    sniffer: Sniffer,
    _stranger: Stranger,
    judges: Vec<Judge>,
    ears: Vec<Ear>,
    /// When each address was last used on the wire.
    used: Vec<Option<WallNs>>,
}

/// What was seen since the last time.
#[derive(Debug, Default)]
pub struct Findings {
    /// The client's silences, with the number of the address.
    pub silences: Vec<(usize, Silence)>,
    /// Proofs of two owners, with the number of the address.
    pub overlaps: Vec<(usize, Overlap)>,
    /// Who acted around the first overlap of each address, in words.
    pub turns: Vec<String>,
    /// How long nobody used an address on the wire, beyond [`LAPSE`]: its number, since when, until when.
    pub lapses: Vec<(usize, WallNs, WallNs)>,
    /// What was decided.
    pub events: Vec<Event>,
    /// How many sightings were judged.
    pub sightings: usize,
}

impl Observer {
    /// Begins to look.
    ///
    /// # Errors
    /// Where a socket cannot be opened.
    pub fn new(cluster: &mut Cluster, places: Vec<Place>) -> Result<Self> {
        let addresses: Vec<IpAddr> = places.iter().map(|place| place.address).collect();
        let sniffer = cluster.lab.sniff(0, &addresses)?;
        Ok(Self {
            ledger: Ledger::default(),
            stream: cluster.stream(&addresses)?,
            sniffer,
            _stranger: Stranger::start(cluster.lab.client()?, &addresses)?,
            judges: vec![Judge::default(); places.len()],
            ears: vec![Ear::default(); places.len()],
            used: vec![None; places.len()],
            places,
        })
    }

    /// Who answered last at the address of this number, if that was just now.
    #[must_use]
    pub fn answers(&self, number: usize) -> Option<u8> {
        let latest = self.stream.latest(number)?;
        let fresh = wall_ns().saturating_sub(latest.asked) <= ns(PATIENCE);
        fresh.then_some(latest.host)
    }

    /// Frames that the sniffer lost up to now.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn lost(&mut self) -> Result<u64> {
        self.sniffer.lost()
    }

    /// Judges what was seen since the last time by what was decided, which `asked` knows.
    ///
    /// # Errors
    /// Where it does not say what was decided.
    pub fn look(&mut self, cluster: &mut Cluster, asked: &str) -> Result<Findings> {
        // First what was seen, then what was decided: that covers all of it.
        let taken = wall_ns();
        let seen: Vec<_> = (0..self.places.len())
            .map(|number| (self.stream.take(number), self.sniffer.take(number)))
            .collect();
        let mut findings = Findings {
            events: self.ledger.read(cluster, asked)?,
            ..Findings::default()
        };
        for (number, (answers, frames)) in seen.into_iter().enumerate() {
            self.hear(number, &answers, &mut findings);
            self.find_lapses(number, &frames, taken, &mut findings);
            let mut sightings = sightings(&answers, &frames);
            findings.sightings += sightings.len();
            let known = self.ledger.of(&self.places[number].group);
            let overlaps = self.judges[number].judge(&mut sightings, &known.owners);
            if let Some(first) = overlaps.first() {
                let turns = turns(&sightings, first.old.from);
                findings
                    .turns
                    .push(format!("{}: {turns}", self.places[number].address));
            }
            findings
                .overlaps
                .extend(overlaps.into_iter().map(|overlap| (number, overlap)));
        }
        Ok(findings)
    }

    fn hear(&mut self, number: usize, seen: &Seen, findings: &mut Findings) {
        let silences = self.ears[number].listen(seen);
        findings
            .silences
            .extend(silences.into_iter().map(|silence| (number, silence)));
    }

    /// Frames come in the order of the tap; nearly that of their stamps. A lapse that lasts is told at each look.
    fn find_lapses(
        &mut self,
        number: usize,
        frames: &[had_rig::sniffer::Left],
        taken: WallNs,
        findings: &mut Findings,
    ) {
        let mut stamps: Vec<WallNs> = frames.iter().map(|frame| frame.at).collect();
        stamps.sort_unstable();
        for at in stamps {
            if let Some(last) = self.used[number]
                && at.saturating_sub(last) > LAPSE
            {
                findings.lapses.push((number, last, at));
            }
            self.used[number] = Some(at);
        }
        if let Some(last) = self.used[number]
            && taken.saturating_sub(last) > LASTING
        {
            findings.lapses.push((number, last, taken));
            self.used[number] = Some(taken);
        }
    }
}

fn sightings(answers: &Seen, frames: &[had_rig::sniffer::Left]) -> Vec<Sighting> {
    let answers = answers.answers.iter().map(|answer| Sighting {
        from: answer.asked,
        to: answer.at,
        host: answer.host,
        how: How::Answer,
    });
    let frames = frames.iter().map(|frame| Sighting {
        from: frame.at,
        to: frame.at,
        host: frame.host,
        how: match frame.how {
            Use::Claim => How::Claim,
            Use::Packet => How::Packet,
        },
    });
    answers.chain(frames).collect()
}

/// How much around an overlap is told.
const AROUND: WallNs = 200_000_000;
/// More turns than these tell nothing more.
const TOLD: usize = 40;

/// Who acted around a moment, each from when on, milliseconds after it.
fn turns(sightings: &[Sighting], moment: WallNs) -> String {
    let first = moment.saturating_sub(AROUND);
    let near = sightings
        .iter()
        .filter(|one| (first..moment + AROUND).contains(&one.to));
    let mut told: Vec<String> = Vec::new();
    let mut last = None;
    for one in near {
        if last.replace(one.host) != Some(one.host) {
            let how = format!("{:?}", one.how).to_lowercase();
            let after = i64::try_from(one.to).unwrap_or(0) - i64::try_from(moment).unwrap_or(0);
            told.push(format!("{} ms h{} ({how})", signed_ms(after), one.host));
        }
    }
    told.truncate(TOLD);
    told.join(", ")
}

/// Microseconds are told; what is longer than some minutes is not.
fn signed_ms(length_ns: i64) -> String {
    let us = i32::try_from(length_ns / 1000).unwrap_or(i32::MAX);
    format!("{:+.3}", f64::from(us) / 1e3)
}
