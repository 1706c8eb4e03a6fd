//! What the nodes say, and waiting until they say it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::status::Status;
use super::{Cluster, SETTLE};
use crate::client::Client;
use crate::process::Process;
use crate::wait::until;

/// The exit code of `hactl` where no daemon answers.
const NO_DAEMON: i32 = 3;
/// And where there is no quorum.
const NO_QUORUM: i32 = 4;

impl Cluster {
    /// What a node says about the cluster; nothing where no daemon answers there (yet).
    ///
    /// # Errors
    /// Where the host is off, or the answer is no status.
    pub fn status(&mut self, node: &str) -> Result<Option<Status>> {
        let output = self.hactl(node, &["status", "--json"])?;
        let text = String::from_utf8_lossy(&output.stdout);
        match output.status.code() {
            Some(0) => {}
            Some(NO_DAEMON) => return Ok(None),
            _ => bail!("hactl status on {node}: {}: {text}", output.status),
        }
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("reading a status: {text}"))
    }

    /// Waits until what a node says passes `test`.
    ///
    /// # Errors
    /// Where it does not within `limit`: with the last status and the end of the daemon's log.
    pub fn wait_status(
        &mut self,
        node: &str,
        what: &str,
        limit: Duration,
        test: impl Fn(&Status) -> bool,
    ) -> Result<Status> {
        let mut last = None;
        let found = until(what, limit, || {
            last = self.status(node)?;
            if last.is_none() && self.daemon(node)?.ended()?.is_some() {
                bail!("the daemon on {node} ended");
            }
            Ok(last.as_ref().filter(|status| test(status)).cloned())
        });
        found.with_context(|| {
            let log = self.log_tail(node, 40);
            let last = last.map_or_else(|| "none".to_owned(), |status| status.to_string());
            format!("waiting on {node}; last status: {last}\nlog of {node}:\n{log}\n")
        })
    }

    /// The nodes that have power and whose daemon runs.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn alive(&mut self) -> Result<Vec<String>> {
        let mut alive = Vec::new();
        for node in self.names() {
            if self.lab.host(&node)?.is_on() && self.daemon(&node)?.ended()?.is_none() {
                alive.push(node);
            }
        }
        Ok(alive)
    }

    /// Runs `hactl` as an operator would who is told that there is no quorum at the moment: again, until there is one.
    ///
    /// # Errors
    /// Where it says no for another reason, or goes on to say so for [`SETTLE`].
    pub fn insist(&mut self, node: &str, arguments: &[&str]) -> Result<String> {
        until(&format!("a quorum for hactl {arguments:?}"), SETTLE, || {
            let output = self.hactl(node, arguments)?;
            match output.status.code() {
                Some(0) => {
                    let said = String::from_utf8_lossy(&output.stdout);
                    Ok(Some(said.trim().to_owned()))
                }
                Some(NO_QUORUM) => Ok(None),
                _ => bail!(
                    "hactl {arguments:?} on {node}: {}: {}",
                    output.status,
                    String::from_utf8_lossy(&output.stderr).trim()
                ),
            }
        })
    }

    /// Waits until what every node that is alive says passes `test`.
    ///
    /// # Errors
    /// As [`Cluster::wait_status`].
    pub fn wait_everywhere(
        &mut self,
        what: &str,
        limit: Duration,
        test: impl Fn(&Status) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        for node in self.alive()? {
            let left = limit.saturating_sub(start.elapsed());
            self.wait_status(&node, what, left, &test)?;
        }
        Ok(())
    }

    /// Waits until every node that is alive says that a group runs on `node`.
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn runs_on(&mut self, group: &str, node: &str) -> Result<()> {
        let what = format!("{group} runs on {node}");
        self.wait_everywhere(&what, SETTLE, |status| {
            status.quorate && status.running_on(group) == Some(node)
        })
    }

    /// Waits until every node that is alive says that a group is in a state (`displaced`, `stopped`, …).
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn is_in_state(&mut self, group: &str, state: &str) -> Result<()> {
        let what = format!("{group} is {state}");
        self.wait_everywhere(&what, SETTLE, |status| {
            status
                .group(group)
                .is_some_and(|group| group.state == state)
        })
    }

    /// Waits until every node that is alive says that `node` is online.
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn is_online(&mut self, node: &str) -> Result<()> {
        let what = format!("{node} is online");
        self.wait_everywhere(&what, SETTLE, |status| {
            status.quorate && status.is_online(node)
        })
    }

    /// Waits until every powered node with a daemon sees the same, settled, cluster. Returns the owner of the first group.
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn settle(&mut self) -> Result<String> {
        let group = self.first_group();
        let mut owners = Vec::new();
        for node in self.names() {
            let status = self.wait_status(&node, "settled", SETTLE, Status::is_settled)?;
            owners.extend(status.running_on(group.name()).map(str::to_owned));
        }
        let owner = owners.first().context("no node")?.clone();
        ensure!(
            owners.iter().all(|one| *one == owner),
            "nodes name several owners: {owners:?}"
        );
        Ok(owner)
    }

    /// Waits until leadership has left the owner (it keeps away from owners). Returns owner and leader.
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn settle_apart(&mut self) -> Result<(String, String)> {
        let owner = self.settle()?;
        let group = self.first_group();
        let apart = |status: &Status| {
            status.is_settled() && status.leader.as_deref() != status.running_on(group.name())
        };
        let status = self.wait_status(&owner, "the owner does not lead", SETTLE, apart)?;
        Ok((owner, status.leader.context("there is a leader")?))
    }

    /// Waits until `who` answers the client, after this moment. Returns when.
    ///
    /// # Errors
    /// Where that takes longer than [`SETTLE`].
    pub fn answers(&self, client: &Client, who: &str) -> Result<Instant> {
        let start = Instant::now();
        let found = until(&format!("{who} answers"), SETTLE, || {
            let latest = client.latest();
            Ok(latest
                .filter(|one| &*one.who == who && one.at > start)
                .map(|one| one.at))
        });
        found.with_context(|| {
            let logs = self.names().into_iter().map(|node| {
                let log = self.log_tail(&node, 15);
                format!("log of {node}:\n{log}\n")
            });
            logs.collect::<String>()
        })
    }

    /// The last lines of a daemon's log.
    #[must_use]
    pub fn log_tail(&self, node: &str, lines: usize) -> String {
        let log = self.daemons.get(node).map(Process::log).unwrap_or_default();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
