//! Names on bpffs.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{bpf, bpf_fd, raw};

const OBJ_PIN: u32 = 6;
const OBJ_GET: u32 = 7;

#[repr(C)]
struct PathAttr {
    path: u64,
    object: u32,
    flags: u32,
}

/// Gives an object a name on bpffs, where it outlives this process.
pub(in crate::bpf) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    bpf(
        OBJ_PIN,
        &mut PathAttr {
            path: path.as_ptr() as u64,
            object: raw(object),
            flags: 0,
        },
    )
    .map(drop)
}

/// Opens what was pinned there; `None` where nothing was.
pub(in crate::bpf) fn pinned(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    match bpf_fd(
        OBJ_GET,
        &mut PathAttr {
            path: path.as_ptr() as u64,
            object: 0,
            flags: 0,
        },
    ) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
