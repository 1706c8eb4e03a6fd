//! Where a scene plays: its strips are drawn while it waits for what should come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use had_netns::fault::led_for_some_time;
use had_netns::forecast::{Forecast, Outage};
use had_netns::watch::{Watch, pass};
use had_rig::cluster::{SETTLE, Status};
use had_rig::{Cluster, until};

use crate::screen::{Paint, Screen};
use crate::strip::{self, LEAD};
use crate::table::Row;

/// One cell of a strip: a loss and a return fit.
const CELL: Duration = Duration::from_millis(50);
/// What is shown after the last move.
const TRAIL: Duration = Duration::from_millis(250);

/// A cluster in order, a client for each group of the scene, and what was seen.
pub(crate) struct Stage<'a> {
    screen: &'a Screen,
    cluster: &'a mut Cluster,
    watches: Vec<Watch>,
    start: Instant,
    drawn: Instant,
    marks: Vec<Instant>,
    said: Vec<String>,
    rows: Vec<Row>,
    wrong: Vec<String>,
}

impl<'a> Stage<'a> {
    /// Waits until everything is in order, and begins to watch.
    pub(crate) fn set(
        screen: &'a Screen,
        cluster: &'a mut Cluster,
        groups: &[&str],
    ) -> Result<Self> {
        cluster.settle()?;
        led_for_some_time(cluster, "h2")?;
        let watches = Watch::all(cluster, groups)?;
        let mut stage = Self {
            screen,
            cluster,
            watches,
            start: Instant::now(),
            drawn: Instant::now(),
            marks: vec![],
            said: vec![],
            rows: vec![],
            wrong: vec![],
        };
        stage.show_for(LEAD)?;
        Ok(stage)
    }

    /// Cuts a node's network silently, once the cluster has said what will come of it; waits until it has come.
    pub(crate) fn cut(&mut self, node: &str) -> Result<()> {
        let asked = if node == "h3" { "h2" } else { "h3" };
        if !self.marks.is_empty() {
            led_for_some_time(self.cluster, asked)?;
        }
        let forecast = Forecast::of_losing(self.cluster, asked, &[node])?;
        let at = self.cluster.lab.cut_all(node)?;
        self.marks.push(at);
        for place in 0..self.watches.len() {
            self.judge(&forecast, place, node, at)?;
        }
        Ok(())
    }

    /// What was foreseen of a watched group comes, and in time.
    fn judge(&mut self, forecast: &Forecast, place: usize, lost: &str, at: Instant) -> Result<()> {
        let group = self.watches[place].group.clone();
        let fate = forecast.fate(&group)?.clone();
        let (Some(before), Some(after)) = (fate.before, fate.after) else {
            return Ok(());
        };
        if before == after {
            return Ok(());
        }
        self.answers(&group, &after)?;
        let watch = &self.watches[place];
        self.rows.push(Row {
            title: format!("{group}: {lost} is cut off"),
            path: vec![before.clone(), after],
            silence_ms: watch.silence(at)?.length.as_secs_f64() * 1e3,
            promised_ms: match fate.outage {
                Outage::None => 0.0,
                Outage::UpTo { most_ms, .. } => Duration::from_millis(most_ms).as_secs_f64() * 1e3,
                Outage::Lasting => f64::INFINITY,
            },
            noise_ms: watch.noise(at).as_secs_f64() * 1e3,
            overlap: watch
                .is_safe(at, &before)
                .err()
                .map(|error| format!("{error:#}")),
            wrong: None,
        });
        Ok(())
    }

    /// Mends a node's network.
    pub(crate) fn heal(&mut self, node: &str) -> Result<()> {
        self.marks.push(self.cluster.lab.heal(node)?);
        Ok(())
    }

    /// Waits until a node answers for a group.
    pub(crate) fn answers(&mut self, group: &str, node: &str) -> Result<()> {
        let since = Instant::now();
        let place = self.watches.iter().position(|watch| watch.group == group);
        let place = place.with_context(|| format!("{group} is watched"))?;
        self.await_live(&format!("{node} answers for {group}"), |stage| {
            let latest = stage.watches[place].client.latest();
            let latest = latest.filter(|answer| answer.at > since && &*answer.who == node);
            Ok(latest.map(|_| ()))
        })
    }

    /// Waits until these nodes wait for a group, in this order.
    pub(crate) fn waits(&mut self, group: &str, nodes: &[&str]) -> Result<()> {
        self.status(&format!("{nodes:?} wait for {group}"), |status| {
            let next = &status.group(group)?.next;
            (next == nodes).then_some(())
        })
    }

    /// Waits until a group is displaced; says why.
    pub(crate) fn displaced(&mut self, group: &str) -> Result<String> {
        self.status(&format!("{group} is displaced"), |status| {
            let group = status.group(group)?;
            (group.state == "displaced").then(|| group.reason.clone())
        })
    }

    /// Waits until a node is marked as degraded; says why.
    pub(crate) fn degraded(&mut self, node: &str) -> Result<String> {
        self.status(&format!("{node} is degraded"), |status| {
            let mark = status.node(node)?.degraded.as_ref()?;
            let marked = |group| {
                status
                    .group(group)
                    .is_some_and(|group| group.degraded.is_some())
            };
            (marked("mail") && marked("files")).then(|| mark.reason.clone())
        })
    }

    /// Waits until nothing is marked.
    pub(crate) fn no_marks(&mut self) -> Result<()> {
        self.status("no marks", |status| {
            let nodes = status.nodes.iter().all(|node| node.degraded.is_none());
            let groups = status.groups.iter().all(|group| group.degraded.is_none());
            (nodes && groups).then_some(())
        })
    }

    /// What is to be said below the strips.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "a scene is a chain of steps that may fail"
    )]
    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        self.said.push(text.to_owned());
        Ok(())
    }

    /// Draws everything for the last time, and says what was seen. Each group must have been answered along its path.
    pub(crate) fn end(mut self, paths: &[&[&str]]) -> Result<Vec<Row>> {
        self.show_for(TRAIL)?;
        self.screen.settle(&self.strips());
        let indent = " ".repeat(self.label(0).len());
        let mark = strip::mark(self.start, &self.marks, CELL);
        self.screen.line(Paint::Faint, &format!("{indent}{mark}"));
        for (watch, path) in self.watches.iter().zip(paths) {
            let turns = watch.client.record().turns_after(self.start);
            let turns: Vec<&str> = turns.iter().map(|who| &**who).collect();
            if turns != *path {
                self.wrong
                    .push(format!("{}: {turns:?} answered, not {path:?}", watch.group));
            }
        }
        // They stand in the scene's rows: the whole way in the first, and everything that was wrong.
        if let (Some(row), Some(path)) = (self.rows.first_mut(), paths.first()) {
            row.wrong = (!self.wrong.is_empty()).then(|| self.wrong.join("; "));
            if self.marks.len() == 2 {
                row.path = path.iter().map(|node| (*node).to_owned()).collect();
                row.title += ", and back";
            }
        }
        for text in &self.said {
            self.screen.line(Paint::Plain, text);
        }
        self.rows.iter().for_each(|row| row.remark(self.screen));
        self.screen.blank();
        self.cluster.settle()?;
        Ok(self.rows)
    }

    /// Waits until what a well node says has a value.
    fn status<T>(&mut self, what: &str, test: impl Fn(&Status) -> Option<T>) -> Result<T> {
        // h2 is never the one that was cut off when the cluster is asked, but in the second half of the queue's scene.
        let asked = if self.marks.len() > 2 { "h3" } else { "h2" };
        self.await_live(what, |stage| {
            let status = stage.cluster.status(asked)?.filter(|status| status.quorate);
            Ok(status.as_ref().and_then(&test))
        })
    }

    /// Draws until there is a value.
    fn await_live<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        until(what, SETTLE, || {
            self.draw();
            look(self)
        })
    }

    fn show_for(&mut self, time: Duration) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < time {
            self.draw();
            pass(Instant::now(), CELL)?;
        }
        Ok(())
    }

    /// Once a cell, where it is seen at all.
    fn draw(&mut self) {
        if self.screen.is_live() && self.drawn.elapsed() >= CELL {
            self.drawn = Instant::now();
            self.screen.redraw(&self.strips());
        }
    }

    fn strips(&self) -> Vec<String> {
        let strip = |(place, watch): (usize, &Watch)| {
            let answers = watch.client.answers_after(self.start);
            let strip = strip::draw(*self.screen, &answers, self.start, CELL);
            format!("{}{strip}", self.label(place))
        };
        self.watches.iter().enumerate().map(strip).collect()
    }

    /// The name of a strip, as wide as the others'.
    fn label(&self, place: usize) -> String {
        let width = self.watches.iter().map(|watch| watch.group.len()).max();
        let width = width.unwrap_or_default() + 2;
        let name = self.watches.get(place).map_or("", |watch| &watch.group);
        format!("{name:<width$}")
    }
}
