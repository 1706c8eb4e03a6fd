//! Runs one program on a kernel of its own: `cargo run -p had-uml -- --module 8021q -- ip link add link lo name lo.5 type vlan id 5`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use had_uml::{Machine, run_as_first_process};

/// Runs a program on a kernel of its own.
#[derive(Parser)]
struct Arguments {
    /// A kernel module that it needs (may be repeated).
    #[arg(long)]
    module: Vec<String>,
    /// Switch the machine off after so many seconds.
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// The program, by its whole path, and its arguments.
    #[arg(required = true, last = true)]
    program: Vec<String>,
}

fn main() -> Result<ExitCode> {
    if std::process::id() == 1 {
        run_as_first_process();
    }
    let arguments = Arguments::parse();
    let modules = arguments.module.into_iter().map(|name| &*name.leak());
    let machine = Machine {
        first: std::env::current_exe()?,
        modules: modules.collect(),
        environment: Vec::new(),
        limit: Duration::from_secs(arguments.limit),
    };
    let program = PathBuf::from(&arguments.program[0]);
    let words: Vec<&str> = arguments.program[1..].iter().map(String::as_str).collect();
    let ended = machine.run(&program, &words)?;
    print!("{}", ended.text);
    Ok(ExitCode::from(u8::try_from(ended.code).unwrap_or(1)))
}
