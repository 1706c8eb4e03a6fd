//! One guard for each instance and network namespace: the latest.
//!
//! A guard whose daemon was killed watches until the lease ends. A new life of the daemon may have renewed it by then, in
//! memory that the former guard does not see: so the new guard ends it.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, geteuid};

/// An address has room for 107 bytes (unix(7)). The end of a longer name: the node, and what is left of the cluster.
const LONGEST_NAME: usize = 96;
/// A process that was killed is gone within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// The seat of an instance, held until this is dropped or the process ends.
pub(super) struct Seat {
    _listener: UnixListener,
}

impl Seat {
    /// Takes the seat, from a former guard where there is one.
    ///
    /// # Errors
    /// Where a process of another user or another container has it, or the former guard does not go.
    pub(super) fn take(instance: &str) -> io::Result<Self> {
        let name = instance.as_bytes();
        let name = &name[name.len().saturating_sub(LONGEST_NAME)..];
        let address = SocketAddr::from_abstract_name([b"had-guard/", name].concat())?;
        let since = Instant::now();
        loop {
            match UnixListener::bind_addr(&address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    dismiss(&address)?;
                    sleep(PAUSE);
                }
                bound => return bound.map(|_listener| Self { _listener }),
            }
        }
    }
}

/// Ends the guard that has the seat.
fn dismiss(address: &SocketAddr) -> io::Result<()> {
    let stream = match UnixStream::connect_addr(address) {
        Ok(stream) => stream,
        // It is on its way out.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
        Err(error) => return Err(error),
    };
    let holder = getsockopt(&stream, PeerCredentials)?;
    if holder.uid() != geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("a process of user {} has it", holder.uid()),
        ));
    }
    if holder.pid() <= 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "a process that cannot be seen from here has it",
        ));
    }
    match kill(Pid::from_raw(holder.pid()), Signal::SIGKILL) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
