//! After the faults: commands are undone, and it is waited until every group serves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use had_rig::cluster::Status;
use had_rig::wall::{WallNs, wall_ns};

use super::observe::Observer;
use super::strike::Striker;

/// Every group that may run serves again so long after the last fault's end.
pub const PROMISED: Duration = Duration::from_secs(2);
/// What has not healed by then will not.
const LIMIT: Duration = Duration::from_secs(20);
/// For so long everything must stand before the next faults: two leases after which `failback = "auto"` moves, and a lease.
const QUIET: Duration = Duration::from_millis(1000);
/// How often a node is asked how things stand.
const LOOK: Duration = Duration::from_millis(100);
/// How often daemons are looked after, and addresses.
const TICK: Duration = Duration::from_millis(10);

/// From when on the cluster had to heal.
#[derive(Clone, Debug)]
pub struct Due {
    /// When the last fault ended.
    pub end: WallNs,
    /// Groups for which a command had to be undone after that: when that was acknowledged.
    pub undone: BTreeMap<String, WallNs>,
    /// What does not heal, in words.
    pub failed: Option<String>,
}

impl Due {
    /// From when on a group had to serve.
    #[must_use]
    pub fn of(&self, group: &str) -> WallNs {
        self.undone.get(group).copied().unwrap_or(self.end)
    }
}

/// Undoes and waits. `attend` is called all the while.
///
/// # Errors
/// Where a daemon cannot be started.
pub fn heal(
    striker: &mut Striker,
    observer: &Observer,
    mut attend: impl FnMut(&mut Striker) -> Result<()>,
) -> Result<Due> {
    let start = Instant::now();
    let mut due = Due {
        end: wall_ns(),
        undone: BTreeMap::new(),
        failed: None,
    };
    let (mut since, mut looked): (Option<Instant>, Option<Instant>) = (None, None);
    let mut why = String::new();
    loop {
        attend(striker)?;
        let silent = silent(observer);
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            let stands = look(striker, &mut due)?;
            looked = Some(Instant::now());
            match stands {
                Ok(()) if silent.is_none() => drop(since.get_or_insert_with(Instant::now)),
                Ok(()) => (since, why) = (None, silent.clone().unwrap_or_default()),
                Err(text) => (since, why) = (None, text),
            }
        }
        if silent.is_some() {
            since = None;
        }
        if since.is_some_and(|since| since.elapsed() >= QUIET) {
            return Ok(due);
        }
        if start.elapsed() > LIMIT {
            due.failed = Some(why);
            return Ok(due);
        }
        std::thread::sleep(TICK);
    }
}

/// An address that does not answer.
fn silent(observer: &Observer) -> Option<String> {
    let mut places = observer.places.iter().enumerate();
    let silent = places.find(|(number, _)| observer.answers(*number).is_none());
    silent.map(|(_, place)| format!("{} of {} does not answer", place.address, place.group))
}

/// Looks whether every node says that everything stands; undoes what commands have left. What is wrong, in words.
fn look(striker: &mut Striker, due: &mut Due) -> Result<Result<(), String>> {
    if !striker.commands_ended()? {
        return Ok(Err("a command of the operator goes on".to_owned()));
    }
    for node in striker.cluster.names() {
        let status = match striker.cluster.status(&node) {
            Ok(Some(status)) => status,
            Ok(None) => return Ok(Err(format!("no daemon answers on {node}"))),
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        let wishes = undoing(&status);
        if status.quorate && status.leader.is_some() && !wishes.is_empty() {
            for wish in wishes {
                wish.fulfil(striker, &node, due)?;
            }
            return Ok(Err("commands were undone".to_owned()));
        }
        if !status.is_settled() || status.nodes.iter().any(|node| node.state != "online") {
            return Ok(Err(format!("{node} says: {status}")));
        }
    }
    Ok(Ok(()))
}

/// A command that undoes another.
struct Wish {
    words: Vec<String>,
    /// Which group it brings up; where it is none, all of those that are down.
    group: Option<String>,
    all: Vec<String>,
}

/// What an operator must take back so that everything may run where its scheme wants it.
fn undoing(status: &Status) -> Vec<Wish> {
    // What runs has nothing to heal.
    let down = status
        .groups
        .iter()
        .filter(|group| group.state != "running");
    let all: Vec<String> = down.map(|group| group.name.clone()).collect();
    let wish = |words: &[&str], group: Option<&str>| Wish {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        group: group.map(str::to_owned),
        all: all.clone(),
    };
    let mut wishes = Vec::new();
    if status.maintenance {
        wishes.push(wish(&["maintenance", "off"], None));
    }
    let drained = status.nodes.iter().filter(|node| node.state == "drained");
    wishes.extend(drained.map(|node| wish(&["node", "resume", &node.name], None)));
    for group in &status.groups {
        let name = Some(group.name.as_str());
        if group.maintenance && !status.maintenance {
            wishes.push(wish(&["maintenance", "off", &group.name], name));
        } else if group.state == "stopped" {
            wishes.push(wish(&["group", "start", &group.name], name));
        } else if group.pinned.is_some() {
            wishes.push(Wish {
                words: vec!["failback".to_owned(), group.name.clone()],
                group: None,
                all: Vec::new(),
            });
        }
    }
    wishes
}

impl Wish {
    /// One that is refused is wished again at the next look.
    fn fulfil(&self, striker: &mut Striker, node: &str, due: &mut Due) -> Result<()> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        if striker.cluster.hactl(node, &words)?.status.success() {
            let now = wall_ns();
            match &self.group {
                Some(group) => drop(due.undone.insert(group.clone(), now)),
                None => due
                    .undone
                    .extend(self.all.iter().map(|group| (group.clone(), now))),
            }
        }
        Ok(())
    }
}
