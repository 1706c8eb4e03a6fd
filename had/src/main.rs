//! `had`, the high-availability daemon.

use std::process::ExitCode;

use clap::Parser;
use had::cli::{Action, Cli};
use had::{check, daemon, logging, priority, supervisor};

/// Threads for connections, consensus and operators; the driver and the store have their own.
const WORKERS: usize = 4;

fn main() -> ExitCode {
    end_with_any_panic();
    let action = Cli::parse().command;
    if let Action::Guard(arguments) = &action {
        return guard(arguments);
    }
    let supervised = matches!(action, Action::Run(_));
    priority::one_heap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .thread_name("had")
        .build();
    let outcome = match runtime {
        Err(error) => Err(daemon::Problem::Here(format!("no threads: {error}"))),
        Ok(runtime) => match action {
            Action::Check(asked) => runtime.block_on(check::check(&asked)),
            Action::Man(asked) => asked
                .write()
                .map(|()| true)
                .map_err(|error| daemon::Problem::Here(format!("writing the manual: {error}"))),
            Action::Guard(_) => unreachable!("the guard has no use for so many threads"),
            Action::Run(asked) => {
                logging::start(asked.log_format);
                runtime.block_on(daemon::run(&asked)).map(|()| true)
            }
        },
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => {
            eprintln!("had: {problem}");
            if supervised && matches!(problem, daemon::Problem::Here(_)) {
                supervisor::hold_back();
            }
            ExitCode::from(problem.code())
        }
    }
}

fn guard(arguments: &had::guard::process::Arguments) -> ExitCode {
    match had::guard::process::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("had guard: {error}; it is started by `had run` alone");
            ExitCode::from(1)
        }
    }
}

/// A daemon that has lost a task must not go on as if it had not. The gate shuts what it owned at the lease's end.
fn end_with_any_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}
