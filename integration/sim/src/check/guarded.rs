//! Behind S1 a second line: no address stays on a host for longer than a bound after its gate has fallen shut, whatever
//! became of the daemon. The guard takes it off where the daemon is dead, frozen or starved; and none whose gate is open.
//!
//! Counted is only the time in which the host itself runs and its guard is there. Groups of which an operator takes care are
//! left out, and while a daemon lives what it inherited and has said nothing of yet: it may be in an operator's care.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use had_core::guard::BOUND;
use had_core::ids::GroupName;
use had_core::time::BootTime;

use super::Violation;

/// Addresses that should be gone, and for how long their hosts have run since.
#[derive(Debug, Default)]
pub struct Guarded(BTreeMap<usize, BTreeMap<GroupName, Duration>>);

impl Guarded {
    /// A running host has addresses of exactly these groups although their gates are shut and nobody is about to take them
    /// off; `passed` since it was last looked.
    ///
    /// # Errors
    /// Where one has been there for too long.
    pub fn look(
        &mut self,
        host: usize,
        over: BTreeSet<GroupName>,
        passed: Duration,
    ) -> Result<(), Violation> {
        let former = self.0.remove(&host).unwrap_or_default();
        let lasts = |group: GroupName| {
            let before = former.get(&group);
            let lasts = before.map_or(Duration::ZERO, |before| *before + passed);
            (group, lasts)
        };
        let now: BTreeMap<_, _> = over.into_iter().map(lasts).collect();
        let late = now.iter().find(|(_, lasts)| **lasts > BOUND);
        let late = late.map(|(group, lasts)| Violation {
            check: "guarded",
            text: format!(
                "host {} has an address of {group} {lasts:?} after its gate fell shut",
                host + 1
            ),
        });
        self.0.insert(host, now);
        late.map_or(Ok(()), Err)
    }

    /// The guard takes the addresses of a group off whose gate is open until then.
    ///
    /// # Errors
    /// Where they are granted still.
    pub fn taken_off(
        host: usize,
        group: &GroupName,
        until: BootTime,
        now: BootTime,
    ) -> Result<(), Violation> {
        if until <= now {
            return Ok(());
        }
        Err(Violation {
            check: "guarded",
            text: format!(
                "the guard of host {} takes the addresses of {group} off, granted for another {:?}",
                host + 1,
                until.since(now)
            ),
        })
    }

    /// A host lost its power, and its addresses with it.
    pub fn power_lost(&mut self, host: usize) {
        self.0.remove(&host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_not_taken_off() {
        let taken =
            |until, now| Guarded::taken_off(0, &"web".into(), BootTime(until), BootTime(now));
        assert!(taken(7, 6).is_err());
        assert!(taken(7, 7).is_ok() && taken(0, 7).is_ok());
    }

    #[test]
    fn an_address_must_be_gone_a_while_after_its_gate_fell_shut() {
        let step = BOUND / 4;
        let mut check = Guarded::default();
        let mut look = |here: bool| {
            let over = here.then(|| GroupName::from("web")).into_iter().collect();
            check.look(0, over, step).is_ok()
        };
        assert!((0..5).all(|_| look(true)), "up to the bound");
        assert!(look(false) && look(true), "gone in between");
        assert!((0..4).all(|_| look(true)));
        assert!(!look(true));
        check.power_lost(0);
        let over = BTreeSet::from([GroupName::from("web")]);
        assert_eq!(check.look(0, over, BOUND * 2), Ok(()));
    }
}
