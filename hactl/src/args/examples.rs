//! What the help of a command ends with: lines to copy, with what they do. A test reads each of them.

pub(super) const STATUS: &str = "\
Examples:
  hactl status           nodes, groups, owners, and what each loss would mean
  hactl status web       one group
  hactl status --watch   again every second

Any node answers, also without a majority: what it cannot know then is shown as unknown, and the
exit code is 0 all the same.";

pub(super) const FAILOVER: &str = "\
Examples:
  hactl failover web           to the next in line, which `hactl status` names
  hactl failover web --to h3   to a node of your choice

Where the scheme would move the group back by itself, it is pinned until `hactl failback`.";

pub(super) const FAILBACK: &str = "\
Example:
  hactl failback web   to the node that its scheme prefers; a pin ends";

pub(super) const DRAIN: &str = "\
Example:
  hactl node drain h1   before h1 is upgraded or switched off";

pub(super) const RESUME: &str = "\
Example:
  hactl node resume h1   afterwards";

pub(super) const EVENTS: &str = "\
Examples:
  hactl events                 all that is kept
  hactl events --since 02:30   since half past two this night
  hactl events --since 30m     of the last half hour
  hactl events --follow        and what comes";

pub(super) const INIT: &str = "\
Example:
  hactl cluster init h1 h2   h3 of the file is not there yet, and joins when it comes

Only needed where a node of the file is missing at the very first start.";

pub(super) const CONFIG_CHECK: &str = "\
Example:
  hactl config check cluster.toml

`had check --host` also tries what the host needs.";

pub(super) const PKI_INIT: &str = "\
Example:
  hactl pki init   once for a cluster, on a machine that you trust

Whoever has ca.key can join the cluster: keep it away from the nodes.";

pub(super) const PKI_ISSUE: &str = "\
Examples:
  hactl pki issue h1                pki/h1.pem and pki/h1.key, for the node h1
  hactl pki issue anna --operator   for hactl --endpoint on anna's own machine";

pub(super) const COMPLETIONS: &str = "\
Example:
  hactl completions bash   into /etc/bash_completion.d/hactl";

pub(super) const MAN: &str = "\
Examples:
  hactl man                                    to read with `man -l -`
  hactl man --dir /usr/local/share/man/man1   to keep";

pub(super) const EXPLAIN: &str = "\
Examples:
  hactl explain web              why web runs where it runs now
  hactl explain web --at 03:12   why it ran where it ran at 03:12 this night

Any node answers, also without a majority: then from what it knew last.";

pub(super) const SIMULATE: &str = "\
Examples:
  hactl simulate --lose h1                   one node, from the present state
  hactl simulate --lose h1,h2                two at once
  hactl simulate --split h1,h2/h3,w1         a network that falls in two
  hactl simulate --lose h1 --file new.toml   by a file; no daemon is asked

Nothing is changed. The cluster itself follows the same planner.";

pub(super) const START: &str = "\
Example:
  hactl group start reports   it runs where its scheme wants it";

pub(super) const STOP: &str = "\
Example:
  hactl group stop reports   it stays down until `hactl group start reports`";

pub(super) const CLEAR: &str = "\
Example:
  hactl group clear web   after the cause of a failed start is mended";

pub(super) const MAINTENANCE_ON: &str = "\
Examples:
  hactl maintenance on web   before you work on what web runs
  hactl maintenance on       before you work on everything

A group in maintenance is not taken over either: while it lasts, a loss is an outage.";

pub(super) const MAINTENANCE_OFF: &str = "\
Examples:
  hactl maintenance off web   had takes care of web again
  hactl maintenance off       of everything that was not named

A group that was put into maintenance by its name is taken out by its name.";

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&str; 19] = [
    STATUS,
    FAILOVER,
    FAILBACK,
    DRAIN,
    RESUME,
    EVENTS,
    INIT,
    CONFIG_CHECK,
    PKI_INIT,
    PKI_ISSUE,
    COMPLETIONS,
    MAN,
    EXPLAIN,
    SIMULATE,
    START,
    STOP,
    CLEAR,
    MAINTENANCE_ON,
    MAINTENANCE_OFF,
];
