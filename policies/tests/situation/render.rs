//! How a situation's answers are written down.

use std::fmt::{Display, Write};

use had_policies::names::NodeName;
use had_policies::{
    Decision, Degraded, FateState, Idle, Outage, Plan, Refused, Scenario, Seats, Target, Verdict,
    View, failback, failover, forecast, lint, next, plan,
};

use super::{Ask, Situation};

/// The plan, then the answers to what is asked.
pub(crate) fn render(situation: &Situation) -> String {
    let view = &situation.view;
    let planned = plan(view);
    assert_eq!(lint(view, &planned), Vec::<String>::new());
    let Plan {
        decisions,
        again_in,
        degraded,
    } = planned;
    let mut text = String::new();
    let mut after = view.clone();
    for (decision, group) in decisions.iter().zip(&mut after.groups) {
        group.owner.clone_from(&decision.owner);
        group
            .queue
            .retain(|node| group.owner.as_ref() != Some(node));
    }
    for (decision, group) in decisions.iter().zip(&view.groups) {
        text += &self::decision(decision, group.owner.as_ref());
        let order = next(&after, &group.name);
        writeln!(text, "  then next: {}", or_nobody(&list(&order))).unwrap();
    }
    if let Some(wait) = again_in {
        writeln!(text, "plan again in {} s", wait.as_secs_f64()).unwrap();
    }
    text += &marks("", &degraded);
    for ask in &situation.asks {
        writeln!(text, "{}", answer(view, ask)).unwrap();
    }
    for (seats, scenario) in &situation.forecasts {
        text += &told(view, seats, scenario);
    }
    text
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

fn or_nobody(text: &str) -> &str {
    if text.is_empty() { "nobody" } else { text }
}

fn name(owner: Option<&NodeName>) -> &str {
    owner.map_or("nobody", NodeName::as_str)
}

fn decision(decision: &Decision, before: Option<&NodeName>) -> String {
    let mut text = String::new();
    let (before, after) = (name(before), name(decision.owner.as_ref()));
    let Decision { group, reason, .. } = decision;
    match decision.cause {
        Some(cause) => writeln!(text, "{group}: {before} -> {after}, because {cause}").unwrap(),
        None => writeln!(text, "{group}: {after} stays").unwrap(),
    }
    match &decision.idle {
        Some(Idle::Stopped) => writeln!(text, "  idle: stopped").unwrap(),
        Some(Idle::Displaced { by }) => {
            writeln!(text, "  idle: displaced by {}", list(by)).unwrap()
        }
        Some(Idle::Maintenance) => writeln!(text, "  idle: in maintenance").unwrap(),
        Some(Idle::NoCandidate) => writeln!(text, "  idle: no node may take it now").unwrap(),
        None => {}
    }
    writeln!(text, "  reason: {reason}").unwrap();
    for one in &decision.candidates {
        let verdict = match &one.verdict {
            Verdict::Chosen => "chosen".to_owned(),
            Verdict::Standby { why, change } => {
                let change = change.as_deref().unwrap_or("nothing helps");
                format!("standby: {why} [{change}]")
            }
            Verdict::Vetoed(vetoes) => {
                let told = vetoes
                    .iter()
                    .map(|veto| format!("{veto} [{}]", veto.change(group, &one.node)));
                format!("vetoed: {}", told.collect::<Vec<_>>().join("; "))
            }
        };
        writeln!(text, "  {} ({}) {verdict}", one.node, one.rank).unwrap();
    }
    text
}

fn marks(indent: &str, degraded: &[Degraded]) -> String {
    let marks = degraded.iter().map(|mark| {
        let Degraded {
            node,
            groups,
            reason,
        } = mark;
        format!("{indent}degraded: {node} with {}: {reason}\n", list(groups))
    });
    marks.collect()
}

fn answer(view: &View, ask: &Ask) -> String {
    let told = |target: Result<Option<Target>, Refused>| match target {
        Ok(None) => "nothing to move; a pin ends".to_owned(),
        Ok(Some(Target { node, pin, reason })) => {
            let pin = if pin { ", pinned" } else { "" };
            format!("to {node}{pin}: {reason}")
        }
        Err(refused) => format!("refused: {refused}"),
    };
    match ask {
        Ask::Failover { group, to } => {
            let wish = to
                .as_ref()
                .map(|to| format!(" --to {to}"))
                .unwrap_or_default();
            let target = told(failover(view, group, to.as_ref()).map(Some));
            format!("failover {group}{wish} {target}")
        }
        Ask::Failback { group } => format!("failback {group} {}", told(failback(view, group))),
    }
}

fn told(view: &View, seats: &Seats, scenario: &Scenario) -> String {
    let what = match scenario {
        Scenario::Lose(nodes) => format!("--lose {}", list(nodes)),
        Scenario::Split(parts) => {
            let parts: Vec<String> = parts.iter().map(|part| list(part)).collect();
            format!("--split {}", parts.join(" / "))
        }
    };
    let mut text = format!("simulate {what}\n");
    let forecast = match forecast(view, seats, scenario) {
        Ok(forecast) => forecast,
        Err(refused) => return format!("{text}  refused: {refused}\n"),
    };
    writeln!(text, "  {}", forecast.summary).unwrap();
    writeln!(text, "  majority: {}", or_nobody(&list(&forecast.goes_on))).unwrap();
    for fate in &forecast.groups {
        let (before, after) = (name(fate.before.as_ref()), name(fate.after.as_ref()));
        let outage = match fate.outage {
            Outage::None => "no outage".to_owned(),
            Outage::UpTo { typical, most } => {
                format!(
                    "out for {}, at most {} ms",
                    typical.as_millis(),
                    most.as_millis()
                )
            }
            Outage::Lasting if fate.state == FateState::Maintenance => {
                "out until maintenance ends".to_owned()
            }
            Outage::Lasting => "out for as long as this lasts".to_owned(),
        };
        let state = match fate.state {
            FateState::Runs => "runs",
            FateState::Displaced => "gives way",
            FateState::Stopped => "is down",
            FateState::Maintenance => "is down in maintenance",
            FateState::NoQuorum => "stops for lack of a majority",
            FateState::Keeps => "goes on without a majority",
        };
        writeln!(
            text,
            "  {}: {before} -> {after}, {state}, {outage}: {}",
            fate.group, fate.why
        )
        .unwrap();
    }
    text += &marks("  ", &forecast.degraded);
    for note in &forecast.notes {
        writeln!(text, "  note: {note}").unwrap();
    }
    text
}
