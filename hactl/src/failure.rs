//! Why a command did not succeed, what may help, and the exit code.

use std::io;
use std::process::ExitCode;

use serde::Serialize;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The cluster refused or could not do it.
    #[error("{0}")]
    Refused(String),
    /// What is wrong has been said on stdout already.
    #[error("the file is refused")]
    Found,
    /// It may have been done.
    #[error("{0}")]
    Unknown(String),
    /// The user wrote something that means nothing.
    #[error("{text}")]
    Usage {
        /// What.
        text: String,
        /// What to write instead.
        hint: String,
    },
    /// Nobody answered.
    #[error("{text}")]
    NoDaemon {
        /// Where, and what the system said.
        text: String,
        /// What may help.
        hint: String,
    },
    /// A daemon answered, and it sees no majority.
    #[error("{0}")]
    NoQuorum(String),
    /// The daemon's answer makes no sense here.
    #[error("cannot read the daemon's answer: {0}")]
    Answer(String),
    /// The output could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// The document of a failure under `--json`.
#[derive(Serialize)]
struct Document<'a> {
    error: Kind<'a>,
}

#[derive(Serialize)]
struct Kind<'a> {
    kind: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Failure {
    /// SURFACE's exit code and the word for it in documents.
    fn code(&self) -> (u8, &'static str) {
        match self {
            Self::Refused(_) | Self::Found => (1, "refused"),
            Self::Unknown(_) => (1, "unknown"),
            Self::Answer(_) | Self::Output(_) => (1, "failed"),
            Self::Usage { .. } => (2, "usage"),
            Self::NoDaemon { .. } => (3, "no-daemon"),
            Self::NoQuorum(_) => (4, "no-quorum"),
        }
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } | Self::NoDaemon { hint, .. } => Some(hint),
            Self::Unknown(_) => Some("see `hactl status`; the same command again is harmless"),
            Self::NoQuorum(_) => Some("`hactl status` says who is missing"),
            Self::Answer(_) => Some(
                "hactl and had may be of different versions; `--json` shows the answer as it came",
            ),
            Self::Refused(_) | Self::Found | Self::Output(_) => None,
        }
    }

    /// Says it for people on stderr, and under `--json` also as a document on stdout.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let (code, kind) = self.code();
        if matches!(self, Self::Found) {
            return ExitCode::from(code);
        }
        let text = self.to_string();
        let hint = self.hint();
        if json {
            let document = Document {
                error: Kind {
                    kind,
                    text: &text,
                    hint,
                },
            };
            // Where stdout is gone too, the exit code is all that is left to say.
            drop(crate::out::document(&document));
        }
        eprintln!("error: {text}");
        if let Some(hint) = hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(code)
    }
}
