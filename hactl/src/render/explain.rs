//! Why a group is where it is, as a colleague would say it.

use had_core::explain::{CandidateLine, Explanation, VerdictWord};
use had_core::status::GroupCondition;

use super::table::lines;
use super::{Moment, render_notes};

/// What the group does and why; why not elsewhere, and what would have to change; what else one should know.
pub(crate) fn render(explanation: &Explanation, moment: &Moment, width: Option<u16>) -> String {
    let mut parts = vec![
        format!(
            "{}\n{}\n",
            headline(explanation, moment),
            sentence(&explanation.text)
        ),
        candidates(explanation, width),
        notes(explanation) + &seen(explanation, moment) + "\n",
    ];
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// "web runs on h2 since 11:00:03 (epoch 12).", "At 03:12:00 web ran on h1, since 02:00:00 (epoch 11)."
fn headline(explanation: &Explanation, moment: &Moment) -> String {
    let Explanation { group, epoch, .. } = explanation;
    let owner = explanation.owner.as_ref();
    let on = owner.map_or(String::new(), |owner| format!(" on {owner}"));
    let verb = verb(explanation.state, explanation.past);
    let what = match (explanation.state, owner) {
        (GroupCondition::Unknown, None) => {
            return format!("{} cannot know what {group} does now.", explanation.node);
        }
        (GroupCondition::Unknown, Some(owner)) => {
            format!("{group} belongs to {owner}, which does not say what it does with it,")
        }
        (GroupCondition::Starting, None) => format!("{group} runs nowhere yet"),
        (
            GroupCondition::Running
            | GroupCondition::Starting
            | GroupCondition::Stopping
            | GroupCondition::Failed
            | GroupCondition::Stopped
            | GroupCondition::Displaced,
            _,
        ) => format!("{group} {verb}{on}"),
    };
    let at = if explanation.past {
        format!("At {} ", moment.clock(explanation.at))
    } else {
        String::new()
    };
    match explanation.since.0 {
        0 => format!("{at}{what}."),
        _ => format!(
            "{at}{what} since {} (epoch {epoch}).",
            moment.clock(explanation.since)
        ),
    }
}

/// Clauses as the planner puts them, made a sentence of; names keep their letters.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    let text = match text.split_once(' ') {
        Some(("it", rest)) => format!("It {rest}"),
        Some(("this", rest)) => format!("This {rest}"),
        _ => text.to_owned(),
    };
    if text.ends_with(['.', '!', '?']) {
        text
    } else {
        text + "."
    }
}

fn verb(state: GroupCondition, past: bool) -> &'static str {
    match (state, past) {
        (GroupCondition::Running, false) => "runs",
        (GroupCondition::Running, true) => "ran",
        (GroupCondition::Starting, false) => "is starting",
        (GroupCondition::Starting, true) => "was starting",
        (GroupCondition::Stopping, false) => "is stopping",
        (GroupCondition::Stopping, true) => "was stopping",
        (GroupCondition::Stopped, false) => "has been down",
        (GroupCondition::Stopped, true) => "had been down",
        (GroupCondition::Failed, false) => "has failed",
        (GroupCondition::Failed, true) => "had failed",
        (GroupCondition::Displaced, false) => "has been displaced",
        (GroupCondition::Displaced, true) => "had been displaced",
        (GroupCondition::Unknown, _) => "is not known",
    }
}

/// "Not on h1:  priority 200  is drained; to change that: `hactl node resume h1`".
fn candidates(explanation: &Explanation, width: Option<u16>) -> String {
    let line = |candidate: &CandidateLine| {
        let place = match candidate.verdict {
            VerdictWord::Owner => format!("On {}:", candidate.node),
            VerdictWord::Standby | VerdictWord::Refused => format!("Not on {}:", candidate.node),
        };
        [place, candidate.rank.clone(), why(explanation, candidate)]
    };
    lines(explanation.candidates.iter().map(line).collect(), width)
}

/// Why a node has the group or not, and what would change that. Nothing is said twice: what the sentence above says
/// already is left out.
fn why(explanation: &Explanation, candidate: &CandidateLine) -> String {
    let CandidateLine { why, verdict, .. } = candidate;
    if *verdict == VerdictWord::Owner && explanation.text.contains(why) {
        return String::new();
    }
    // What would have changed it then is no advice now.
    match candidate.change.as_ref().filter(|_| !explanation.past) {
        Some(change) if change.starts_with("when ") => format!("{why}; that changes {change}"),
        Some(change) => format!("{why}; to change that: {change}"),
        None => why.clone(),
    }
}

fn notes(explanation: &Explanation) -> String {
    let mut notes = explanation.notes.clone();
    if let Some(pinned) = &explanation.pinned {
        let group = &explanation.group;
        notes.push(format!(
            "{group} is pinned to {pinned} until `hactl failback {group}`"
        ));
    }
    render_notes(&notes)
}

/// Who says so, and how old it is.
fn seen(explanation: &Explanation, moment: &Moment) -> String {
    let Explanation { node, as_of, .. } = explanation;
    let (at, age) = (moment.millis(*as_of), moment.age(*as_of));
    match (explanation.quorate, as_of.0) {
        (true, _) => format!("as {node} saw it at {at}, {age} ago"),
        (false, 0) => format!("NO QUORUM: {node} has not seen a majority yet"),
        (false, _) => format!("NO QUORUM: {node} saw the majority last at {at}, {age} ago"),
    }
}
