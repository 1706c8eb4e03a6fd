//! What happened around a moment: faults, and what the daemons wrote.

use std::fs;
use std::time::Duration;

use had_rig::Cluster;
use had_rig::wall::{WallNs, ns, wall_ns};

/// What was done to the cluster, and when. Only the newest is kept.
#[derive(Clone, Debug, Default)]
pub struct Chronicle(std::collections::VecDeque<(WallNs, String)>);

/// As many steps as some minutes have.
const KEPT: usize = 1000;
/// How much before and after a moment is told.
const AROUND: Duration = Duration::from_millis(1500);

impl Chronicle {
    /// Something is done now.
    pub fn note(&mut self, what: String) {
        self.0.push_back((wall_ns(), what));
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// What was done and said from shortly before `from` to shortly after `to`, in order of time; milliseconds after `from`.
    #[must_use]
    pub fn around(&self, cluster: &Cluster, from: WallNs, to: WallNs) -> Vec<String> {
        let (first, last) = (
            from.saturating_sub(ns(AROUND)),
            to.saturating_add(ns(AROUND)),
        );
        let within = |at: WallNs| (first..=last).contains(&at);
        let mut lines: Vec<(WallNs, String)> = Vec::new();
        let done = self.0.iter().filter(|(at, _)| within(*at));
        lines.extend(done.map(|(at, what)| (*at, format!("** {what}"))));
        for node in cluster.names() {
            let file = cluster
                .daemon(&node)
                .map(|daemon| daemon.log_file().to_owned());
            let log = file
                .ok()
                .and_then(|file| fs::read(file).ok())
                .unwrap_or_default();
            for line in String::from_utf8_lossy(&log).lines() {
                let stamp = line.split_whitespace().next().unwrap_or_default();
                let Some(at) = moment(stamp).filter(|at| within(*at)) else {
                    continue;
                };
                lines.push((at, format!("{node}  {}", line[stamp.len()..].trim())));
            }
        }
        lines.sort();
        let told = lines.into_iter().map(|(at, text)| {
            let after = (i128::from(at) - i128::from(from)) / 1000;
            format!(
                "{:10.3} ms  {text}",
                f64::from(i32::try_from(after).unwrap_or(i32::MAX)) / 1e3
            )
        });
        told.collect()
    }
}

/// A moment as log lines write it.
fn moment(text: &str) -> Option<WallNs> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(stamp.as_nanosecond()).ok()
}
