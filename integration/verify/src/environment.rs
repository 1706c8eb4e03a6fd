//! What the machine must bring: Rust with its components, a C compiler, and what this user may do.

use anyhow::Context;
use nix::unistd::Uid;

use crate::step::{Failure, Job, Passed};
use crate::workspace::{Privileges, Workspace, has_program};

/// Programs beside the compiler, each with what brings it.
const COMPONENTS: [(&str, &str); 2] = [
    ("rustfmt", "`rustup component add rustfmt`"),
    ("clippy-driver", "`rustup component add clippy`"),
];

/// The step.
///
/// # Errors
/// Something is missing; all of it is named at once.
pub(crate) fn run(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let wanted = rust_version(&job.workspace.read("Cargo.toml")?)?;
    let said = job.capture(job.workspace.command("rustc").arg("--version"))?;
    let found = version(&said).with_context(|| format!("rustc calls itself {said:?}"))?;
    let mut missing = Vec::new();
    if found < wanted {
        let (major, minor) = wanted;
        missing.push(format!(
            "Rust {major}.{minor} or later; here is {}",
            said.trim()
        ));
    }
    for (program, cure) in COMPONENTS {
        // rustup leaves a stand-in for components that are not installed: it must answer, not only exist.
        let answers =
            has_program(program) && job.does(job.workspace.command(program).arg("--version"))?.0;
        if !answers {
            missing.push(format!("{program}: {cure}"));
        }
    }
    if !has_program("cc") {
        missing.push(
            "a C compiler (`cc`), for the crypto library: `apt-get install gcc libc6-dev`".into(),
        );
    }
    if !missing.is_empty() {
        return Err(Failure::one("something is missing", missing.join("\n")));
    }
    Ok(Passed::one(format!(
        "{}, {}",
        said.trim(),
        who(job.workspace)
    )))
}

fn who(workspace: &Workspace) -> &'static str {
    match (Uid::effective().is_root(), workspace.privileges()) {
        (true, Privileges::Root) => "as root",
        (true, Privileges::UserNamespace) => "as root with user namespaces only",
        (true, Privileges::None) => "as root without network namespaces",
        (false, Privileges::None) => "as an ordinary user without user namespaces",
        (false, _) => "as an ordinary user, in user namespaces",
    }
}

/// `rust-version` of the workspace.
fn rust_version(manifest: &str) -> anyhow::Result<(u32, u32)> {
    let manifest: toml::Table = manifest.parse().context("Cargo.toml is no TOML")?;
    let text = manifest
        .get("workspace")
        .and_then(|value| value.get("package"))
        .and_then(|value| value.get("rust-version"))
        .and_then(toml::Value::as_str)
        .context("the workspace sets no rust-version")?;
    version(text).with_context(|| format!("rust-version is {text:?}"))
}

/// The first `major.minor` in a text such as `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(
            version("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some((1, 95))
        );
        assert_eq!(
            version("rustc 1.100.0-nightly (x 2027-01-01)"),
            Some((1, 100))
        );
        assert!(version("rustc 1.100.0") > version("1.95"));
        assert_eq!(version("rustc unknown"), None);
    }

    #[test]
    fn the_wanted_version_comes_from_the_workspace() {
        let manifest = "[workspace.package]\nrust-version = \"1.95\"";
        assert_eq!(rust_version(manifest).unwrap(), (1, 95));
        assert!(rust_version("[workspace]").is_err());
    }
}
