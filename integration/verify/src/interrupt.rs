//! Ctrl-C and SIGTERM: the commands run in groups of their own and hear nothing of them, so this program ends them.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// Notes SIGINT, SIGTERM and SIGHUP from now on instead of ending at once.
///
/// # Errors
/// The kernel refuses the handler.
pub(crate) fn watch() -> Result<(), Errno> {
    let action = SigAction::new(
        SigHandler::Handler(note),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and nothing else, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Whether somebody has asked this program to end.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
