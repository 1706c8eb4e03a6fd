//! What careless people and programs do to a host under a running daemon.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;

use crate::host::Host;

/// Where daemons pin what judges packets.
const PINS: &str = "/sys/fs/bpf/had";
/// The longest that `nft` may take: it asks the kernel and ends.
const NFT: Duration = Duration::from_secs(10);

impl Host {
    /// `nft flush ruleset`, as a script that sets a firewall up begins.
    ///
    /// # Errors
    /// Where the host is off or `nft` is missing.
    pub fn flush_rules(&mut self) -> Result<()> {
        let mut command = Command::new("nft");
        command.args(["flush", "ruleset"]);
        let output = self.run(command, NFT)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nft flush ruleset: {said}");
        Ok(())
    }

    /// Detaches every pinned link of a gate from its interface, as `bpftool link detach` would. Says how many there were.
    ///
    /// # Errors
    /// Where the host is off, or the kernel refuses, as it does to an ordinary user.
    pub fn detach_gate(&self) -> Result<usize> {
        self.call(|| {
            let mut detached = 0;
            for instance in fs::read_dir(PINS).context("listing pins")? {
                for pin in fs::read_dir(instance?.path())? {
                    let pin = pin?.path();
                    let name = pin.file_name().unwrap_or_default().to_string_lossy();
                    if name.starts_with("in-") || name.starts_with("out-") {
                        detach(&pin).with_context(|| format!("detaching {}", pin.display()))?;
                        detached += 1;
                    }
                }
            }
            Ok(detached)
        })
    }
}

/// The commands of bpf(2).
const OBJECT_GET: libc::c_int = 7;
const LINK_DETACH: libc::c_int = 34;

/// `union bpf_attr`, as far as these two commands read it: a path's address, or a descriptor with zeroes behind it.
#[repr(C, align(8))]
struct Attributes([u8; 16]);

impl Attributes {
    fn beginning(bytes: &[u8]) -> Self {
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(bytes);
        Self(all)
    }
}

fn detach(pin: &Path) -> Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let address = path.as_ptr() as u64;
    let link = bpf(
        OBJECT_GET,
        &mut Attributes::beginning(&address.to_ne_bytes()),
    )?;
    // SAFETY: the kernel has just made this descriptor for us.
    let link = unsafe { OwnedFd::from_raw_fd(link) };
    let number = link.as_raw_fd().to_ne_bytes();
    bpf(LINK_DETACH, &mut Attributes::beginning(&number)).map(drop)
}

fn bpf(command: libc::c_int, attributes: &mut Attributes) -> Result<libc::c_int> {
    // SAFETY: the kernel reads as many bytes as it is told, which the structure has.
    let code = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<Attributes>(),
        )
    };
    let code = Errno::result(code).context("bpf")?;
    libc::c_int::try_from(code).context("a descriptor")
}
