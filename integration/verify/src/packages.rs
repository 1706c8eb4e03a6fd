//! The Debian packages that tests use, beyond Rust and a C compiler.
//!
//! Root has them installed here, and is told which. An ordinary user is told which are missing and what that leaves out.

use nix::unistd::Uid;

use crate::step::{Failure, Job, Passed};
use crate::workspace::has_program;

/// A program that tests start, and where it comes from.
pub(crate) struct Package {
    /// The Debian package.
    pub(crate) name: &'static str,
    /// The program in it.
    pub(crate) program: &'static str,
    /// What for.
    pub(crate) because: &'static str,
}

/// All of them. Names and networks are made by our own code; these read what we wrote with eyes that are not ours, or are
/// used by the product itself.
pub(crate) const PACKAGES: [Package; 3] = [
    Package {
        name: "iproute2",
        program: "ip",
        because: "reads addresses, links and rules back, to compare with what we wrote through netlink",
    },
    Package {
        name: "nftables",
        program: "nft",
        because: "reads the fallback gate back, and flushes it as a careless administrator would",
    },
    Package {
        name: "user-mode-linux",
        program: "linux.uml",
        because: "is a kernel with VLANs and bonds, which this machine's may lack",
    },
];

/// The step.
///
/// # Errors
/// The packages cannot be installed.
pub(crate) fn run(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| !has_program(package.program))
        .collect();
    if missing.is_empty() {
        let programs: Vec<&str> = PACKAGES.iter().map(|package| package.program).collect();
        return Ok(Passed::one(format!(
            "nothing to install: {} stand",
            programs.join(", ")
        )));
    }
    if !(Uid::effective().is_root() && has_program("apt-get")) {
        for package in &missing {
            let Package {
                name,
                program,
                because,
            } = package;
            job.leave_out(format!(
                "tests that start `{program}` (Debian's {name}): it {because}"
            ));
        }
        return Ok(Passed::one("only root can install what is missing"));
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    // A source that does not answer is no failure while the others have what is needed; the next line decides.
    job.does(&mut job.workspace.apt(&["update"]))?;
    let mut install = job
        .workspace
        .apt(&["install", "--yes", "--no-install-recommends"]);
    job.must(install.args(&names))?;
    if let Some(package) = missing.iter().find(|package| !has_program(package.program)) {
        let Package { name, program, .. } = package;
        return Err(Failure::one(
            format!("{name} is installed, but brings no `{program}`"),
            "",
        ));
    }
    Ok(Passed::one(format!("installed {}", names.join(", "))))
}
