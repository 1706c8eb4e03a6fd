//! One scene a scheme.

use anyhow::Result;

use crate::schemes::stage::Stage;

/// A scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scene {
    /// The highest priority that lives.
    IdleStandby,
    /// First in, first out.
    RotatingStandby,
    /// The backup, which drops what gives way.
    SimpleFailover,
    /// A partner, beside its own work.
    MutualTakeover,
}

impl Scene {
    /// In the order in which they are shown.
    pub(crate) const ALL: [Self; 4] = [
        Self::IdleStandby,
        Self::RotatingStandby,
        Self::SimpleFailover,
        Self::MutualTakeover,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::IdleStandby => "idle-standby: h3 before h1 before h2, and back to h3 by itself",
            Self::RotatingStandby => {
                "rotating-standby: whoever has waited longest is next; nobody comes back"
            }
            Self::SimpleFailover => {
                "simple-failover: orders on h1, else on h2, where reports gives way to it"
            }
            Self::MutualTakeover => {
                "mutual-takeover: mail at home on h1, files on h2; each helps the other out"
            }
        }
    }

    /// The groups that are watched.
    pub(crate) fn groups(self) -> &'static [&'static str] {
        match self {
            Self::IdleStandby => &["web"],
            Self::RotatingStandby => &["queue"],
            Self::SimpleFailover => &["orders", "reports"],
            Self::MutualTakeover => &["mail", "files"],
        }
    }

    /// Who must answer for each of them, one after the other.
    pub(crate) fn paths(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::IdleStandby => &[&["h3", "h1", "h3"]],
            Self::RotatingStandby => &[&["h1", "h2", "h3"]],
            // Silent in between, on the one node that it has.
            Self::SimpleFailover => &[&["h1", "h2", "h1"], &["h2"]],
            Self::MutualTakeover => &[&["h1", "h2", "h1"], &["h2"]],
        }
    }

    pub(crate) fn play(self, stage: &mut Stage<'_>) -> Result<()> {
        match self {
            Self::IdleStandby => {
                stage.cut("h3")?;
                stage.heal("h3")?;
                stage.answers("web", "h3")?;
                stage.say("h3 is connected again, and web goes home after two leases")
            }
            Self::RotatingStandby => {
                stage.cut("h1")?;
                stage.heal("h1")?;
                stage.waits("queue", &["h3", "h1"])?;
                stage.cut("h2")?;
                stage.heal("h2")?;
                stage.waits("queue", &["h1", "h2"])?;
                stage.say("h1 is back and waits at the tail: h3 is next, not h1")
            }
            Self::SimpleFailover => {
                stage.cut("h1")?;
                let reason = stage.displaced("reports")?;
                stage.say(&format!("reports is displaced: {reason}"))?;
                stage.heal("h1")?;
                stage.answers("orders", "h1")?;
                stage.answers("reports", "h2")?;
                stage.say("orders goes home by itself, and reports resumes")
            }
            Self::MutualTakeover => {
                stage.cut("h1")?;
                let reason = stage.degraded("h2")?;
                stage.say(&format!("h2 is degraded: {reason}"))?;
                stage.heal("h1")?;
                stage.answers("mail", "h1")?;
                stage.no_marks()?;
                stage.say("mail goes home by itself, and the mark is gone")
            }
        }
    }
}
