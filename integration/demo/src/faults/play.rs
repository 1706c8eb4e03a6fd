//! One scene, from a settled cluster to a settled cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use had_netns::fault::Stand;
use had_netns::watch::{Watch, pass};
use had_rig::Cluster;
use had_rig::cluster::{GROUP, SETTLE, Status};

use crate::faults::scene::Scene;
use crate::screen::{Paint, Screen};
use crate::strip::{self, CELLS, LEAD, number};
use crate::table::Row;

/// One cell of the strip.
const CELL: Duration = Duration::from_millis(20);

/// Plays one scene from a settled cluster to a settled cluster.
pub(crate) fn play(
    screen: &Screen,
    cluster: &mut Cluster,
    number: usize,
    scene: Scene,
) -> Result<Row> {
    let stand = stand_for(cluster, scene)?;
    let title = scene.title(&stand);
    screen.line(Paint::Strong, &format!("{number}  {title}"));
    let watch = Watch::on(cluster, false)?;
    let start = Instant::now();
    follow(screen, &watch, start, start + LEAD)?;
    let at = scene.happen(cluster, &stand)?;
    follow(screen, &watch, start, start + CELL * CELLS + CELL)?;
    screen.settle(&[drawn(screen, &watch, start)]);
    screen.line(Paint::Faint, &strip::mark(start, &[at], CELL));

    let (silence, noise) = (watch.silence(at)?, watch.noise(at));
    let mended = scene.mend(cluster, &stand, at)?;
    let back = cluster.settle()?;
    let to = silence.after.as_deref().unwrap_or("nobody").to_owned();
    // It went where it should, and stayed there when everything was mended.
    let in_place = (to == stand.owner) == (scene == Scene::Leader) && back == to;
    let path = if to == stand.owner {
        vec![to]
    } else {
        vec![stand.owner.clone(), to]
    };
    let shown = Row {
        promised_ms: scene.promised_ms(&stand),
        silence_ms: silence.length.as_secs_f64() * 1e3,
        noise_ms: noise.as_secs_f64() * 1e3,
        overlap: watch
            .is_safe(at, &stand.owner)
            .err()
            .map(|error| format!("{error:#}")),
        wrong: (!in_place).then(|| format!("{back} answers in the end")),
        title,
        path,
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
        screen.redraw(&[drawn(screen, watch, start)]);
        pass(Instant::now(), CELL)?;
    }
    Ok(())
}

fn drawn(screen: &Screen, watch: &Watch, start: Instant) -> String {
    strip::draw(*screen, &watch.client.answers_after(start), start, CELL)
}

/// One or two lines on what was seen.
fn tell(screen: &Screen, shown: &Row, mended: Option<&str>) {
    let to = shown.path.last().map_or("nobody", String::as_str);
    let who = screen.paint(Paint::Host(number(to)), to);
    let silent = format!("{:.0} ms", shown.silence_ms);
    let text = if shown.path.len() == 1 {
        format!("{who} goes on; the longest the client waited: {silent}")
    } else {
        format!("{who} took over; the client heard nobody for {silent}")
    };
    screen.line(Paint::Plain, &text);
    if let Some(mended) = mended {
        let moved = shown.wrong.as_deref().unwrap_or("nothing moves");
        screen.line(Paint::Faint, &format!("{mended}: {moved}"));
    }
    shown.remark(screen);
    screen.blank();
}
