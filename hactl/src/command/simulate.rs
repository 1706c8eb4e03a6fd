//! `hactl simulate`: the daemon's planner on the present state, or the same planner here on a file.

use std::path::Path;

use had_config::LoadError;
use had_core::ids::NodeName;
use had_core::outlook;
use had_policies::{Forecast, Scenario, forecast};
use had_proto::v1::{Side, SimulateRequest};

use crate::args::Target;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out;
use crate::render::simulate::render;
use crate::render::table::width;

/// Foresees what a scenario leads to.
pub(crate) async fn run(
    target: &Target,
    scenario: &Scenario,
    file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let forecast = match file {
        Some(file) => {
            let forecast = on_a_file(file, scenario)?;
            if json {
                return Ok(out::document(&forecast)?);
            }
            forecast
        }
        None => {
            let mut daemon = Daemon::reach(target).await?;
            let document = daemon.simulate(request(scenario)).await?;
            if json {
                return Ok(out::passed_on(&document)?);
            }
            serde_json::from_slice(&document).map_err(|error| Failure::Answer(error.to_string()))?
        }
    };
    Ok(out::text(&render(&forecast, scenario, file, width()))?)
}

fn request(scenario: &Scenario) -> SimulateRequest {
    let names = |nodes: &[NodeName]| nodes.iter().map(ToString::to_string).collect();
    match scenario {
        Scenario::Lose(nodes) => SimulateRequest {
            lose: names(nodes),
            split: Vec::new(),
        },
        Scenario::Split(parts) => SimulateRequest {
            lose: Vec::new(),
            split: parts
                .iter()
                .map(|part| Side { nodes: names(part) })
                .collect(),
        },
    }
}

/// By a file alone.
fn on_a_file(file: &Path, scenario: &Scenario) -> Result<Forecast, Failure> {
    let loaded = had_config::load(file).map_err(|error| Failure::Refused(said(file, &error)))?;
    let (view, seats) = outlook::of_file(&loaded.configuration.spec);
    forecast(&view, &seats, scenario).map_err(|refused| Failure::Refused(refused.to_string()))
}

/// Why there is no configuration: the system's word, or everything that is wrong in the file.
fn said(file: &Path, error: &LoadError) -> String {
    match error {
        LoadError::Read { source, .. } => format!("{error}: {source}"),
        LoadError::Refused(errors) => format!("{} is refused\n\n{errors}", file.display()),
    }
}
