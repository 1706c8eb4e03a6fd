//! One condition that lasts: how often a group's service lapses under it.
//!
//! A lapse is a change of owner in the committed history, or a time of more than 100 ms (and what this machine was late) in which nobody used an address
//! on the wire, and the client heard no answer there, although the client asked for it every millisecond and the stranger every 25. A client's ask or answer that is lost on an owner's
//! cable is no lapse: those are the client's silences, which are only told.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use had_rig::wall::ns;
use had_rig::{Cluster, Pulse};

use super::memory::Memory;
use super::observe::{Findings, LAPSE, Observer};
use super::scene::Scene;
use super::silence::Silence;
use super::strike::Striker;
use super::tally::{Tally, ms};
use super::trace::Chronicle;

/// How often what was seen is judged.
const CHECK: Duration = Duration::from_secs(5);
/// How often daemons are looked after.
const TICK: Duration = Duration::from_millis(20);
/// Begins after a moment in which the cluster, just formed, comes to rest.
const AT_FIRST: Duration = Duration::from_secs(3);
/// As many as twice the processors of a small machine want to run at a time.
const HOGS: u16 = 8;

/// What lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing.
    None,
    /// Of so many in a hundred frames on every node's cable none arrives, either way: a frame from node to node has two cables to
    /// pass.
    Loss(u16),
    /// Of so many in a hundred frames that nodes send none arrives, as `netem` on every node does it.
    SentLoss(u16),
    /// Eight processes of usual priority that want to run all the time.
    Hogs,
}

impl FromStr for Condition {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let percent = |percent: &str| -> Result<u16> {
            let percent = percent.parse()?;
            ensure!(percent <= 100, "no more than all frames can be lost");
            Ok(percent)
        };
        match text.split_once('=') {
            None if text == "none" => Ok(Self::None),
            None if text == "hogs" => Ok(Self::Hogs),
            Some(("loss", number)) => Ok(Self::Loss(percent(number)?)),
            Some(("sent-loss", number)) => Ok(Self::SentLoss(percent(number)?)),
            _ => bail!("it is none, hogs, loss=PERCENT or sent-loss=PERCENT"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Loss(percent) => write!(f, "loss of {percent} % on each cable, either way"),
            Self::SentLoss(percent) => write!(f, "loss of {percent} % of what each node sends"),
            Self::Hogs => write!(f, "{HOGS} hogs"),
        }
    }
}

impl Condition {
    /// How many lapses are permitted; nothing where they are only told.
    fn permits(self, realtime: bool) -> Option<usize> {
        match self {
            Self::Hogs if !realtime => None,
            Self::Loss(percent) | Self::SentLoss(percent) if percent > 1 => Some(1),
            Self::None | Self::Loss(_) | Self::SentLoss(_) | Self::Hogs => Some(0),
        }
    }
}

/// Watches the cluster under a condition, inside a lab process. Says whether every promise was kept.
///
/// # Errors
/// Where the cluster does not come to stand at first, or the lab fails.
pub fn steady(scene: Scene, condition: Condition, length: Duration) -> Result<bool> {
    let mut cluster = Cluster::settled(scene.spec())?;
    let mut observer = Observer::new(&mut cluster, scene.places())?;
    let mut striker = Striker::new(cluster, scene);
    let mut memory = Memory::default();
    attend(&mut striker, &mut memory, AT_FIRST)?;
    let asked = striker.somebody()?;
    observer.look(&mut striker.cluster, &asked)?;
    match condition {
        Condition::None => {}
        Condition::Loss(percent) => striker.lose_everywhere(percent * 10, true)?,
        Condition::SentLoss(percent) => striker.lose_everywhere(percent * 10, false)?,
        Condition::Hogs => striker.hog(HOGS)?,
    }
    println!(
        "{condition} on {} nodes for {:.1} min",
        scene.nodes,
        length.as_secs_f64() / 60.0
    );
    let mut sums = Sums::default();
    let begun = Instant::now();
    while begun.elapsed() < length {
        let (pulse, since) = (Pulse::start()?, Instant::now());
        attend(&mut striker, &mut memory, CHECK.min(length))?;
        let mut findings = observer.look(&mut striker.cluster, &asked)?;
        let noise = pulse.worst_after(since);
        // Where whoever asks was late itself nobody had to answer; and where the client heard an answer, the sniffer was late.
        let silences = &findings.silences;
        findings.lapses.retain(|(number, from, to)| {
            let heard_nobody = |(of, silence): &(usize, Silence)| {
                of == number && silence.length() > LAPSE && silence.from < *to && silence.to > *from
            };
            to - from > LAPSE + ns(noise) && silences.iter().any(heard_nobody)
        });
        sums.add(&observer, &striker.cluster, &findings);
        let longest = findings
            .silences
            .iter()
            .map(|(_, silence)| silence.length())
            .max();
        println!(
            "{:7.1} s: longest silence of a client {} ms, lapses {}, overlaps {}, machine late by {:.1} ms",
            begun.elapsed().as_secs_f64(),
            ms(longest.unwrap_or(0)),
            sums.lapses.len(),
            sums.overlaps.len(),
            noise.as_secs_f64() * 1e3
        );
    }
    let lost = observer.lost()?;
    Ok(sums.report(condition, scene, &memory, &striker, lost))
}

/// Looks after daemons for some time.
fn attend(striker: &mut Striker, memory: &mut Memory, length: Duration) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < length {
        striker.supervise()?;
        memory.look(&mut striker.cluster)?;
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// What came together.
#[derive(Debug, Default)]
struct Sums {
    tally: Tally,
    lapses: Vec<String>,
    overlaps: Vec<String>,
    sightings: usize,
}

/// The words of the history that say that a group's owner changed, or that it has none.
const MOVES: [&str; 7] = [
    "placed",
    "takeover",
    "switchover",
    "restarted",
    "stranded",
    "displaced",
    "stopped",
];

impl Sums {
    fn add(&mut self, observer: &Observer, cluster: &Cluster, findings: &Findings) {
        self.sightings += findings.sightings;
        for (number, silence) in &findings.silences {
            let address = observer.places[*number].address.to_string();
            self.tally.silence(&address, silence.length());
        }
        let moved = findings
            .events
            .iter()
            .filter(|event| MOVES.contains(&event.kind.as_str()));
        let mut lapses: Vec<String> = moved
            .map(|event| format!("{} {}: {}", event.at, event.kind, event.text))
            .collect();
        for (number, from, to) in &findings.lapses {
            let place = &observer.places[*number];
            lapses.push(format!(
                "nobody used {} of {} for {} ms",
                place.address,
                place.group,
                ms(to - from)
            ));
            if self.lapses.is_empty() {
                let around = Chronicle::default().around(cluster, *from, *to);
                around.iter().for_each(|line| println!("    {line}"));
            }
        }
        lapses.iter().for_each(|lapse| println!("lapse: {lapse}"));
        self.lapses.extend(lapses);
        for (number, overlap) in &findings.overlaps {
            let text = format!("OVERLAP: {}: {overlap}", observer.places[*number].address);
            if self.overlaps.is_empty() {
                println!("{text}");
                findings
                    .turns
                    .iter()
                    .for_each(|turns| println!("    {turns}"));
            }
            self.overlaps.push(text);
        }
    }

    fn report(
        mut self,
        condition: Condition,
        scene: Scene,
        memory: &Memory,
        striker: &Striker,
        lost: u64,
    ) -> bool {
        println!(
            "\nsilences of a client of at least 5 ms, by address (each address is one row)\n{}",
            self.tally.table()
        );
        let (told, wrong) = memory.report();
        told.iter().for_each(|line| println!("memory: {line}"));
        striker
            .ended
            .iter()
            .for_each(|ended| println!("ended by itself: {ended}"));
        let (lapses, overlaps) = (self.lapses.len(), self.overlaps.len());
        println!(
            "{condition}: lapses {lapses}, overlaps {overlaps} (of {} sightings)",
            self.sightings
        );
        let mut broken: Vec<String> = wrong;
        if overlaps > 0 {
            broken.push(format!("{overlaps} overlaps"));
        }
        if lost > 0 {
            broken.push(format!("the sniffer lost {lost} frames: it proves nothing"));
        }
        match condition.permits(scene.realtime) {
            Some(most) if lapses > most => {
                broken.push(format!("{lapses} lapses, {most} are permitted"))
            }
            Some(_) => {}
            None => println!("without real-time priority lapses are told, not judged"),
        }
        broken.iter().for_each(|text| println!("VIOLATION: {text}"));
        broken.is_empty()
    }
}
