//! Says the same thing once a minute, however often it happens.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use tracing::{debug, warn};

use super::bounds::{COMPLAINT_INTERVAL, COMPLAINTS_MAX};

/// What was said lately, by what it is about.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    said: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl Complaints {
    /// A warning, unless the same text was given about the same thing within the interval.
    pub(crate) fn warn(&self, about: &str, text: impl FnOnce() -> String) {
        let text = text();
        if self.is_new(about, &text, Instant::now()) {
            warn!("{text}");
        } else {
            debug!("{text}");
        }
    }

    /// The thing is well again: the next complaint about it is new.
    pub(crate) fn clear(&self, about: &str) {
        self.said
            .lock()
            .expect("nothing panics while it holds the complaints")
            .remove(about);
    }

    fn is_new(&self, about: &str, text: &str, now: Instant) -> bool {
        let mut said = self
            .said
            .lock()
            .expect("nothing panics while it holds the complaints");
        if let Some((at, old)) = said.get(about)
            && old == text
            && now.duration_since(*at) < COMPLAINT_INTERVAL
        {
            return false;
        }
        if said.len() >= COMPLAINTS_MAX
            && let Some(oldest) = said
                .iter()
                .min_by_key(|(_, (at, _))| *at)
                .map(|(key, _)| key.clone())
        {
            said.remove(&oldest);
        }
        said.insert(about.to_owned(), (now, text.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_same_sentence_is_said_once_a_minute_and_another_at_once() {
        let complaints = Complaints::default();
        let now = Instant::now();
        assert!(complaints.is_new("h2", "other version", now));
        assert!(!complaints.is_new("h2", "other version", now + Duration::from_secs(59)));
        assert!(complaints.is_new("h2", "other cluster", now + Duration::from_secs(59)));
        assert!(complaints.is_new("h3", "other version", now));
        assert!(complaints.is_new("h2", "other cluster", now + Duration::from_secs(120)));
        complaints.clear("h3");
        assert!(complaints.is_new("h3", "other version", now));
    }

    #[test]
    fn the_memory_is_bounded() {
        let complaints = Complaints::default();
        for number in 0..COMPLAINTS_MAX * 2 {
            complaints.is_new(&number.to_string(), "x", Instant::now());
        }
        assert_eq!(complaints.said.lock().unwrap().len(), COMPLAINTS_MAX);
    }
}
