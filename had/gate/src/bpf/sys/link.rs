//! tcx links.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{bpf, bpf_fd, object_info, raw};

const LINK_CREATE: u32 = 28;
const LINK_UPDATE: u32 = 29;
/// Puts a program before all others of its hook.
const F_BEFORE: u32 = 1 << 3;

/// What the kernel says about a tcx link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::bpf) struct LinkInfo {
    /// 0 when the interface is gone or somebody detached the link.
    pub(in crate::bpf) ifindex: u32,
    pub(in crate::bpf) attach_type: u32,
}

/// Attaches a program to an interface through tcx, before all others there.
pub(in crate::bpf) fn link_create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    attach_type: u32,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        program: u32,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
        relative: u64,
        revision: u64,
    }
    let program = raw(program);
    let flags = F_BEFORE;
    bpf_fd(
        LINK_CREATE,
        &mut Attr {
            program,
            ifindex,
            attach_type,
            flags,
            relative: 0,
            revision: 0,
        },
    )
}

/// Replaces the program of a link; each packet sees the old or the new one.
pub(in crate::bpf) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        link: u32,
        program: u32,
        flags: u32,
        old_program: u32,
    }
    let mut attr = Attr {
        link: raw(link),
        program: raw(program),
        flags: 0,
        old_program: 0,
    };
    bpf(LINK_UPDATE, &mut attr).map(drop)
}

/// Where a link is attached.
pub(in crate::bpf) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    #[derive(Default)]
    #[repr(C)]
    struct Info {
        kind: u32,
        id: u32,
        program: u32,
        padding: u32,
        ifindex: u32,
        attach_type: u32,
    }
    let mut info = Info::default();
    object_info(link, &mut info)?;
    Ok(LinkInfo {
        ifindex: info.ifindex,
        attach_type: info.attach_type,
    })
}
