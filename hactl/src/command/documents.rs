//! `hactl completions` and `hactl man`: written from the definition of the command line, so that they never lag behind it.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;

/// The completions of a shell, to stdout.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "hactl", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// The manual page to stdout, or one a command into a folder.
pub(crate) fn man(folder: Option<&Path>) -> Result<(), Failure> {
    match folder {
        None => Ok(clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout())?),
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            Ok(clap_mangen::generate_to(Args::command(), folder)?)
        }
    }
}
