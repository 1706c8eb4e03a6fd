//! The command line of the daemon.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

/// What a supervisor may go by.
const EXIT: &str = "Exit codes: 0 ended as asked; 1 cannot run here, and says why (trying again may help); \
     2 wrong usage; 78 the cluster file is refused (trying again does not help)";

/// Keeps an address and what stands behind it alive on Linux.
#[derive(Parser, Debug)]
#[command(name = "had", version, about, propagate_version = true, after_help = EXIT)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Action,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Run in the foreground. SIGTERM hands over what this node owns and ends; a second one ends at once.
    Run(Run),
    /// Read the cluster file and print everything that is wrong in it.
    Check(Check),
    /// Print the manual page, or write one for each command into a folder.
    Man(Man),
    /// Take addresses off whose lease has ended, beside a daemon that starts it.
    #[command(hide = true)]
    Guard(crate::guard::process::Arguments),
}

/// `had man`.
#[derive(clap::Args, Debug)]
pub struct Man {
    /// The folder, such as /usr/local/share/man/man1.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

impl Man {
    /// Writes what was asked for, from the definition of the command line, so that it never lags behind it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self) -> std::io::Result<()> {
        let command = Cli::command();
        match &self.dir {
            None => clap_mangen::Man::new(command).render(&mut std::io::stdout()),
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                clap_mangen::generate_to(command, folder)
            }
        }
    }
}

/// `had run`.
#[derive(clap::Args, Debug)]
pub struct Run {
    /// The cluster file, the same on every node.
    #[arg(long, env = "HAD_CONFIG", default_value = "/etc/had/cluster.toml")]
    pub config: PathBuf,
    /// The name of this node in the file [default: the host name]
    #[arg(long, env = "HAD_NODE")]
    pub node: Option<String>,
    /// Where decisions are kept; not shared with any other node.
    #[arg(long, env = "HAD_DATA_DIR", default_value = "/var/lib/had")]
    pub data_dir: PathBuf,
    /// Where hactl reaches this daemon.
    #[arg(long, env = "HAD_SOCKET", default_value = "/run/had/had.sock")]
    pub socket: PathBuf,
    /// How log lines are written to standard error; HAD_LOG filters them (as in `HAD_LOG=debug`).
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// `had check`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// The cluster file.
    #[arg(long, env = "HAD_CONFIG", default_value = "/etc/had/cluster.toml")]
    pub config: PathBuf,
    /// The same, without --config.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// Also try what this host needs: privileges, gate, certificates, interfaces, ports, room, clock, the peers' addresses.
    #[arg(long)]
    pub host: bool,
    /// Where decisions will be kept (with --host).
    #[arg(long, env = "HAD_DATA_DIR", default_value = "/var/lib/had")]
    pub data_dir: PathBuf,
    /// The name of this node in the file [default: the host name]
    #[arg(long, env = "HAD_NODE")]
    pub node: Option<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON document a line.
    Json,
}
