//! What became of a command.

use std::fmt::Write;

use serde::Serialize;

/// The document of a command that was carried out.
#[derive(Serialize)]
pub(crate) struct Changed {
    /// One sentence for people.
    pub(crate) text: String,
    /// What changed its owner.
    pub(crate) moved: Vec<Moved>,
    /// From the decision to the new owner's word that it serves.
    pub(crate) took_ms: f64,
    /// The node that decided.
    pub(crate) answered_by: String,
}

/// A group that changed its owner.
#[derive(Serialize)]
pub(crate) struct Moved {
    /// Which.
    pub(crate) group: String,
    /// Who owned it, where that is known.
    pub(crate) from: Option<String>,
    /// Who owns it.
    pub(crate) to: Option<String>,
}

/// "web: h1 → h2 in 12.3 ms", and a sentence.
pub(crate) fn render(changed: &Changed) -> String {
    let mut text = String::new();
    for moved in &changed.moved {
        let name = |node: &Option<String>| node.clone().unwrap_or_else(|| "nobody".to_owned());
        let (from, to) = (name(&moved.from), name(&moved.to));
        writeln!(
            text,
            "{}: {from} → {to} in {}",
            moved.group,
            milliseconds(changed.took_ms)
        )
        .expect("a string takes every write");
    }
    text + &changed.text + "\n"
}

fn milliseconds(ms: f64) -> String {
    if ms < 1_000.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{:.2} s", ms / 1_000.0)
    }
}
