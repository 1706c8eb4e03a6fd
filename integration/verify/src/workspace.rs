//! The checkout that is verified, and what may be done on this machine.

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::untouched::Snapshot;

/// What tests that build networks can rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Privileges {
    /// Root that may make network namespaces.
    Root,
    /// An ordinary user (or a root without rights) that may make them inside a user namespace.
    UserNamespace,
    /// Neither.
    None,
}

/// The checkout and the machine.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Where the steps' logs go.
    pub(crate) logs: PathBuf,
    /// Whether nothing may be left out.
    pub(crate) ci: bool,
    /// The tree before the first step.
    pub(crate) before: Option<Snapshot>,
    privileges: OnceCell<Privileges>,
}

#[derive(Deserialize)]
struct Located {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// The workspace around the present folder.
    ///
    /// # Errors
    /// There is none, or cargo cannot read it.
    pub(crate) fn locate() -> Result<Self> {
        let output = clean(Command::new("cargo"))
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let located: Located =
            serde_json::from_slice(&output.stdout).context("cargo metadata speaks otherwise")?;
        Ok(Self::at(located.workspace_root, located.target_directory))
    }

    /// The workspace in this folder.
    pub(crate) fn at(root: PathBuf, target: PathBuf) -> Self {
        let ci = env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        let logs = target.join("verify");
        Self {
            root,
            target,
            logs,
            ci,
            before: None,
            privileges: OnceCell::new(),
        }
    }

    /// The same, knowing what its tree looked like before anything ran.
    pub(crate) fn starting_at(self, before: Snapshot) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    /// A program, started at the root of the workspace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = clean(Command::new(program));
        command
            .current_dir(&self.root)
            .env("CARGO_TERM_COLOR", "never");
        command
    }

    /// Cargo, which may not touch Cargo.lock.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// Debian's installer, which may ask nothing.
    pub(crate) fn apt(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// A program of ours, as `cargo build` left it.
    pub(crate) fn built(&self, program: &str) -> Command {
        let path = self.target.join("debug").join(program);
        self.command(&path.to_string_lossy())
    }

    /// A file of the checkout.
    ///
    /// # Errors
    /// It is missing or no text.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// What tests may do here, found out once by doing it.
    pub(crate) fn privileges(&self) -> Privileges {
        *self.privileges.get_or_init(|| {
            if can_unshare(&["--mount", "--net"]) {
                Privileges::Root
            } else if can_unshare(&["--user", "--map-root-user", "--mount", "--net"]) {
                Privileges::UserNamespace
            } else {
                Privileges::None
            }
        })
    }
}

/// `unshare` is part of util-linux, which no Debian is without.
fn can_unshare(flags: &[&str]) -> bool {
    Command::new("unshare")
        .args(flags)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name stands in one of the usual folders; an ordinary user's PATH lacks the sbin ones.
pub(crate) fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| is_program(&folder.join(name)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Without what `cargo run` set for this program itself: build scripts that watch the environment would run again.
fn clean(mut command: Command) -> Command {
    const OURS: [&str; 4] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ];
    for (name, _) in env::vars_os() {
        if OURS
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_a_folder_is_no_program() {
        assert!(has_program("sh"));
        assert!(!has_program("no-such-program-anywhere"));
        assert!(!is_program(Path::new("/usr")));
    }
}
