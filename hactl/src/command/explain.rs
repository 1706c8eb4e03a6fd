//! `hactl explain`.

use had_core::explain::Explanation;
use had_core::ids::GroupName;

use super::when;
use crate::args::Target;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out;
use crate::render::Moment;
use crate::render::explain::render;
use crate::render::table::width;

/// Zero asks for the present; the first millisecond of 1970 is as good as that moment.
const FIRST_MS: u64 = 1;

/// Explains one group, as it is or was.
pub(crate) async fn run(
    target: &Target,
    group: &GroupName,
    at: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let moment = Moment::here();
    let at_ms = match at {
        Some(text) => when::millis("--at", text, &moment)?.max(FIRST_MS),
        None => 0,
    };
    let mut daemon = Daemon::reach(target).await?;
    let document = daemon.explain(group.as_str(), at_ms).await?;
    if json {
        return Ok(out::passed_on(&document)?);
    }
    let explanation: Explanation =
        serde_json::from_slice(&document).map_err(|error| Failure::Answer(error.to_string()))?;
    Ok(out::text(&render(&explanation, &moment, width()))?)
}
