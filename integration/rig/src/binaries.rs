//! The real binaries: built before they are used, so that nothing stale is tested.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The daemon.
    pub had: PathBuf,
    /// The command line.
    pub hactl: PathBuf,
}

impl Binaries {
    /// Builds them with the cargo that runs this program, unless `HAD_BINARIES` names a directory that has them.
    ///
    /// # Errors
    /// Where the build fails.
    pub fn build() -> Result<Self> {
        if std::env::var_os("HAD_BINARIES").is_some() {
            return Self::find();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--package", "had", "--package", "hactl"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .status()
            .context("running cargo build")?;
        ensure!(status.success(), "had and hactl cannot be built");
        Self::find()
    }

    /// Takes those in the directory that `HAD_BINARIES` names, or beside this program.
    ///
    /// # Errors
    /// Where they are not there.
    pub fn find() -> Result<Self> {
        if let Some(directory) = std::env::var_os("HAD_BINARIES") {
            return Self::within(Path::new(&directory));
        }
        // This program lies in the same directory, or one below it (deps/) where it is a test.
        let program = std::env::current_exe().context("finding this program")?;
        let directory = program
            .ancestors()
            .skip(1)
            .find(|path| !path.ends_with("deps"));
        Self::within(directory.context("this program is in no directory")?)
    }

    fn within(directory: &Path) -> Result<Self> {
        let program = |name| {
            let path = directory.join(name);
            ensure!(path.is_file(), "there is no {}", path.display());
            Ok(path)
        };
        Ok(Self {
            had: program("had")?,
            hactl: program("hactl")?,
        })
    }
}
