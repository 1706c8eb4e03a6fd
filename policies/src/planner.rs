//! Where every group should be: one group after the other, in rounds.
//!
//! A round plans each group once, in the planning order. What is planned counts where it was planned, the rest where it
//! stands. So a group may miss a node that a later one leaves in the same round; therefore rounds are repeated, each
//! from where the last one led, until nothing moves. That end is always reached: an owner is judged only against what
//! is planned before it, so the first group in the order that a further round moves can only get something better (an
//! owner where it had none, a node that it need not leave, one that its scheme prefers), and nothing before it changes.
//!
//! Where that led is then decided once more from the owners as they are, so that every reason tells of one move.

use std::rc::Rc;
use std::time::Duration;

use crate::choice::{Choice, choose};
use crate::degraded;
use crate::names::NodeName;
use crate::order;
use crate::places::Places;
use crate::plan::Plan;
use crate::relations::Relations;
use crate::report;
use crate::scheme;
use crate::view::View;

/// Decides where every group should be. Planning again after the plan was carried out moves nothing.
#[must_use]
pub fn plan(view: &View) -> Plan {
    let rules = Rules::of(view);
    let (choices, again_in) = settle(view, &rules);
    let owners = owners_of(&choices);
    let mut places = Places::standing(view, &rules.relations, &rules.order, &owners);
    for (index, owner) in owners.iter().enumerate() {
        places.settle(index, owner.as_ref());
    }
    let choices = choices.into_iter().enumerate();
    Plan {
        decisions: choices
            .map(|(index, choice)| report::decision(&places, index, choice))
            .collect(),
        again_in,
        degraded: degraded::of(view, &owners),
    }
}

/// What the groups have to do with each other, and the order in which they are planned.
struct Rules {
    relations: Rc<Relations>,
    order: Vec<usize>,
}

impl Rules {
    fn of(view: &View) -> Self {
        let relations = Rc::new(Relations::of(view));
        Self {
            order: order::planning(view, &relations),
            relations,
        }
    }
}

/// Choices after which nothing moves, and when time alone would change that.
fn settle(view: &View, rules: &Rules) -> (Vec<Choice>, Option<Duration>) {
    let first = round(view, rules, &owners(view));
    if owners_of(&first) == owners(view) {
        let again_in = first.iter().filter_map(|choice| choice.again_in).min();
        return (first, again_in);
    }
    let (end, trail) = follow(view, rules);
    let mut ends = owners(&end);
    for _ in 0..TELLINGS {
        let told = round(view, rules, &ends);
        let reached = owners_of(&told);
        if reached == ends
            && let Some(again_in) = rests(&carried_out(view, &told), rules)
        {
            let told = told.into_iter().zip(trail);
            return (
                told.map(|(told, step)| truer(told, step)).collect(),
                again_in,
            );
        }
        ends = reached;
    }
    let again_in = rests(&end, rules).unwrap_or_default();
    (trail, again_in)
}

/// What moved in one step moved for the cause and the reason of that step, not because another group came after it had
/// gone.
fn truer(told: Choice, step: Choice) -> Choice {
    let one_step = !step.stepwise && step.cause.is_some() && step.owner == told.owner;
    if one_step { step } else { told }
}

/// Where the rounds led is told as one move each. If that leads elsewhere, and nothing moves from there either, the
/// shorter way is taken; else each group keeps the reason of its last step.
const TELLINGS: usize = 2;

/// Rounds until nothing moves: the view at the end, and for each group the last step that it made.
fn follow(view: &View, rules: &Rules) -> (View, Vec<Choice>) {
    let mut now = view.clone();
    let mut trail: Vec<Choice> = Vec::new();
    for _ in 0..=rounds(view) {
        let next = round(&now, rules, &owners(&now));
        let moves = owners_of(&next) != owners(&now);
        now = carried_out(&now, &next);
        if trail.is_empty() {
            trail = next;
        } else if moves {
            for (step, next) in trail.iter_mut().zip(next) {
                step.then(next);
            }
        }
        if !moves {
            break;
        }
    }
    (now, trail)
}

/// More rounds than any cluster needs: in each of them some group gets something better.
fn rounds(view: &View) -> usize {
    view.groups.len() * (view.nodes.len() + 2)
}

/// Decides every group once. Those that are not yet decided count at `standing`.
fn round(view: &View, rules: &Rules, standing: &[Option<NodeName>]) -> Vec<Choice> {
    let mut places = Places::standing(view, &rules.relations, &rules.order, standing);
    let mut choices: Vec<Option<Choice>> = vec![None; view.groups.len()];
    for &index in &rules.order {
        let choice = choose(&places, index);
        places.settle(index, choice.owner.as_ref());
        choices[index] = Some(choice);
    }
    choices.into_iter().flatten().collect()
}

/// `None` where a round would move something, else when time alone would.
fn rests(view: &View, rules: &Rules) -> Option<Option<Duration>> {
    let owners = owners(view);
    let choices = round(view, rules, &owners);
    let again_in = choices.iter().filter_map(|choice| choice.again_in).min();
    (owners_of(&choices) == owners).then_some(again_in)
}

/// The view once every choice is carried out.
fn carried_out(view: &View, choices: &[Choice]) -> View {
    let mut after = view.clone();
    for (group, choice) in after.groups.iter_mut().zip(choices) {
        scheme::rotate(view, group, choice.owner.clone());
    }
    after
}

fn owners(view: &View) -> Vec<Option<NodeName>> {
    let owners = view.groups.iter().map(|group| group.owner.clone());
    owners.collect()
}

fn owners_of(choices: &[Choice]) -> Vec<Option<NodeName>> {
    choices.iter().map(|choice| choice.owner.clone()).collect()
}
