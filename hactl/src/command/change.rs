//! Everything that changes the cluster.

use std::collections::BTreeMap;

use had_core::status::Status;
use had_proto::v1::Done;
use had_proto::v1::command_reply::Outcome;

use crate::args::Target;
use crate::daemon::{Daemon, Wish};
use crate::failure::Failure;
use crate::out;
use crate::render::change::{Changed, Moved, render};

/// Commands, waits, and says what came of it.
pub(crate) async fn run(target: &Target, wish: &Wish, json: bool) -> Result<(), Failure> {
    let mut daemon = Daemon::reach(target).await?;
    // One that hangs would carry the command out when it goes on, long after anybody wants it.
    let before = owners(&daemon.status(None).await?);
    let reply = daemon.command(wish).await?;
    let Some(Outcome::Done(done)) = reply.outcome else {
        return Err(Failure::Answer("it is neither done nor refused".to_owned()));
    };
    let changed = changed(done, reply.answered_by, &before);
    if json {
        out::document(&changed)?
    } else {
        out::text(&render(&changed))?
    }
    Ok(())
}

/// Who owns what before the command, to say where a group came from. Nothing depends on it: empty where it is not known.
fn owners(document: &[u8]) -> BTreeMap<String, String> {
    let status: Option<Status> = serde_json::from_slice(document).ok();
    status
        .into_iter()
        .flat_map(|status| status.groups)
        .filter_map(|group| Some((group.name.to_string(), group.owner?.to_string())))
        .collect()
}

fn changed(done: Done, answered_by: String, before: &BTreeMap<String, String>) -> Changed {
    let moved = done
        .moved
        .into_iter()
        .map(|moved| Moved {
            from: before.get(&moved.group).cloned(),
            group: moved.group,
            to: moved.owner,
        })
        .filter(|moved| moved.from != moved.to)
        .collect();
    Changed {
        text: done.text,
        moved,
        took_ms: done.took_ms,
        answered_by,
    }
}
