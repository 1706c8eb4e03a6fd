//! `hactl config`: files, without a daemon.

use std::path::Path;

use had_config::{Finding, LoadError};
use serde::Serialize;

use crate::failure::Failure;
use crate::out;

/// What is said of a file under `--json`.
#[derive(Serialize)]
struct Document<'a> {
    good: bool,
    findings: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    severity: &'static str,
    line: usize,
    column: usize,
    message: &'a str,
    help: &'a str,
}

/// Says everything that is wrong in a file.
pub(crate) fn check(file: &Path, json: bool) -> Result<(), Failure> {
    match had_config::load(file) {
        Ok(loaded) => {
            if json {
                return Ok(document(&loaded.warnings)?);
            }
            let mut text = String::new();
            for warning in &loaded.warnings {
                text.push_str(&format!("{warning}\n\n"));
            }
            text.push_str(&format!("{}: good\n", file.display()));
            Ok(out::text(&text)?)
        }
        Err(LoadError::Refused(errors)) => {
            if json {
                document(&errors.errors)?;
            } else {
                out::text(&format!("{errors}\n"))?;
            }
            Err(Failure::Found)
        }
        Err(LoadError::Read { source, .. }) => Err(Failure::Refused(format!(
            "cannot read {}: {source}",
            file.display()
        ))),
    }
}

fn document(findings: &[Finding]) -> std::io::Result<()> {
    let lines = findings.iter().map(|finding| Line {
        severity: if finding.is_warning {
            "warning"
        } else {
            "error"
        },
        line: finding.line,
        column: finding.column,
        message: &finding.message,
        help: &finding.help,
    });
    out::document(&Document {
        good: findings.iter().all(|finding| finding.is_warning),
        findings: lines.collect(),
    })
}
