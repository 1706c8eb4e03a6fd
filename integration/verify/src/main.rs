//! `cargo verify`: everything that must hold before a change lands, in one command that only reads.
//!
//! ```text
//! plan ──▶ runner ──▶ step by step: environment, packages, …, netns, untouched
//!             │            │
//!             │            └─▶ Job ──▶ command (time limit, process group, log) ──▶ orphans (left behind?)
//!             └─▶ one line a step, what failed in full, the tally
//! ```
//!
//! | module | subject |
//! | --- | --- |
//! | [`plan`] | the steps in their order, their budgets with reasons |
//! | [`runner`], [`step`], [`command`], [`orphans`], [`interrupt`] | how a step runs and ends |
//! | [`workspace`] | the checkout and what may be done on this machine |
//! | [`environment`], [`packages`] | what the machine must bring |
//! | [`cargo`] | format, lints, docs, the build |
//! | [`rules`] | what may depend on what, licences, purity |
//! | [`suites`], [`simulator`] | the tests of all crates, the simulated clusters |
//! | [`tree`], [`untouched`] | what may stand in the tree, and that this program did not change it |

mod cargo;
mod command;
mod environment;
mod interrupt;
mod orphans;
mod packages;
mod plan;
mod rules;
mod runner;
mod rust;
mod simulator;
mod step;
mod suites;
mod tree;
mod untouched;
mod workspace;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::runner::Screen;
use crate::workspace::Workspace;

/// Checks everything that must hold before a change lands. Never writes to the tree.
#[derive(Parser)]
#[command(name = "cargo verify")]
struct Arguments {
    /// Only these steps, in the order of the plan.
    #[arg(long, value_delimiter = ',', value_name = "STEP,…")]
    only: Vec<String>,
    /// Shows the steps, their budgets and why, and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match verify(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn verify(arguments: &Arguments) -> Result<bool> {
    let steps = plan::choose(plan::steps(), &arguments.only)?;
    if arguments.list {
        print!("{}", plan::listing(&steps));
        return Ok(true);
    }
    let workspace = Workspace::locate()?;
    orphans::adopt().context("cannot become the parent of orphans")?;
    interrupt::watch().context("cannot watch for Ctrl-C")?;
    let before = untouched::Snapshot::take(&workspace.root)?;
    let out = io::stdout().lock();
    let mut screen = Screen {
        live: out.is_terminal(),
        out,
    };
    Ok(runner::run(&workspace.starting_at(before), &steps, &mut screen)?.held())
}
