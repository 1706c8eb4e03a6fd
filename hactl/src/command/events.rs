//! `hactl events`.

use had_core::status::EventLine;

use super::when;
use crate::args::Target;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out;
use crate::render::Moment;
use crate::render::events::render;

/// Shows what is kept, then, if wanted, what comes.
pub(crate) async fn run(
    target: &Target,
    since: Option<&str>,
    follow: bool,
    json: bool,
) -> Result<(), Failure> {
    let moment = Moment::here();
    let since_ms = since.map_or(Ok(0), |text| when::millis("--since", text, &moment))?;
    let mut daemon = Daemon::reach(target).await?;
    // One that hangs would never begin.
    daemon.status(None).await?;
    let mut stream = daemon.events(since_ms, follow).await?;
    let mut history = Vec::new();
    while let Some(document) = stream
        .message()
        .await
        .map_err(|status| daemon.failed(&status))?
    {
        match (json, follow) {
            (true, true) => out::passed_on(&document.json)?,
            (true, false) => history.push(document.json),
            (false, _) => {
                let event: EventLine = serde_json::from_slice(&document.json)
                    .map_err(|error| Failure::Answer(error.to_string()))?;
                out::text(&render(&event, &moment))?;
            }
        }
    }
    if json && !follow {
        out::passed_on(&[b"{\"events\":[".as_slice(), &history.join(&b','), b"]}"].concat())?;
    }
    if follow {
        return Err(Failure::NoDaemon {
            text: "the daemon ended".to_owned(),
            hint: "ask another node, or start again when it is back".to_owned(),
        });
    }
    Ok(())
}
