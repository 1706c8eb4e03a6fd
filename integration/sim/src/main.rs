//! `cargo sim`: seeds in, broken promises out.

mod crew;
mod progress;
mod report;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use had_sim::plant::Planted;
use had_sim::run::Options;
use had_sim::story::Story;

use progress::{Asked, Kept};

/// Runs the real core and the real consensus in virtual time, one seed after the other, and checks what is promised.
#[derive(Parser, Debug)]
#[command(name = "cargo sim", version)]
struct Arguments {
    /// Which seeds, the last one excluded.
    #[arg(long, value_name = "A..B", default_value = "0..20", value_parser = seeds)]
    seeds: Range<u64>,
    /// Plants this mistake: exit 0 where it is found, 1 where it is not.
    #[arg(long, value_name = "NAME")]
    plant: Option<Planted>,
    /// So many nodes; 3, and in some seeds 5, where it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=9))]
    nodes: Option<u64>,
    /// The length of each run, in heartbeats of 100 ms; a short one takes longer to heal after its faults.
    #[arg(long, value_name = "K", default_value_t = 600, value_parser = clap::value_parser!(u64).range(60..=100_000))]
    heartbeats: u64,
    /// Which faults.
    #[arg(long, value_name = "STORY", value_enum, default_value_t)]
    story: Story,
    /// Prints the whole history of every seed.
    #[arg(long)]
    history: bool,
    /// Runs every seed so many times and compares the histories.
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// So many seeds at a time, each on a thread of its own.
    #[arg(long, value_name = "THREADS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Keeps in this file how far it has come, and goes on from there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plant", "history"])]
    resume: Option<PathBuf>,
}

/// `A..B`, A before B.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not of the form A..B, with A before B");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() {
        Err(wrong())
    } else {
        Ok(range)
    }
}

impl Arguments {
    fn options(&self) -> Options {
        Options {
            nodes: self.nodes.and_then(|nodes| usize::try_from(nodes).ok()),
            heartbeats: self.heartbeats,
            story: self.story,
            planted: self.plant,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = arguments.options();
    let asked = Asked::new(arguments.seeds.clone(), options, arguments.repeat);
    let kept = arguments.resume.map(|file| Kept::open(file, asked));
    let mut kept = match kept.transpose() {
        Ok(kept) => kept,
        Err(refused) => {
            eprintln!("{refused}");
            return ExitCode::from(REFUSED);
        }
    };
    let tally = kept.as_ref().map(Kept::tally).unwrap_or_default();
    let rest = arguments.seeds.start + tally.seeds..arguments.seeds.end;
    if tally.seeds > 0 {
        println!(
            "{} seeds were run before; {} are left",
            tally.seeds,
            rest.end - rest.start
        );
    }
    let mut report = report::Report::new(options, arguments.history, arguments.repeat, tally);
    crew::run(
        rest,
        options,
        arguments.repeat,
        arguments.threads,
        |finished| {
            let goes_on = report.take(finished);
            if let Some(kept) = &mut kept {
                kept.note(report.tally());
            }
            goes_on
        },
    );
    if let Some(kept) = kept
        && let Err(error) = kept.write(report.tally())
    {
        eprintln!("the progress could not be kept: {error}");
    }
    report.verdict()
}

/// The exit code where the progress file belongs to something else: as of wrong arguments.
const REFUSED: u8 = 2;
