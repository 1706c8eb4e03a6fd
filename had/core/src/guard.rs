//! When the guard ends what a node had up for a group.
//!
//! The guard is a process beside the daemon, and outlives it: killed, frozen or out of memory, the daemon cannot take its
//! addresses off, and the guard does. It watches the same deadlines as the gate and shares nothing else with the daemon.
//! The gate silences an address at its deadline; the guard takes it off within [`BOUND`] after.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::GroupName;
use crate::time::BootTime;

/// A daemon that runs stands down by itself at the deadline, in a few milliseconds; the guard leaves it this long.
pub const GRACE: Duration = Duration::from_millis(10);

/// Everything that the guard ends is ended so long after the deadline: [`GRACE`], its own waking, and the kernel's work. Not
/// while the host itself stands still.
pub const BOUND: Duration = Duration::from_millis(100);

/// What the guard knows of the daemon: whether its end of the line is still held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Daemon {
    /// It runs, or is frozen.
    Lives,
    /// Its process has ended.
    Gone,
}

/// Who ends a group at its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Care {
    /// The guard, whatever became of the daemon.
    Guards,
    /// The daemon while it lives: what a killed life left may be in maintenance, which the first lease tells. After it the
    /// guard.
    Inherits,
}

/// One group that the guard watches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// Its name.
    pub group: GroupName,
    /// Its word in the ledger, which says until when it is open: [`BootTime::ZERO`] where it was shut.
    pub place: u32,
    /// What to take off.
    pub addresses: Vec<IpAddr>,
    /// Who does so.
    pub care: Care,
}

/// Who takes care of each group's addresses, as the daemon knows.
#[derive(Clone, Default, Debug)]
pub struct Cares {
    /// An operator does: they stay.
    hands_off: BTreeSet<GroupName>,
    /// A killed life left them open, and the core has said nothing of them yet.
    inherited: BTreeSet<GroupName>,
}

impl Cares {
    /// A killed life left these open.
    #[must_use]
    pub fn inheriting(groups: BTreeSet<GroupName>) -> Self {
        Self {
            hands_off: BTreeSet::new(),
            inherited: groups,
        }
    }

    /// The core says whether an operator takes care of a group; whether that changes what the guard is to know.
    pub fn hands_off(&mut self, group: &GroupName, on: bool) -> bool {
        let changed = if on {
            self.hands_off.insert(group.clone())
        } else {
            self.hands_off.remove(group)
        };
        self.inherited.remove(group) | changed
    }

    /// Who ends a group at its deadline; nobody where an operator takes care of it.
    #[must_use]
    pub fn of(&self, group: &GroupName) -> Option<Care> {
        if self.hands_off.contains(group) {
            None
        } else if self.inherited.contains(group) {
            Some(Care::Inherits)
        } else {
            Some(Care::Guards)
        }
    }
}

/// What the guard watches, and what it has ended.
#[derive(Clone, Default, Debug)]
pub struct Watch {
    charges: Vec<Charge>,
    /// At which deadline, and what was known of the daemon: when it is gone, everything is looked at once more.
    ended: BTreeMap<GroupName, (BootTime, Daemon)>,
}

/// A group that is to be ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// What to end.
    pub charge: Charge,
    /// The deadline that has passed.
    pub until: BootTime,
    /// What is known of the daemon.
    pub daemon: Daemon,
}

impl Watch {
    /// Watches these, and no others.
    pub fn charge(&mut self, charges: Vec<Charge>) {
        self.charges = charges;
    }

    /// Whether it watches anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.charges.is_empty()
    }

    /// What is to be ended now, and when to look again: something may have been renewed by then. `ledger` reads a group's
    /// word.
    #[must_use]
    pub fn look(
        &self,
        ledger: impl Fn(&Charge) -> BootTime,
        daemon: Daemon,
        now: BootTime,
    ) -> (Vec<Due>, Option<BootTime>) {
        let (mut due, mut next) = (Vec::new(), None::<BootTime>);
        for charge in &self.charges {
            let until = ledger(charge);
            match judge(charge.care, until, daemon, now) {
                Verdict::End if self.ended.get(&charge.group) == Some(&(until, daemon)) => {}
                Verdict::End => due.push(Due {
                    charge: charge.clone(),
                    until,
                    daemon,
                }),
                Verdict::Look(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Verdict::Rest => {}
            }
        }
        (due, next)
    }

    /// It was ended. Nothing more is due of this group before it is opened anew.
    pub fn has_ended(&mut self, due: Due) {
        let Due {
            charge,
            until,
            daemon,
        } = due;
        self.ended.insert(charge.group, (until, daemon));
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// End it now.
    End,
    /// Look again at this moment.
    Look(BootTime),
    /// Nothing to do before the daemon says that it opened the group, or ends.
    Rest,
}

/// A daemon that lives and has shut the group takes it down itself, or keeps it prepared behind the shut gate. One that is
/// gone does nothing any more.
fn judge(care: Care, until: BootTime, daemon: Daemon, now: BootTime) -> Verdict {
    match daemon {
        Daemon::Lives if until == BootTime::ZERO || care == Care::Inherits => Verdict::Rest,
        Daemon::Gone if until == BootTime::ZERO => Verdict::End,
        _ if now < until + GRACE => Verdict::Look(until + GRACE),
        _ => Verdict::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: BootTime = BootTime(1_000_000_000);

    fn charge(group: &str, care: Care) -> Charge {
        Charge {
            group: group.into(),
            place: 0,
            addresses: Vec::new(),
            care,
        }
    }

    #[test]
    fn an_open_group_is_left_alone_until_a_moment_after_its_deadline() {
        let due = UNTIL + GRACE;
        let before = BootTime(due.0 - 1);
        for daemon in [Daemon::Lives, Daemon::Gone] {
            for now in [UNTIL, before] {
                assert_eq!(judge(Care::Guards, UNTIL, daemon, now), Verdict::Look(due));
            }
            assert_eq!(judge(Care::Guards, UNTIL, daemon, due), Verdict::End);
        }
    }

    #[test]
    fn what_a_living_daemon_has_shut_or_inherited_is_its_own_care_and_the_guards_after_it() {
        let late = UNTIL + BOUND;
        for (care, until) in [
            (Care::Guards, BootTime::ZERO),
            (Care::Inherits, BootTime::ZERO),
            (Care::Inherits, UNTIL),
        ] {
            assert_eq!(judge(care, until, Daemon::Lives, late), Verdict::Rest);
            assert_eq!(judge(care, until, Daemon::Gone, late), Verdict::End);
        }
    }

    #[test]
    fn what_is_inherited_is_the_daemons_until_the_core_has_spoken() {
        let group = GroupName::from("web");
        let mut cares = Cares::inheriting([group.clone()].into());
        assert_eq!(cares.of(&group), Some(Care::Inherits));
        assert_eq!(cares.of(&"mail".into()), Some(Care::Guards));
        assert!(cares.hands_off(&group, true));
        assert_eq!(cares.of(&group), None);
        assert!(cares.hands_off(&group, false) && !cares.hands_off(&group, false));
        assert_eq!(cares.of(&group), Some(Care::Guards));
        let mut cares = Cares::inheriting([group.clone()].into());
        assert!(cares.hands_off(&group, false), "no operator: the guard's");
        assert_eq!(cares.of(&group), Some(Care::Guards));
    }

    #[test]
    fn what_was_ended_is_ended_once_and_again_when_it_was_opened_since() {
        let mut watch = Watch::default();
        watch.charge(vec![
            charge("web", Care::Guards),
            charge("mail", Care::Guards),
        ]);
        let late = UNTIL + BOUND;
        let words = |web: BootTime| {
            move |charge: &Charge| {
                if charge.group.as_str() == "web" {
                    web
                } else {
                    late
                }
            }
        };
        let (due, next) = watch.look(words(UNTIL), Daemon::Lives, late);
        let groups: Vec<_> = due.iter().map(|due| due.charge.group.as_str()).collect();
        assert_eq!((groups, next), (vec!["web"], Some(late + GRACE)));
        due.into_iter().for_each(|due| watch.has_ended(due));
        let (due, _) = watch.look(words(UNTIL), Daemon::Lives, late);
        assert!(due.is_empty(), "{due:?}");
        let renewed = BootTime(UNTIL.0 + 1);
        let (due, _) = watch.look(words(renewed), Daemon::Lives, late);
        assert_eq!(due.len(), 1);
        // The daemon ends: whatever it did after that is nobody's, and so is what it had shut.
        let (due, _) = watch.look(words(UNTIL), Daemon::Gone, late);
        assert_eq!(due.len(), 1);
        due.into_iter().for_each(|due| watch.has_ended(due));
        let (due, _) = watch.look(words(UNTIL), Daemon::Gone, late);
        assert!(due.is_empty(), "{due:?}");
        let (due, _) = watch.look(words(BootTime::ZERO), Daemon::Gone, late);
        assert_eq!(due.len(), 1);
    }
}
