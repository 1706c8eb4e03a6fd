//! Keys of one policy in a group of another: why not there, and what to write.

use crate::section::Misplaced;

const PRIMARY: &str = "only a simple-failover group has a primary";
const BACKUP: &str = "only a simple-failover group has a backup";
const HOME: &str = "only a mutual-takeover group has a home";
const PARTNERS: &str = "only a mutual-takeover group has partners";

/// Keys that belong to nodes.
pub(super) const NOT_A_GROUP: &[Misplaced] = &[CAPACITY, CAPACITY_IS_HARD];

pub(super) const NOT_IDLE: &[Misplaced] = &[
    misplaced(
        "primary",
        PRIMARY,
        r#"write nodes = [{ name = "h1", priority = 200 }], or policy = "simple-failover""#,
        &["nodes"],
    ),
    misplaced(
        "backup",
        BACKUP,
        r#"list it in `nodes`, with a lower priority, or write policy = "simple-failover""#,
        &["nodes"],
    ),
    misplaced(
        "home",
        HOME,
        r#"write nodes = [{ name = "h1", priority = 200 }], or policy = "mutual-takeover""#,
        &["nodes"],
    ),
    misplaced(
        "partners",
        PARTNERS,
        r#"list them in `nodes`, with lower priorities, or write policy = "mutual-takeover""#,
        &["nodes"],
    ),
    misplaced(
        "priority",
        "every node of the group has a priority of its own",
        r#"write nodes = [{ name = "h1", priority = 200 }]"#,
        &[],
    ),
    DISPLACES,
    CAPACITY,
    CAPACITY_IS_HARD,
];

pub(super) const NOT_ROTATING: &[Misplaced] = &[
    misplaced(
        "failback",
        "a rotating group never fails back",
        "remove it: a node that is back joins the queue at its tail",
        &[],
    ),
    misplaced(
        "priority",
        "a rotating group has no priorities: first in, first out",
        r#"write nodes = ["h1", "h2"]"#,
        &[],
    ),
    misplaced(
        "primary",
        PRIMARY,
        r#"list it in `nodes`, first, or write policy = "simple-failover""#,
        &["nodes"],
    ),
    misplaced(
        "backup",
        BACKUP,
        r#"list it in `nodes`, or write policy = "simple-failover""#,
        &["nodes"],
    ),
    misplaced(
        "home",
        HOME,
        r#"list it in `nodes`, first, or write policy = "mutual-takeover""#,
        &["nodes"],
    ),
    misplaced(
        "partners",
        PARTNERS,
        r#"list them in `nodes`, or write policy = "mutual-takeover""#,
        &["nodes"],
    ),
    DISPLACES,
    CAPACITY,
    CAPACITY_IS_HARD,
];

pub(super) const NOT_SIMPLE: &[Misplaced] = &[
    misplaced(
        "nodes",
        "a simple-failover group has no `nodes`, but a primary and a backup",
        r#"write primary = "h1" and backup = "h2", or policy = "idle-standby""#,
        &["primary", "backup"],
    ),
    misplaced(
        "home",
        HOME,
        r#"write primary = "h1", or policy = "mutual-takeover""#,
        &["primary"],
    ),
    misplaced(
        "partners",
        PARTNERS,
        r#"write backup = "h2", or policy = "mutual-takeover""#,
        &["backup"],
    ),
    CAPACITY,
    CAPACITY_IS_HARD,
];

pub(super) const NOT_MUTUAL: &[Misplaced] = &[
    misplaced(
        "nodes",
        "a mutual-takeover group has no `nodes`, but a home and partners",
        r#"write home = "h1" and partners = ["h2", "h3"], or policy = "idle-standby""#,
        &["home", "partners"],
    ),
    misplaced(
        "primary",
        PRIMARY,
        r#"write home = "h1", or policy = "simple-failover""#,
        &["home"],
    ),
    misplaced(
        "backup",
        BACKUP,
        r#"write partners = ["h2"], or policy = "simple-failover""#,
        &["partners"],
    ),
    DISPLACES,
    CAPACITY,
    CAPACITY_IS_HARD,
];

const DISPLACES: Misplaced = misplaced(
    "displaces",
    "only a simple-failover group displaces others",
    r#"remove it, or write policy = "simple-failover" with a primary and a backup"#,
    &[],
);
const CAPACITY: Misplaced = misplaced(
    "capacity",
    "a node has a capacity, a group a load",
    "write load = 4 here, or capacity = 10 in [[node]]",
    &[],
);
const CAPACITY_IS_HARD: Misplaced = misplaced(
    "capacity_is_hard",
    "a node has a capacity, hard or not; a group has a load",
    "write capacity_is_hard = true in [[node]]",
    &[],
);

const fn misplaced(
    key: &'static str,
    message: &'static str,
    help: &'static str,
    instead: &'static [&'static str],
) -> Misplaced {
    Misplaced {
        key,
        message,
        help,
        instead,
    }
}
