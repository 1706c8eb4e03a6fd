//! Where log lines go: standard error, or the journal where it is attached.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::cli::LogFormat;

/// The filter's variable.
const FILTER: &str = "HAD_LOG";
/// Without a filter: what tells the story of a takeover. openraft tells its failures to the daemon, which says them itself.
const DEFAULT_FILTER: &str = "info,openraft=off,h2=error";

/// Starts logging for the process. A reader of standard error that has gone costs the lines, and nothing else.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // systemd sets it where standard error is the journal; there lines keep their priority.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let layer = match (journal, format) {
        (Some(journal), LogFormat::Text) => journal.boxed(),
        (_, LogFormat::Json) => fmt::layer()
            .json()
            .log_internal_errors(false)
            .with_writer(std::io::stderr)
            .boxed(),
        (None, LogFormat::Text) => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer()
                .with_target(false)
                .with_ansi(colour)
                .log_internal_errors(false)
                .with_writer(std::io::stderr)
                .boxed()
        }
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
}
