//! When to announce a group: a burst at once, then a slow refresh while it is owned. Pure; the adapter sends.

use std::collections::BTreeMap;
use std::time::Duration;

use had_core::ids::GroupName;
use tokio::time::Instant;

/// The pauses within a burst: five announcements in 750 ms. The first leaves at once; the later ones are for a frame that
/// was lost and for switches that still learn. RFC 5227 §2.3 sends two, two seconds apart, but there nobody waits.
const BURST_GAPS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];
/// Between refreshes, for hosts and switches that missed a burst or forgot: far below the minutes after which switches
/// forget a hardware address, and next to no traffic.
const REFRESH: Duration = Duration::from_secs(10);

/// The announced groups and when each is due.
#[derive(Default)]
pub(crate) struct Announcer {
    courses: BTreeMap<GroupName, Course>,
}

struct Course {
    sent: usize,
    due: Instant,
}

impl Announcer {
    /// Begins a burst, due at once; the refresh follows.
    pub(crate) fn begin(&mut self, group: &GroupName, now: Instant) {
        self.courses
            .insert(group.clone(), Course { sent: 0, due: now });
    }

    /// Begins a burst again where the group is announced.
    pub(crate) fn again(&mut self, group: &GroupName, now: Instant) {
        if self.is_on(group) {
            self.begin(group, now);
        }
    }

    /// One announcement at once where the group is announced; the rest of its course stays.
    pub(crate) fn once(&mut self, group: &GroupName, now: Instant) {
        if let Some(course) = self.courses.get_mut(group) {
            course.due = now;
        }
    }

    /// Ends every group that `keep` does not name.
    pub(crate) fn retain(&mut self, keep: impl Fn(&GroupName) -> bool) {
        self.courses.retain(|group, _| keep(group));
    }

    pub(crate) fn is_on(&self, group: &GroupName) -> bool {
        self.courses.contains_key(group)
    }

    /// The groups to announce now; each is put off to its next turn.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<GroupName> {
        let mut due = Vec::new();
        for (group, course) in &mut self.courses {
            if course.due <= now {
                course.due = now + BURST_GAPS.get(course.sent).copied().unwrap_or(REFRESH);
                course.sent = course.sent.saturating_add(1);
                due.push(group.clone());
            }
        }
        due
    }

    /// When [`Self::take_due`] has something next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.courses.values().map(|course| course.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds from the start at which the group was announced, until `end`.
    fn run(announcer: &mut Announcer, start: Instant, end: Duration) -> Vec<u128> {
        let mut times = Vec::new();
        while let Some(now) = announcer.next().filter(|next| *next < start + end) {
            for _ in announcer.take_due(now) {
                times.push((now - start).as_millis());
            }
        }
        times
    }

    #[test]
    fn a_burst_of_five_then_a_refresh() {
        let (mut announcer, start) = (Announcer::default(), Instant::now());
        announcer.begin(&"web".into(), start);
        let times = run(&mut announcer, start, Duration::from_secs(25));
        assert_eq!(times, [0, 50, 150, 350, 750, 10_750, 20_750]);
    }

    #[test]
    fn ended_is_silent_and_only_an_announced_group_bursts_again() {
        let (mut announcer, start, web) = (Announcer::default(), Instant::now(), "web".into());
        announcer.again(&web, start);
        announcer.once(&web, start);
        assert_eq!(announcer.next(), None);
        announcer.begin(&web, start);
        run(&mut announcer, start, Duration::from_secs(5));
        announcer.again(&web, start + Duration::from_secs(5));
        let times = run(&mut announcer, start, Duration::from_secs(6));
        assert_eq!(times, [5_000, 5_050, 5_150, 5_350, 5_750]);
        announcer.retain(|group| *group != web);
        assert_eq!(announcer.next(), None);
    }
}
