//! The commands of bpf(2) that the gate uses, each as one function.
//!
//! The structures are those of `union bpf_attr` in `linux/bpf.h`; what is not named there is zero.

mod link;
mod map;
mod pin;
mod program;

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub(super) use link::{link_create, link_info, link_update};
pub(super) use map::{
    MapShape, map_create, map_delete, map_lookup, map_next_key, map_shape, map_update,
};
pub(super) use pin::{pin, pinned};
pub(super) use program::{program_id, program_load};

/// Reads what the kernel says about an object, as much of it as `info` has room for.
fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        object: u32,
        length: u32,
        info: u64,
    }
    const OBJ_INFO: u32 = 15;
    let length = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    let info = std::ptr::from_mut(info) as u64;
    bpf(
        OBJ_INFO,
        &mut Attr {
            object: raw(object),
            length,
            info,
        },
    )
    .map(drop)
}

fn bpf<T>(command: u32, attr: &mut T) -> io::Result<i32> {
    let attr: *mut c_void = std::ptr::from_mut(attr).cast();
    // SAFETY: `attr` is a prefix of `union bpf_attr` of the length given, and the addresses in it
    // are those of values that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

fn bpf_fd<T>(command: u32, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: these commands return a new descriptor (close-on-exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

/// Names of objects are for people (`bpftool`), at most 15 bytes.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    bytes
}
