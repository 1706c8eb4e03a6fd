//! The scenes: what happens, what is seen of it live, and how it is mended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use had_netns::fault::{Fault, Stand};
use had_netns::watch::{Watch, pass};
use had_rig::Cluster;
use had_rig::cluster::{GROUP, SETTLE, Status};

use crate::screen::{Paint, Screen};
use crate::strip::{self, CELL, CELLS, LEAD, number};

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scene {
    /// The owner loses power.
    Power,
    /// The owner's network is cut.
    Network,
    /// The owner's daemon freezes, and thaws when another has long taken over.
    Freeze,
    /// An operator moves the group.
    Command,
    /// The leader loses power, the owner is well.
    Leader,
}

/// What a scene showed.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// What happened.
    pub(crate) title: String,
    /// Who answered before.
    pub(crate) from: String,
    /// Who answered afterwards.
    pub(crate) to: String,
    /// The silence that the client saw, milliseconds.
    pub(crate) silence_ms: f64,
    /// What is promised of it, milliseconds.
    pub(crate) promised_ms: f64,
    /// The longest that an untouched host was not heard meanwhile, milliseconds: this machine's own share.
    pub(crate) noise_ms: f64,
    /// How the former owner was heard beside the new one, where it was.
    pub(crate) overlap: Option<String>,
    /// Whether the right host answers in the end.
    pub(crate) in_place: bool,
}

impl Shown {
    /// Whether everything was as promised. What an untouched host was not heard for is this machine's, not the cluster's.
    pub(crate) fn is_kept(&self) -> bool {
        let in_time = self.silence_ms <= self.promised_ms + self.noise_ms;
        in_time && self.overlap.is_none() && self.in_place
    }
}

/// How long the daemon stays frozen: many leases.
const FROZEN: Duration = Duration::from_secs(2);

impl Scene {
    /// In the order in which they are shown. The command comes before the leader's loss: it moves the group away from the
    /// leader.
    pub(crate) const ALL: [Self; 5] = [
        Self::Power,
        Self::Network,
        Self::Freeze,
        Self::Command,
        Self::Leader,
    ];

    fn fault(self) -> Fault {
        match self {
            Self::Power => Fault::OwnerOff,
            Self::Network => Fault::OwnerCut,
            Self::Freeze => Fault::DaemonFrozen,
            Self::Command => Fault::Failover,
            Self::Leader => Fault::LeaderAlone,
        }
    }

    fn title(self, stand: &Stand) -> String {
        let owner = &stand.owner;
        match self {
            Self::Power => format!("{owner} loses power"),
            Self::Network => format!("{owner}'s network is cut silently"),
            Self::Freeze => format!("{owner}'s daemon freezes"),
            Self::Command => format!("hactl failover {GROUP}"),
            Self::Leader => format!("the leader {} loses power", stand.leader),
        }
    }

    /// What is promised, milliseconds. An owner that leads takes its successor's election with it.
    fn promised_ms(self, stand: &Stand) -> f64 {
        let takeover = matches!(self, Self::Power | Self::Network | Self::Freeze);
        let fault = match self {
            _ if takeover && stand.owner == stand.leader => Fault::OwnerAndLeader,
            // Seen from outside a frozen daemon is a lost one.
            Self::Freeze => Fault::OwnerCut,
            _ => self.fault(),
        };
        fault.promise().most_ms.unwrap_or(f64::INFINITY)
    }

    /// Makes it happen. Says when.
    fn happen(self, cluster: &mut Cluster, stand: &Stand) -> Result<Instant> {
        if self != Self::Command {
            return self.fault().strike(cluster, stand);
        }
        let to = stand.untouched(cluster).context("three nodes")?;
        let at = Instant::now();
        cluster.command(&stand.owner, &["failover", GROUP, "--to", &to])?;
        Ok(at)
    }

    /// Mends it; says what came of it.
    fn mend(self, cluster: &mut Cluster, stand: &Stand, at: Instant) -> Result<Option<String>> {
        let owner = &stand.owner;
        Ok(match self {
            Self::Power => {
                cluster.power_on(owner)?;
                Some(format!("{owner} has power again"))
            }
            Self::Network => {
                cluster.lab.heal(owner)?;
                Some(format!("{owner} is connected again"))
            }
            Self::Freeze => {
                pass(at, FROZEN)?;
                cluster.daemon(owner)?.thaw()?;
                Some(format!(
                    "{owner} wakes after {} s and finds its lease gone",
                    FROZEN.as_secs()
                ))
            }
            Self::Command => None,
            Self::Leader => {
                cluster.power_on(&stand.leader)?;
                Some(format!("{} has power again", stand.leader))
            }
        })
    }
}

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
    let mut watch = Watch::on(cluster, false)?;
    if let Some(untouched) = stand.untouched(cluster) {
        watch.compare_with(cluster, &untouched)?;
    }
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
            &format!("promised are {promised:.0} ms; an untouched host was not heard for {noise:.0} ms either"),
        );
    }
    if let Some(overlap) = &shown.overlap {
        screen.line(Paint::Bad, overlap);
    }
    screen.blank();
}
