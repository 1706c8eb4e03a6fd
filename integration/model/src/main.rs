//! `cargo model`: every history of the protocol within its scopes, or the shortest that a planted mistake spoils.

use std::process::ExitCode;

use clap::Parser;
use had_model::action::Action;
use had_model::plant::Plant;
use had_model::scope::Scope;
use had_model::search::{self, Found};

/// Searches every history of the lease and hand-over protocol.
#[derive(Parser, Debug)]
#[command(name = "cargo model", version)]
struct Arguments {
    /// Plants this mistake: exit 0 where it is found, 1 where it is not.
    #[arg(long, value_name = "NAME", value_parser = plant)]
    plant: Option<Plant>,
    /// So many threads for each whole search.
    #[arg(long, value_name = "THREADS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
}

fn plant(name: &str) -> Result<Plant, String> {
    let found = Plant::ALL.into_iter().find(|plant| plant.name() == name);
    found.ok_or_else(|| {
        let names: Vec<String> = Plant::ALL.into_iter().map(Plant::name).collect();
        format!("the mistakes are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = match arguments.plant {
        Some(plant) => look_for(plant),
        None => {
            let searched = Scope::ALL.map(|scope| search_whole(scope, arguments.threads.into()));
            searched.into_iter().all(|good| good)
        }
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn search_whole(scope: Scope, threads: usize) -> bool {
    let found = search::whole(scope, threads);
    figures(&scope.to_string(), &found);
    let promise = if found.broken.is_some() {
        "BROKEN"
    } else {
        "kept"
    };
    println!("  {promise}: {}", had_model::model::SINGLE_OWNER);
    for possible in &found.possible {
        println!("  possible: {possible}");
    }
    for missing in &found.missing {
        println!("  MISSING: {missing}");
    }
    if let Some(steps) = &found.broken {
        history(steps);
    }
    found.whole && found.missing.is_empty()
}

fn look_for(plant: Plant) -> bool {
    let found = search::planted(plant);
    figures(&format!("{plant} in {}", plant.scope()), &found);
    match &found.broken {
        Some(steps) => {
            println!("  found in {} steps:", steps.len());
            history(steps);
        }
        None => println!("  NOT FOUND"),
    }
    found.broken.is_some()
}

fn figures(what: &str, found: &Found) {
    println!(
        "{what}: {} states, {} unique, {} steps deep, {:.1} s",
        found.states,
        found.unique,
        found.depth,
        found.took.as_secs_f64()
    );
}

fn history(steps: &[Action]) {
    for (number, step) in (1..).zip(steps) {
        println!("  {number:>3}. {step}");
    }
    println!("       both gates are open");
}
