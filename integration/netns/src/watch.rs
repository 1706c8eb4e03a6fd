//! A client and a tap on a cluster, and what they prove.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_rig::client::Silence;
use had_rig::cluster::{GROUP, SETTLE};
use had_rig::{Client, Cluster, Pulse, Wire, until};

/// Without an answer for so long an address is silent, also on a busy machine.
const QUIET: Duration = Duration::from_millis(150);

/// Watches the virtual addresses of a group.
pub struct Watch {
    /// The group.
    pub group: String,
    /// Asks the IPv4 address.
    pub client: Client,
    /// Asks the IPv6 address.
    pub client6: Option<Client>,
    /// Notes every frame in the IPv4 address's name.
    pub wire: Wire,
    /// How busy the machine is.
    pulse: Pulse,
}

impl Watch {
    /// Begins to watch [`GROUP`]; both addresses answer.
    ///
    /// # Errors
    /// Where one does not.
    pub fn on(cluster: &mut Cluster, ipv6: bool) -> Result<Self> {
        let client6 = ipv6.then(|| cluster.client6()).transpose()?;
        Ok(Self {
            client6,
            ..Self::of(cluster, GROUP)?
        })
    }

    /// Begins to watch the IPv4 address of a group; it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub fn of(cluster: &mut Cluster, group: &str) -> Result<Self> {
        let address = cluster.address_of(group)?;
        let wire = cluster.wire_of(address)?;
        Ok(Self {
            group: group.to_owned(),
            client: cluster.client_of(address)?,
            client6: None,
            wire,
            pulse: Pulse::start()?,
        })
    }

    /// Begins to watch several groups.
    ///
    /// # Errors
    /// Where one does not answer.
    pub fn all(cluster: &mut Cluster, groups: &[&str]) -> Result<Vec<Self>> {
        groups
            .iter()
            .map(|group| Self::of(cluster, group))
            .collect()
    }

    /// How late a thread ran that wanted to run every millisecond, at worst since `moment`: the machine's own share.
    #[must_use]
    pub fn noise(&self, moment: Instant) -> Duration {
        self.pulse.worst_after(moment)
    }

    /// The longest silence of the IPv4 address since `moment`.
    ///
    /// # Errors
    /// Where nobody was ever heard.
    pub fn silence(&self, moment: Instant) -> Result<Silence> {
        self.client
            .record()
            .silence_after(moment)
            .context("the client never heard anybody")
    }

    /// The longest silence of the IPv6 address since `moment`.
    ///
    /// # Errors
    /// Where it is not watched, or nobody was ever heard.
    pub fn silence6(&self, moment: Instant) -> Result<Silence> {
        let client = self.client6.as_ref().context("IPv6 is not watched")?;
        let silence = client.record().silence_after(moment);
        silence.context("the client never heard anybody")
    }

    /// Waits until nobody has answered for longer than an answer may take; says since when.
    ///
    /// # Errors
    /// Where somebody goes on for [`SETTLE`].
    pub fn falls_silent(&self) -> Result<Instant> {
        let name = &self.group;
        until(&format!("{name} falls silent"), SETTLE, || {
            let latest = self.client.latest().context("somebody answered once")?;
            Ok((latest.at.elapsed() > QUIET).then_some(latest.at))
        })
    }

    /// Proves that `old` said nothing in an address's name once somebody else had: neither to a client nor on the wire.
    ///
    /// # Errors
    /// Where it did: with what.
    pub fn is_safe(&self, moment: Instant, old: &str) -> Result<()> {
        for client in std::iter::once(&self.client).chain(&self.client6) {
            let record = client.record();
            let late = record.overlap_after(moment, old);
            let turns = record.turns_after(moment);
            ensure!(
                late == 0,
                "{late} answers of {old} after the first of another: {turns:?}"
            );
        }
        let frames = self.wire.overlap_after(moment, old)?;
        ensure!(
            frames.is_empty(),
            "{} frames of {old} in the address's name after the first of another, the first {:?} after the fault: {:?}",
            frames.len(),
            frames[0].at - moment,
            &frames[..frames.len().min(3)]
        );
        Ok(())
    }

    /// Proves that `host` sent nothing in the address's name since `moment`.
    ///
    /// # Errors
    /// Where it did.
    pub fn is_silent_since(&self, moment: Instant, host: &str) -> Result<()> {
        let frames = self.wire.frames()?;
        let late = frames
            .iter()
            .find(|frame| frame.at > moment && frame.host == host);
        ensure!(late.is_none(), "{host} still uses the address: {late:?}");
        Ok(())
    }

    /// Waits until somebody other than `old` answers, on each address, after `moment`; says who.
    ///
    /// # Errors
    /// Where nobody does within `limit`.
    pub fn successor(
        &self,
        cluster: &Cluster,
        old: &str,
        moment: Instant,
        limit: Duration,
    ) -> Result<String> {
        let mut new = None;
        for client in std::iter::once(&self.client).chain(&self.client6) {
            let found = until(&format!("somebody takes over from {old}"), limit, || {
                let latest = client
                    .latest()
                    .filter(|one| one.at > moment && &*one.who != old);
                Ok(latest.map(|one| one.who.to_string()))
            });
            new = Some(found.with_context(|| logs(cluster))?);
        }
        new.context("there is a client")
    }
}

/// The end of every daemon's log, to explain a failure.
#[must_use]
pub fn logs(cluster: &Cluster) -> String {
    let tails = cluster.names().into_iter().map(|node| {
        let tail = cluster.log_tail(&node, 60);
        format!("log of {node}:\n{tail}\n")
    });
    tails.collect()
}

/// Waits until a time has passed since a moment: where the time itself is the story.
///
/// # Errors
/// Never.
pub fn pass(since: Instant, time: Duration) -> Result<()> {
    until("time passes", time * 2, || {
        Ok((since.elapsed() >= time).then_some(()))
    })
}
