//! What `hactl simulate` is asked about.

use std::collections::BTreeSet;

use clap::Args;
use had_core::ids::NodeName;
use had_policies::Scenario;

/// Either a loss or a split.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// These nodes are lost, all at once; a comma or another --lose between two
    #[arg(long, value_name = "NODE", value_delimiter = ',', value_parser = node)]
    lose: Vec<NodeName>,
    /// The network falls into these parts: a comma between nodes, a slash between parts
    #[arg(long, value_name = "A,B/C")]
    split: Option<Parts>,
}

impl From<What> for Scenario {
    fn from(what: What) -> Self {
        match what.split {
            Some(Parts(parts)) => Self::Split(parts),
            None => Self::Lose(what.lose),
        }
    }
}

/// The parts of a network, in the order in which the user wrote them.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Parts(Vec<Vec<NodeName>>);

impl std::str::FromStr for Parts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |part: &str| part.split(',').map(node).collect::<Result<Vec<_>, _>>();
        let parts = text.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.len() < 2 {
            return Err("a split has two parts at least: write A,B/C".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = parts.iter().flatten().find(|node| !seen.insert(*node)) {
            return Err(format!("{twice} stands there twice"));
        }
        Ok(Self(parts))
    }
}

fn node(text: &str) -> Result<NodeName, String> {
    match text.trim() {
        "" => Err("a node's name is missing".to_owned()),
        name => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        what: What,
    }

    fn read(line: &str) -> Result<Scenario, ErrorKind> {
        let line = Line::try_parse_from(line.split(' ')).map_err(|error| error.kind())?;
        Ok(line.what.into())
    }

    fn names(names: &[&str]) -> Vec<NodeName> {
        names.iter().map(|name| NodeName::from(*name)).collect()
    }

    #[test]
    fn nodes_to_lose_are_listed_or_repeated() {
        let three = Ok(Scenario::Lose(names(&["h1", "h2", "w1"])));
        assert_eq!(read("simulate --lose h1,h2 --lose w1"), three);
        assert_eq!(read("simulate --lose h1 --lose h2 --lose w1"), three);
        assert_eq!(read("simulate --lose h1,"), Err(ErrorKind::ValueValidation));
    }

    #[test]
    fn a_split_has_parts_without_a_node_in_two_of_them() {
        let parts = vec![names(&["h1", "h2"]), names(&["h3"]), names(&["w1"])];
        assert_eq!(
            read("simulate --split h1,h2/h3/w1"),
            Ok(Scenario::Split(parts))
        );
        for wrong in ["h1,h2", "h1/", "h1,h2/h2", "h1//h2"] {
            let line = format!("simulate --split {wrong}");
            assert_eq!(read(&line), Err(ErrorKind::ValueValidation), "{line}");
        }
    }

    #[test]
    fn it_is_one_or_the_other() {
        assert_eq!(read("simulate"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            read("simulate --lose h1 --split h1/h2"),
            Err(ErrorKind::ArgumentConflict)
        );
    }
}
