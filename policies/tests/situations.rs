//! Recorded situations: a folder each with `description.md`, `view.toml` and `expected.txt`.
//!
//! `HAD_REWRITE=1 cargo test -p had-policies` writes the expectations anew; read the difference before you commit it.

#![allow(missing_docs, clippy::unwrap_used)]

mod situation;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use had_policies::{
    Decision, Plan, Refused, Target, Verdict, View, failback, failover, next, plan,
};
use situation::Ask;

/// Fewer folders than this mean that the runner looks in the wrong place.
const AT_LEAST: usize = 25;

#[test]
fn every_recorded_situation_is_decided_as_expected() {
    let folders = folders();
    assert!(
        folders.len() >= AT_LEAST,
        "only {} situations found",
        folders.len()
    );
    let rewrite = std::env::var_os("HAD_REWRITE").is_some();
    let mut wrong = String::new();
    for folder in folders {
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            !read("description.md").trim().is_empty(),
            "{} is not told",
            folder.display()
        );
        let (view, asks) = situation::parse(&read("view.toml"));
        let actual = render(&view, &asks);
        if rewrite {
            std::fs::write(folder.join("expected.txt"), actual).unwrap();
        } else if read("expected.txt") != actual {
            let expected = read("expected.txt");
            writeln!(
                wrong,
                "{}\n--- expected\n{expected}--- decided\n{actual}",
                folder.display()
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations");
    let list = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let mut folders: Vec<PathBuf> = list(&root).iter().flat_map(|scheme| list(scheme)).collect();
    folders.sort();
    folders
}

fn render(view: &View, asks: &[Ask]) -> String {
    let Plan {
        decisions,
        again_in,
    } = plan(view);
    let mut text = String::new();
    for (decision, group) in decisions.iter().zip(&view.groups) {
        render_decision(
            &mut text,
            decision,
            group.owner.as_ref().map(ToString::to_string),
        );
        let order: Vec<String> = next(view, &group.name)
            .iter()
            .map(ToString::to_string)
            .collect();
        let order = if order.is_empty() {
            "nobody".to_owned()
        } else {
            order.join(", ")
        };
        writeln!(text, "  next: {order}").unwrap();
    }
    if let Some(wait) = again_in {
        writeln!(text, "plan again in {} ms", wait.as_millis()).unwrap();
    }
    for ask in asks {
        writeln!(text, "{}", answer(view, ask)).unwrap();
    }
    text
}

fn render_decision(text: &mut String, decision: &Decision, before: Option<String>) {
    let name = |owner: Option<String>| owner.unwrap_or_else(|| "nobody".to_owned());
    let before = name(before);
    let after = name(decision.owner.as_ref().map(ToString::to_string));
    let Decision { group, reason, .. } = decision;
    match decision.cause {
        Some(cause) => writeln!(text, "{group}: {before} -> {after}, because {cause}").unwrap(),
        None => writeln!(text, "{group}: {after} stays").unwrap(),
    }
    writeln!(text, "  reason: {reason}").unwrap();
    for candidate in &decision.candidates {
        let verdict = match &candidate.verdict {
            Verdict::Chosen => "chosen".to_owned(),
            Verdict::Standby(why) => format!("standby: {why}"),
            Verdict::Vetoed(vetoes) => {
                let vetoes: Vec<String> = vetoes.iter().map(ToString::to_string).collect();
                format!("vetoed: {}", vetoes.join("; "))
            }
        };
        writeln!(
            text,
            "  {} ({}) {verdict}",
            candidate.node, candidate.preference
        )
        .unwrap();
    }
}

fn answer(view: &View, ask: &Ask) -> String {
    let told = |target: Result<Option<Target>, Refused>| match target {
        Ok(None) => "nothing to move".to_owned(),
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
