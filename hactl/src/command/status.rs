//! `hactl status`.

use std::time::Duration;

use had_core::ids::GroupName;
use had_core::status::Status;

use crate::args::Target;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out;
use crate::render::Moment;
use crate::render::status::render;
use crate::render::table::width;

/// Between two pictures: as often as a person can read the difference.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the cluster once, or again and again.
pub(crate) async fn run(
    target: &Target,
    group: Option<&GroupName>,
    watch: bool,
    json: bool,
) -> Result<(), Failure> {
    once(target, group, watch, json).await?;
    if !watch {
        return Ok(());
    }
    let mut silent = false;
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        match once(target, group, watch, json).await {
            Ok(()) => silent = false,
            // Who watches wants to see the daemon come back.
            Err(Failure::NoDaemon { text, .. }) => {
                if !silent {
                    eprintln!("{text}");
                }
                silent = true;
            }
            Err(other) => return Err(other),
        }
    }
}

async fn once(
    target: &Target,
    group: Option<&GroupName>,
    watch: bool,
    json: bool,
) -> Result<(), Failure> {
    let mut daemon = Daemon::reach(target).await?;
    let document = daemon.status(group.map(GroupName::as_str)).await?;
    if json {
        return Ok(out::passed_on(&document)?);
    }
    let status: Status =
        serde_json::from_slice(&document).map_err(|error| Failure::Answer(error.to_string()))?;
    let picture = render(&status, group.is_some(), &Moment::here(), width());
    if watch {
        out::picture(&picture)?
    } else {
        out::text(&picture)?
    }
    Ok(())
}
