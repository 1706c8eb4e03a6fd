//! One scene, from a settled cluster to a settled cluster.

use std::time::Instant;

use anyhow::{Context, Result};
use had_netns::fault::Stand;
use had_netns::watch::{Watch, pass};
use had_rig::Cluster;
use had_rig::cluster::{GROUP, SETTLE, Status};

use crate::scene::{Scene, Shown};
use crate::screen::{Paint, Screen};
use crate::strip::{self, CELL, CELLS, LEAD, number};

/// Plays one scene from a settled cluster to a settled cluster.
pub(crate) fn play(
    screen: &Screen,
    cluster: &mut Cluster,
    number: usize,
    scene: Scene,
) -> Result<Shown> {
    let stand = stand_for(cluster, scene)?;
    let title = scene.title(&stand);
    screen.line(Paint::Strong, &format!("{number}  {title}"));
    let watch = Watch::on(cluster, false)?;
    let start = Instant::now();
    follow(screen, &watch, start, start + LEAD)?;
    let at = scene.happen(cluster, &stand)?;
    follow(screen, &watch, start, start + CELL * CELLS + CELL)?;
    screen.settle(&strip::draw(
        *screen,
        &watch.client.answers_after(start),
        start,
    ));
    screen.line(Paint::Faint, &strip::mark(start, at));

    let (silence, noise) = (watch.silence(at)?, watch.noise(at));
    let mended = scene.mend(cluster, &stand, at)?;
    let back = cluster.settle()?;
    let to = silence.after.as_deref().unwrap_or("nobody").to_owned();
    let shown = Shown {
        promised_ms: scene.promised_ms(&stand),
        from: stand.owner.clone(),
        silence_ms: silence.length.as_secs_f64() * 1e3,
        noise_ms: noise.as_secs_f64() * 1e3,
        overlap: watch
            .is_safe(at, &stand.owner)
            .err()
            .map(|error| format!("{error:#}")),
        // It went where it should, and stayed there when everything was mended.
        in_place: (to == stand.owner) == (scene == Scene::Leader) && back == to,
        title,
        to,
    };
    tell(screen, &shown, mended.as_deref());
    Ok(shown)
}

/// Who owns and who leads. A leader that is lost alone owns nothing: where it does, the group is moved away first.
fn stand_for(cluster: &mut Cluster, scene: Scene) -> Result<Stand> {
    let mut stand = stand(cluster)?;
    // Leadership leaves an owner by itself, but not at once and not each time; one move is enough, two allow for both at once.
    for _ in 0..2 {
        if scene == Scene::Leader && stand.owner == stand.leader {
            let to = stand.untouched(cluster).context("three nodes")?;
            cluster.command(&stand.owner, &["failover", GROUP, "--to", &to])?;
            stand = self::stand(cluster)?;
        }
    }
    Ok(stand)
}

/// Who owns and who leads, once everything is in order.
fn stand(cluster: &mut Cluster) -> Result<Stand> {
    let owner = cluster.settle()?;
    let status = cluster.wait_status(&owner, "in order", SETTLE, Status::is_settled)?;
    let owner = status
        .running_on(GROUP)
        .context("the group runs")?
        .to_owned();
    Ok(Stand {
        owner,
        leader: status.leader.context("somebody leads")?,
    })
}

/// Draws the strip until a moment.
fn follow(screen: &Screen, watch: &Watch, start: Instant, until: Instant) -> Result<()> {
    while Instant::now() < until {
        screen.redraw(&strip::draw(
            *screen,
            &watch.client.answers_after(start),
            start,
        ));
        pass(Instant::now(), CELL)?;
    }
    Ok(())
}

/// One or two lines on what was seen.
fn tell(screen: &Screen, shown: &Shown, mended: Option<&str>) {
    let who = screen.paint(Paint::Host(number(&shown.to)), &shown.to);
    let silent = format!("{:.0} ms", shown.silence_ms);
    let text = if shown.from == shown.to {
        format!("{who} goes on; the longest the client waited: {silent}")
    } else {
        format!("{who} took over; the client heard nobody for {silent}")
    };
    screen.line(Paint::Plain, &text);
    if let Some(mended) = mended {
        let moved = if shown.in_place {
            "nothing moves"
        } else {
            "and the group moves"
        };
        screen.line(Paint::Faint, &format!("{mended}: {moved}"));
    }
    if shown.silence_ms > shown.promised_ms {
        let (promised, noise) = (shown.promised_ms, shown.noise_ms);
        screen.line(
            Paint::Faint,
            &format!(
                "promised are {promised:.0} ms; this machine was late by {noise:.0} ms, being busy"
            ),
        );
    }
    if let Some(overlap) = &shown.overlap {
        screen.line(Paint::Bad, overlap);
    }
    screen.blank();
}
