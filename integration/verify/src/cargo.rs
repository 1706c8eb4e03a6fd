//! The steps that are one call of cargo each.

use crate::step::{Failure, Job, Passed};

/// Cargo.lock fits the manifests, and every crate that it names is on this machine afterwards.
///
/// # Errors
/// It does not, or the network does not give them.
pub(crate) fn crates(job: &mut Job<'_>) -> Result<Passed, Failure> {
    job.must(&mut job.workspace.cargo(&["fetch", "--locked"]))?;
    let lock = job.workspace.read("Cargo.lock")?;
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    Ok(Passed::one(format!("{count} crates in Cargo.lock")))
}

/// Everything is formatted.
///
/// # Errors
/// Something is not; the files are named.
pub(crate) fn format(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let command = &mut job
        .workspace
        .cargo(&["fmt", "--all", "--check", "--", "-l"]);
    job.must(command)
        .map_err(|failure| hint(failure, "`cargo fmt --all` mends it"))?;
    Ok(Passed::one("formatted"))
}

/// Programs and tests compile: later steps find them built, and their time limits are about running.
///
/// # Errors
/// Something does not compile.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Passed, Failure> {
    job.must(
        &mut job
            .workspace
            .cargo(&["build", "--workspace", "--bins", "--locked"]),
    )?;
    job.must(
        &mut job
            .workspace
            .cargo(&["test", "--workspace", "--no-run", "--locked"]),
    )?;
    Ok(Passed::one("programs and tests compile"))
}

/// Clippy has nothing to say.
///
/// # Errors
/// It has.
pub(crate) fn lints(job: &mut Job<'_>) -> Result<Passed, Failure> {
    const CALL: [&str; 7] = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    job.must(&mut job.workspace.cargo(&CALL))?;
    Ok(Passed::one("no warnings"))
}

/// The documentation builds, and its links lead somewhere.
///
/// # Errors
/// Rustdoc warns.
pub(crate) fn docs(job: &mut Job<'_>) -> Result<Passed, Failure> {
    let mut command = job
        .workspace
        .cargo(&["doc", "--no-deps", "--workspace", "--locked"]);
    job.must(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Passed::one("no warnings"))
}

fn hint(mut failure: Failure, hint: &str) -> Failure {
    failure.summary = format!("{}; {hint}", failure.summary);
    failure
}
