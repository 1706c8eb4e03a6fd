//! What the help of a command ends with: lines to copy, with what they do. A test reads each of them.

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
  hactl maintenance off       of everything

A group that was put into maintenance by its name is taken out by its name.";

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [
    EXPLAIN,
    SIMULATE,
    START,
    STOP,
    CLEAR,
    MAINTENANCE_ON,
    MAINTENANCE_OFF,
];
