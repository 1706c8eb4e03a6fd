//! What the user may write.

mod examples;
mod scenario;

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};
use clap_complete::Shell;
use had_core::ids::{GroupName, NodeName};

pub(crate) use scenario::What;

const EXITS: &str = "\
Exit: 0 done; 1 refused or failed, and says why; 2 wrong usage; 3 no daemon reached; 4 no quorum.";

/// Twenty years: an authority that ends takes its cluster with it.
const AUTHORITY_DAYS: u32 = 7_300;
/// Five years.
const CERTIFICATE_DAYS: u32 = 1_825;
/// A day to a hundred years.
const DAYS: std::ops::RangeInclusive<i64> = 1..=36_500;

/// Stands above the options that say which daemon to talk to, apart from those of the command.
const DAEMON: &str = "Daemon";

/// Asks and commands a cluster of had
#[derive(Debug, Parser)]
#[command(version, after_help = EXITS, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Write JSON with stable keys: one document; with --watch and --follow one document a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which daemon to talk to.
#[derive(Clone, Debug, Group)]
pub(crate) struct Target {
    /// The socket of the daemon on this host
    #[arg(
        long,
        global = true,
        help_heading = DAEMON,
        env = "HAD_SOCKET",
        default_value = "/run/had/had.sock",
        value_name = "PATH"
    )]
    pub(crate) socket: PathBuf,
    /// A daemon on another host instead: the address and port of its peers
    #[arg(long, global = true, help_heading = DAEMON, value_name = "https://HOST:PORT", requires_all = ["ca", "cert", "key"])]
    pub(crate) endpoint: Option<String>,
    /// The node that answers at --endpoint, as its certificate names it; needed where HOST is an address
    #[arg(long, global = true, help_heading = DAEMON, value_name = "NODE", requires = "endpoint")]
    pub(crate) server_name: Option<String>,
    /// The cluster's authority, PEM
    #[arg(long, global = true, help_heading = DAEMON, value_name = "FILE", requires = "endpoint")]
    pub(crate) ca: Option<PathBuf>,
    /// Your certificate, PEM
    #[arg(long, global = true, help_heading = DAEMON, value_name = "FILE", requires = "endpoint")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, global = true, help_heading = DAEMON, value_name = "FILE", requires = "endpoint")]
    pub(crate) key: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show nodes, groups and owners, and what a loss would mean
    #[command(after_help = examples::STATUS)]
    Status {
        /// Only this group
        group: Option<GroupName>,
        /// Show it again every second
        #[arg(long)]
        watch: bool,
    },
    /// Move a group, and return when the new owner serves
    #[command(after_help = examples::FAILOVER)]
    Failover {
        /// The group
        group: GroupName,
        /// Where to; else to the next in line
        #[arg(long, value_name = "NODE")]
        to: Option<NodeName>,
    },
    /// Bring a group back to where its scheme wants it; ends a pin
    #[command(after_help = examples::FAILBACK)]
    Failback {
        /// The group
        group: GroupName,
    },
    /// Empty a node, or take it back
    #[command(subcommand)]
    Node(NodeCommand),
    /// Start or stop a group, or forget what failed
    #[command(subcommand)]
    Group(GroupCommand),
    /// Leave groups alone: watched, but never moved or touched
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Say why a group runs where it runs, and why not elsewhere
    #[command(after_help = examples::EXPLAIN)]
    Explain {
        /// The group
        group: GroupName,
        /// As it was at TIME: "2026-11-22T10:00", "10:00", or "30m" ago
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Say where everything would go after a loss or a split, and how long it would be out
    #[command(after_help = examples::SIMULATE)]
    Simulate {
        #[command(flatten)]
        what: What,
        /// Ask this cluster.toml instead of a daemon: every node is there, every group where the file puts it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show the cluster's history
    #[command(after_help = examples::EVENTS)]
    Events {
        /// Go on with what happens from now on
        #[arg(long)]
        follow: bool,
        /// Only what happened at or after T: "2026-11-22T10:00", "10:00", or "30m" ago
        #[arg(long, value_name = "T")]
        since: Option<String>,
    },
    /// Check a cluster.toml
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Form a cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Make the certificates by which nodes and operators know each other
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Write the completions of a shell to standard output
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual page of hactl to standard output, or the pages of all its commands into a folder
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder, such as /usr/local/share/man/man1
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// What to do with a node.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Move everything away from a node; it takes nothing over until it is resumed
    #[command(after_help = examples::DRAIN)]
    Drain {
        /// The node
        node: NodeName,
    },
    /// Let a drained node take groups over again
    #[command(after_help = examples::RESUME)]
    Resume {
        /// The node
        node: NodeName,
    },
}

/// What to do with a group.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Let a stopped group run again
    #[command(after_help = examples::START)]
    Start {
        /// The group
        group: GroupName,
    },
    /// Stop a group everywhere, until it is started again
    #[command(after_help = examples::STOP)]
    Stop {
        /// The group
        group: GroupName,
    },
    /// Forget failed starts, so that those nodes may take the group again
    #[command(after_help = examples::CLEAR)]
    Clear {
        /// The group
        group: GroupName,
    },
}

/// Whether groups are left alone.
#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// Leave a group, or all of them, as they are, whatever happens
    #[command(after_help = examples::MAINTENANCE_ON)]
    On {
        /// Only this group
        group: Option<GroupName>,
    },
    /// Take care of a group, or of all of them, again
    #[command(after_help = examples::MAINTENANCE_OFF)]
    Off {
        /// Only this group
        group: Option<GroupName>,
    },
}

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// The first start with only these voters, where not all nodes of the file are there
    #[command(after_help = examples::INIT)]
    Init {
        /// The nodes that are there
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<NodeName>,
    },
}

/// What to do with a file.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong in a file, each with its place and what to write instead; asks no daemon
    #[command(after_help = examples::CONFIG_CHECK)]
    Check {
        /// The file
        file: PathBuf,
    },
}

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make the authority of a cluster: ca.pem, which every node needs, and ca.key, which must stay here
    #[command(after_help = examples::PKI_INIT)]
    Init {
        /// Where the authority lies
        #[arg(long, value_name = "FOLDER", default_value = "pki")]
        dir: PathBuf,
        /// How long it is good for
        #[arg(long, value_name = "DAYS", default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(DAYS))]
        days: u32,
    },
    /// Make the certificate and the key of a node, or of an operator
    #[command(after_help = examples::PKI_ISSUE)]
    Issue {
        /// The node as the cluster file names it, or an operator's name
        name: String,
        /// For an operator on another host (`hactl --endpoint`), not for a node
        #[arg(long)]
        operator: bool,
        /// Where the authority lies; the new files go there too
        #[arg(long, value_name = "FOLDER", default_value = "pki")]
        dir: PathBuf,
        /// How long it is good for
        #[arg(long, value_name = "DAYS", default_value_t = CERTIFICATE_DAYS, value_parser = clap::value_parser!(u32).range(DAYS))]
        days: u32,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn refused(line: &str) -> ErrorKind {
        Args::try_parse_from(line.split(' ')).unwrap_err().kind()
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_behind_the_command() {
        let args = Args::try_parse_from("hactl status web --json --socket /x".split(' ')).unwrap();
        assert!(args.json);
        assert_eq!(args.target.socket, PathBuf::from("/x"));
        let args = Args::try_parse_from("hactl --json failover web --to h2".split(' ')).unwrap();
        assert!(args.json);
    }

    #[test]
    fn an_endpoint_needs_certificates() {
        assert_eq!(
            refused("hactl status --endpoint https://h1:7400"),
            ErrorKind::MissingRequiredArgument
        );
        assert_eq!(
            refused("hactl status --ca ca.pem"),
            ErrorKind::MissingRequiredArgument
        );
        let line = "hactl status --endpoint https://h1:7400 --ca a --cert b --key c";
        assert!(Args::try_parse_from(line.split(' ')).is_ok());
    }

    #[test]
    fn every_example_of_the_help_can_be_written() {
        let lines = examples::ALL
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.trim().strip_prefix("hactl "))
            .map(|line| line.split("  ").next().unwrap());
        let mut found = 0;
        for line in lines {
            let words = line.split(' ').map(|word| word.trim_matches('"'));
            let args = Args::try_parse_from(["hactl"].into_iter().chain(words));
            assert!(args.is_ok(), "{line}: {}", args.unwrap_err());
            found += 1;
        }
        assert!(found >= examples::ALL.len(), "only {found} examples found");
    }

    #[test]
    fn an_init_names_somebody() {
        assert_eq!(
            refused("hactl cluster init"),
            ErrorKind::MissingRequiredArgument
        );
    }
}
