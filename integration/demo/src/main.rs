//! A cluster in one command: three hosts, a switch and a client in namespaces, and what a client sees. First of faults:
//! hosts lose their power and their network, a daemon freezes, an operator moves the service. Then of the four schemes.

mod faults;
mod schemes;
mod screen;
mod strip;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use had_rig::binaries::Binaries;
use had_rig::enter::enter;

use crate::screen::{Paint, Screen};
use crate::table::Row;

/// Shows what a client sees while hosts, networks and daemons fail, and what the four schemes do about it. Needs root, or a
/// user who may make namespaces.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Arguments {}

fn main() -> Result<ExitCode> {
    Arguments::parse();
    let screen = Screen::new();
    screen.line(
        Paint::Faint,
        "building had and hactl (some minutes the first time) …",
    );
    Binaries::build()?;
    Ok(enter(move || show(&screen)))
}

/// The demo, inside the lab process. Failure where a promise was broken.
fn show(screen: &Screen) -> Result<ExitCode> {
    let start = Instant::now();
    let mut rows = faults::show(screen)?;
    rows.extend(schemes::show(screen)?);
    table::print(screen, &rows);
    let kept = rows.iter().all(Row::is_kept);
    let took = start.elapsed().as_secs_f64();
    let (paint, verdict) = if kept {
        (Paint::Good, "every promise was kept")
    } else {
        (Paint::Bad, "a promise was broken")
    };
    screen.line(
        paint,
        &format!("{verdict}  ({took:.0} s; nothing is left behind)"),
    );
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
