//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at again: often enough to be no part of a measured figure's error, seldom enough to
/// leave the processors to the daemons.
const PAUSE: Duration = Duration::from_millis(2);

/// Asks `look` until it gives a value, at most for `limit`.
///
/// # Errors
/// What `look` fails with; or, when the limit has passed, `what` and the limit.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(PAUSE);
    }
}
