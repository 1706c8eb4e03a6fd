//! `[cluster]` and `[cluster.tls]`.

use std::path::Path;
use std::time::Duration;

use had_core::spec::OnQuorumLoss;
use had_core::timing::Timing;
use toml::de::DeTable;

use crate::finding::Findings;
use crate::local::{GatePreference, Local, Tls};
use crate::section::{At, Keys, Section, mismatch};
use crate::{duration, values};

const KEYS: Keys = Keys {
    known: &[
        "name",
        "heartbeat",
        "lease",
        "http",
        "gate",
        "realtime",
        "on_quorum_loss",
        "allow_insecure",
        "tls",
    ],
    ..Keys::NONE
};
const TLS_KEYS: Keys = Keys {
    known: &["ca", "cert", "key"],
    ..Keys::NONE
};

/// Below this a heartbeat says nothing that a lost packet does not say: kernels and switches hold packets that long.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);
/// Above this nobody would call it failover; it also keeps every multiple of a lease far from overflow.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// Below this a lease is worth a word: a busy host may lose it, and with it its groups.
const COMFORTABLE_LEASE: Duration = Duration::from_millis(300);
/// A lease holds at least this many heartbeats, so that one that is lost is no loss.
const HEARTBEATS_A_LEASE: u32 = 3;

/// What `[cluster]` says.
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) timing: Timing,
    pub(crate) on_quorum_loss: OnQuorumLoss,
    pub(crate) local: Local,
}

/// Reads `[cluster]`; `None` only beside an error.
pub(crate) fn read(file: &Section<'_>, folder: &Path, findings: &mut Findings) -> Option<Cluster> {
    file.require(
        "cluster",
        "[cluster] with a name, a heartbeat and a lease",
        findings,
    );
    let value = file.get("cluster")?;
    let Some(table) = value.get_ref().as_table() else {
        return mismatch("cluster", "[cluster]", value, findings);
    };
    let section = Section::open("[cluster]", table, value.span(), KEYS, findings);
    section.require("name", "name = \"web\"", findings);
    let name = section.value("name", findings, values::name);
    let timing = timing(&section, findings);
    let on_quorum_loss = on_quorum_loss(&section, "a group", findings);
    let http = section
        .value("http", findings, values::listen)
        .map(At::into_inner);
    let gate = gate(&section, findings);
    let realtime = section.flag("realtime", findings);
    let tls = tls(&section, folder, findings);
    let allow_insecure = section.flag("allow_insecure", findings);
    insecure(&section, allow_insecure.as_ref(), findings);
    let allow_insecure = tls.is_none() && allow_insecure.is_some_and(At::into_inner);
    Some(Cluster {
        name: name?.into_inner(),
        timing: timing?,
        on_quorum_loss: on_quorum_loss.unwrap_or_default(),
        local: Local {
            http,
            gate,
            realtime: realtime.is_none_or(At::into_inner),
            tls,
            allow_insecure,
        },
    })
}

/// `on_quorum_loss`, of the cluster or of a group; `whom` is what it rules.
pub(crate) fn on_quorum_loss(
    section: &Section<'_>,
    whom: &str,
    findings: &mut Findings,
) -> Option<OnQuorumLoss> {
    let known = [("stop", OnQuorumLoss::Stop), ("keep", OnQuorumLoss::Keep)];
    let wanted = section.value("on_quorum_loss", findings, |text| {
        values::word("on_quorum_loss", text, &known, &[])
    })?;
    if *wanted.get_ref() == OnQuorumLoss::Keep {
        findings.warn(
            wanted.span(),
            format!("without a majority two nodes may serve {whom} at once"),
            "write \"stop\" unless two that answer do less harm than none",
        );
    }
    Some(wanted.into_inner())
}

fn gate(section: &Section<'_>, findings: &mut Findings) -> GatePreference {
    let gate = section.value("gate", findings, |text| {
        values::word("gate", text, &GatePreference::WORDS, &[])
    });
    if let Some(gate) = &gate
        && *gate.get_ref() == GatePreference::None
    {
        findings.warn(
            gate.span(),
            "without a gate, an owner whose daemon is killed or frozen goes on answering",
            "write gate = \"auto\" unless the hosts permit neither BPF nor nftables",
        );
    }
    gate.map(At::into_inner).unwrap_or_default()
}

fn timing(section: &Section<'_>, findings: &mut Findings) -> Option<Timing> {
    section.require("heartbeat", "heartbeat = \"100ms\"", findings);
    section.require("lease", "lease = \"300ms\"", findings);
    let heartbeat = section.value("heartbeat", findings, duration::read);
    let lease = section.value("lease", findings, duration::read);
    if let Some(heartbeat) = &heartbeat
        && *heartbeat.get_ref() < SHORTEST_HEARTBEAT
    {
        let message = format!(
            "the heartbeat is shorter than {}",
            duration::spell(SHORTEST_HEARTBEAT)
        );
        findings.error(heartbeat.span(), message, "write heartbeat = \"100ms\"");
    }
    let lease = lease?;
    let span = lease.span();
    let timing = Timing {
        lease: lease.into_inner(),
        // Where it is missing the lease is still judged by itself.
        heartbeat: heartbeat
            .as_ref()
            .map_or(SHORTEST_HEARTBEAT, |one| *one.get_ref()),
    };
    if timing.lease > LONGEST_LEASE {
        let message = format!(
            "the lease is longer than {}",
            duration::spell(LONGEST_LEASE)
        );
        findings.error(
            span,
            message,
            "a lost owner may act for as long as its lease: write \"300ms\"",
        );
        return None;
    }
    let three = timing.heartbeat * HEARTBEATS_A_LEASE;
    if timing.lease < three {
        let enough = three.max(Timing::SHORTEST_LEASE);
        findings.error(
            span,
            format!("the lease is shorter than {HEARTBEATS_A_LEASE} heartbeats"),
            format!(
                "write lease = \"{}\" or longer, or a shorter heartbeat",
                duration::spell(enough)
            ),
        );
    } else if timing.lease < Timing::SHORTEST_LEASE || timing.slack_us() <= 0 {
        let shortest = duration::spell(Timing::SHORTEST_LEASE);
        findings.error(
            span,
            format!(
                "the lease is shorter than {shortest}: the loss of a leader alone would end it"
            ),
            format!("write lease = \"{shortest}\" or longer"),
        );
    } else if timing.lease < COMFORTABLE_LEASE {
        let shortest = duration::spell(Timing::SHORTEST_LEASE);
        findings.warn(
            span,
            format!("the lease is close to the shortest that works ({shortest}): a busy host may lose it"),
            format!(
                "write lease = \"{}\" or longer",
                duration::spell(COMFORTABLE_LEASE)
            ),
        );
    }
    heartbeat.map(|_| timing)
}

fn tls(section: &Section<'_>, folder: &Path, findings: &mut Findings) -> Option<Tls> {
    let value = section.get("tls")?;
    let table: &DeTable<'_> = match value.get_ref().as_table() {
        Some(table) => table,
        None => {
            return mismatch(
                "tls",
                "[cluster.tls] with ca, cert and key",
                value,
                findings,
            );
        }
    };
    let tls = Section::open("[cluster.tls]", table, value.span(), TLS_KEYS, findings);
    let [ca, cert, key] = ["ca", "cert", "key"].map(|key| {
        let example = format!("{key} = \"/etc/had/{key}.pem\"");
        tls.require(key, &example, findings);
        let text = tls.text(key, findings)?;
        if text.get_ref().is_empty() {
            findings.error(
                text.span(),
                format!("`{key}` is empty"),
                format!("write {example}"),
            );
        }
        Some(folder.join(text.into_inner()))
    });
    Some(Tls {
        ca: ca?,
        cert: cert?,
        key: key?,
    })
}

/// Peers speak TLS, or the file says aloud that they do not.
fn insecure(section: &Section<'_>, allowed: Option<&At<bool>>, findings: &mut Findings) {
    let has_tls = section.has("tls");
    match allowed {
        Some(flag) if has_tls && *flag.get_ref() => findings.error(
            flag.span(),
            "`allow_insecure = true` contradicts [cluster.tls]",
            "remove one of the two",
        ),
        Some(flag) if *flag.get_ref() => findings.warn(
            flag.span(),
            "peers speak without TLS: whoever reaches their ports can move groups",
            "write [cluster.tls] with ca, cert and key",
        ),
        Some(_) if has_tls => {}
        // One that could not be read has been refused already.
        None if has_tls || section.has("allow_insecure") => {}
        Some(_) | None => findings.error(
            section.span(),
            "[cluster] has neither [cluster.tls] nor `allow_insecure = true`",
            "write [cluster.tls] with ca, cert and key; `allow_insecure = true` only where nobody else reaches the network",
        ),
    }
}
