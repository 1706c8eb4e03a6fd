//! Part of L2: a leader lost alone is not noticed by any client. No open gate lapses before it is renewed.

use std::time::Duration;

use had_core::ids::GroupName;
use had_core::time::BootTime;

use super::Violation;

/// Watches gates for lapses, where nothing but leaders is lost.
#[derive(Debug, Default)]
pub struct NoLapse {
    watching: bool,
    closest: Option<Duration>,
}

impl NoLapse {
    /// What an open gate had left when it was written, where that was least.
    #[must_use]
    pub fn closest(&self) -> Option<Duration> {
        self.closest
    }

    /// From now on no gate may lapse.
    pub fn watch(&mut self) {
        self.watching = true;
    }

    /// A gate whose deadline was `former` is written at `now`. A gate that was shut has the deadline zero.
    ///
    /// # Errors
    /// Where it had lapsed.
    pub fn written(
        &mut self,
        group: &GroupName,
        former: BootTime,
        now: BootTime,
    ) -> Result<(), Violation> {
        if !self.watching || former == BootTime::ZERO {
            return Ok(());
        }
        let left = former.since(now);
        self.closest = Some(self.closest.map_or(left, |closest| closest.min(left)));
        if former > now {
            return Ok(());
        }
        let text = format!(
            "the gate of {group} had lapsed for {:?} when it was written",
            now.since(former)
        );
        Err(Violation {
            check: "no_lapse",
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_written_after_its_deadline_had_lapsed_and_a_shut_one_had_not() {
        let mut check = NoLapse::default();
        let group = GroupName::from("web");
        assert_eq!(
            check.written(&group, BootTime(5), BootTime(9)),
            Ok(()),
            "nobody watches"
        );
        check.watch();
        assert!(check.written(&group, BootTime(5), BootTime(9)).is_err());
        assert_eq!(check.written(&group, BootTime(10), BootTime(9)), Ok(()));
        assert_eq!(check.written(&group, BootTime::ZERO, BootTime(9)), Ok(()));
    }
}
