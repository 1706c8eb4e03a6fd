//! What a node writes into its log: the cluster's history and what its own groups do, so that one log tells a takeover.

use super::Node;
use crate::ports::{Command, Level};
use crate::state::State;

/// So many lines of one kind at once, then how many more there are: hundreds of groups may move in one decision.
const LINES: usize = 8;

impl Node {
    /// Writes what an entry adds to the history. What a daemon that has just started catches up with is no news.
    pub(super) fn tell_news(&self, next: &State, out: &mut Vec<Command>) {
        if !self.was_leased {
            return;
        }
        let newest = next.events.iter().rev();
        let news = newest.take_while(|event| event.number > self.state.last_event);
        let mut news: Vec<String> = news.map(|event| event.text.clone()).collect();
        news.reverse();
        tell(news, "`hactl events` has them", out);
    }
}

/// Writes lines of one kind, not all where there are many.
pub(super) fn tell(lines: Vec<String>, elsewhere: &str, out: &mut Vec<Command>) {
    let more = lines.len().saturating_sub(LINES);
    let rest = (more > 0).then(|| format!("and {more} more like these; {elsewhere}"));
    let lines = lines.into_iter().take(LINES).chain(rest);
    out.extend(lines.map(|text| Command::Log {
        level: Level::Info,
        text,
    }));
}
