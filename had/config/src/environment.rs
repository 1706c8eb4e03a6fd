//! What the environment says of this host, over what the file says: the file may be the same on every node while a container
//! has its certificates elsewhere.
//!
//! | variable | instead of |
//! | --- | --- |
//! | `HAD_HTTP` | `http` in `[cluster]` |
//! | `HAD_GATE` | `gate` in `[cluster]` |
//! | `HAD_REALTIME` | `realtime` in `[cluster]` |
//! | `HAD_TLS_CA`, `HAD_TLS_CERT`, `HAD_TLS_KEY` | `ca`, `cert`, `key` in `[cluster.tls]` |

use std::collections::HashMap;
use std::path::PathBuf;

use config::{Config, ConfigError, Environment};
use serde::Deserialize;

use crate::local::{GatePreference, Local};
use crate::values::{self, Problem};

const PREFIX: &str = "HAD";
/// All of them. Other variables with this beginning are the command line's.
pub const VARIABLES: [&str; 6] = [
    "HAD_HTTP",
    "HAD_GATE",
    "HAD_REALTIME",
    "HAD_TLS_CA",
    "HAD_TLS_CERT",
    "HAD_TLS_KEY",
];

/// The words for what is on or off.
const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];

/// Why the environment is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the environment says {variable}={value}: {message}; {help}")]
pub struct EnvironmentError {
    variable: String,
    value: String,
    message: String,
    help: String,
}

/// The layers, as text: what the environment does not name, the file says.
#[derive(Deserialize)]
struct Layered {
    http: Option<String>,
    gate: String,
    realtime: String,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

impl Local {
    /// With what these variables of the environment say; all others are left alone.
    ///
    /// # Errors
    /// A variable whose value means nothing, or that contradicts the file.
    pub fn layered(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, EnvironmentError> {
        let ours = |(name, _): &(String, String)| VARIABLES.contains(&name.as_str());
        let variables: HashMap<String, String> = variables.into_iter().filter(ours).collect();
        let layered = self.layers(&variables).map_err(|error| EnvironmentError {
            variable: format!("{PREFIX}_…"),
            value: String::new(),
            message: error.to_string(),
            help: "unset it".to_owned(),
        })?;
        let refused = |key: &str, problem: Problem| {
            let variable = format!("{PREFIX}_{}", key.to_uppercase());
            EnvironmentError {
                value: variables.get(&variable).cloned().unwrap_or_default(),
                variable,
                message: problem.message,
                help: problem.help,
            }
        };
        let http = layered.http.as_deref().map(values::listen).transpose();
        self.http = http.map_err(|problem| refused("http", problem))?;
        let in_file = self.gate;
        self.gate = values::word("gate", &layered.gate, &GatePreference::WORDS, &[])
            .map_err(|problem| refused("gate", problem))?;
        if self.gate == GatePreference::None && in_file != GatePreference::None {
            let message = "the file does not give the gate up";
            let help = "write gate = \"none\" there, on every node, or unset the variable";
            return Err(refused("gate", Problem::new(message, help)));
        }
        self.realtime = values::word("realtime", &layered.realtime, &SWITCH, &[])
            .map_err(|problem| refused("realtime", problem))?;
        let paths = [
            ("tls_ca", layered.tls_ca),
            ("tls_cert", layered.tls_cert),
            ("tls_key", layered.tls_key),
        ];
        for (key, path) in paths {
            let Some(path) = path else { continue };
            let Some(tls) = &mut self.tls else {
                let message = "the file has no [cluster.tls]";
                let help = "write one with ca, cert and key, or unset the variable";
                return Err(refused(key, Problem::new(message, help)));
            };
            match key {
                "tls_ca" => tls.ca = path,
                "tls_cert" => tls.cert = path,
                _ => tls.key = path,
            }
        }
        Ok(self)
    }

    fn layers(&self, variables: &HashMap<String, String>) -> Result<Layered, ConfigError> {
        let environment = Environment::with_prefix(PREFIX).source(Some(variables.clone()));
        let http = self.http.map(|address| address.to_string());
        let tls = self.tls.as_ref();
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        Config::builder()
            .set_default("http", http)?
            .set_default("gate", self.gate.as_str())?
            .set_default("realtime", self.realtime.to_string())?
            .set_default("tls_ca", tls.map(|tls| path(&tls.ca)))?
            .set_default("tls_cert", tls.map(|tls| path(&tls.cert)))?
            .set_default("tls_key", tls.map(|tls| path(&tls.key)))?
            .add_source(environment)
            .build()?
            .try_deserialize()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = include_str!("../tests/accepted/three-nodes.toml");

    fn layered(file: &str, variables: &[(&str, &str)]) -> Result<Local, EnvironmentError> {
        let local = crate::parse(Path::new("f"), file).unwrap().local;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        local.layered(variables.iter().map(owned))
    }

    #[test]
    fn the_environment_stands_above_the_file_and_says_nothing_of_what_it_does_not_name() {
        let file = layered(FILE, &[]).unwrap();
        assert_eq!(file, crate::parse(Path::new("f"), FILE).unwrap().local);
        let local = layered(
            FILE,
            &[
                ("HAD_HTTP", "127.0.0.1:9500"),
                ("HAD_TLS_KEY", "/run/secrets/key"),
                ("HAD_REALTIME", "false"),
                ("HAD_NODE", "h1"),
                ("HTTP", "of somebody else"),
            ],
        )
        .unwrap();
        assert_eq!(local.http, Some("127.0.0.1:9500".parse().unwrap()));
        let tls = local.tls.unwrap();
        assert_eq!(tls.key, Path::new("/run/secrets/key"));
        assert_eq!(Some(tls.ca), file.tls.map(|tls| tls.ca));
        assert_eq!(local.gate, file.gate);
        assert_eq!((file.realtime, local.realtime), (true, false));
    }

    #[test]
    fn a_variable_that_means_nothing_is_named_with_what_to_write() {
        let error = layered(FILE, &[("HAD_GATE", "ntf")])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the environment says HAD_GATE=ntf: "),
            "{error}"
        );
        assert!(error.contains("did you mean \"nft\"?"), "{error}");
        let error = layered(FILE, &[("HAD_GATE", "none")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the file does not give the gate up"),
            "{error}"
        );
        let error = layered(FILE, &[("HAD_REALTIME", "maybe")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("HAD_REALTIME=maybe"), "{error}");
        let error = layered(FILE, &[("HAD_HTTP", "here")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("HAD_HTTP=here"), "{error}");
    }

    #[test]
    fn certificates_for_a_file_without_tls_are_refused() {
        let from = FILE.find("[cluster.tls]").unwrap();
        let to = FILE.find("[[node]]").unwrap();
        let open = format!("{}allow_insecure = true\n{}", &FILE[..from], &FILE[to..]);
        let error = layered(&open, &[("HAD_TLS_CA", "/ca")]).unwrap_err();
        assert!(error.to_string().contains("no [cluster.tls]"), "{error}");
    }
}
