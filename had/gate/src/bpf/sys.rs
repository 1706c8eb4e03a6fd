//! The commands of bpf(2) that the gate uses, each as one function.
//!
//! The structures are those of `union bpf_attr` in `linux/bpf.h`; what is not named there is zero.

use std::ffi::{CString, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::asm::Instruction;

const MAP_CREATE: u32 = 0;
const MAP_UPDATE: u32 = 2;
const MAP_DELETE: u32 = 3;
const MAP_NEXT_KEY: u32 = 4;
const PROG_LOAD: u32 = 5;
const OBJ_PIN: u32 = 6;
const OBJ_GET: u32 = 7;
const OBJ_INFO: u32 = 15;
const LINK_CREATE: u32 = 28;
const LINK_UPDATE: u32 = 29;

const PROG_TYPE_SCHED_CLS: u32 = 3;
/// Puts a program before all others of its hook.
const F_BEFORE: u32 = 1 << 3;
/// What the verifier has to say about 150 instructions fits well.
const LOG_BYTES: usize = 64 * 1024;
/// None of the helpers in use asks for the GPL.
const LICENSE: &[u8] = b"MIT OR Apache-2.0\0";

/// Kind and measures of a map; pinned maps are adopted only where they are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(super) struct MapShape {
    pub(super) kind: u32,
    pub(super) key_bytes: u32,
    pub(super) value_bytes: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
}

/// What the kernel says about a tcx link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LinkInfo {
    /// 0 when the interface is gone or somebody detached the link.
    pub(super) ifindex: u32,
    pub(super) attach_type: u32,
}

/// Makes a map.
pub(super) fn map_create(shape: MapShape, name: &str) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        shape: MapShape,
        inner_map: u32,
        numa_node: u32,
        name: [u8; 16],
    }
    let name = object_name(name);
    bpf_fd(
        MAP_CREATE,
        &mut Attr {
            shape,
            inner_map: 0,
            numa_node: 0,
            name,
        },
    )
}

/// Reads kind and measures of a map.
pub(super) fn map_shape(map: BorrowedFd<'_>) -> io::Result<MapShape> {
    #[derive(Default)]
    #[repr(C)]
    struct Info {
        kind: u32,
        id: u32,
        key_bytes: u32,
        value_bytes: u32,
        entries: u32,
        flags: u32,
    }
    let mut info = Info::default();
    object_info(map, &mut info)?;
    let Info {
        kind,
        key_bytes,
        value_bytes,
        entries,
        flags,
        ..
    } = info;
    Ok(MapShape {
        kind,
        key_bytes,
        value_bytes,
        entries,
        flags,
    })
}

#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Writes one element, new or not; readers see the old or the new one.
pub(super) fn map_update(map: BorrowedFd<'_>, key: &[u8; 16], value: u32) -> io::Result<()> {
    let (key, value) = (address(key), address(&value));
    bpf(
        MAP_UPDATE,
        &mut Element {
            map: raw(map),
            padding: 0,
            key,
            value,
            flags: 0,
        },
    )
    .map(drop)
}

/// Deletes one element.
pub(super) fn map_delete(map: BorrowedFd<'_>, key: &[u8; 16]) -> io::Result<()> {
    let key = address(key);
    bpf(
        MAP_DELETE,
        &mut Element {
            map: raw(map),
            padding: 0,
            key,
            value: 0,
            flags: 0,
        },
    )
    .map(drop)
}

/// The key after this one, or the first.
pub(super) fn map_next_key(
    map: BorrowedFd<'_>,
    after: Option<&[u8; 16]>,
) -> io::Result<Option<[u8; 16]>> {
    let mut next = [0; 16];
    let key = after.map_or(0, address);
    let value = std::ptr::from_mut(&mut next) as u64;
    let mut attr = Element {
        map: raw(map),
        padding: 0,
        key,
        value,
        flags: 0,
    };
    match bpf(MAP_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(Some(next)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[repr(C)]
struct ProgramAttr {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Loads a program; the error carries the verifier's last words.
pub(super) fn program_load(code: &[Instruction], name: &str) -> io::Result<OwnedFd> {
    let mut attr = ProgramAttr {
        kind: PROG_TYPE_SCHED_CLS,
        instructions: u32::try_from(code.len()).unwrap_or(u32::MAX),
        code: code.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: object_name(name),
    };
    let error = match bpf_fd(PROG_LOAD, &mut attr) {
        Ok(program) => return Ok(program),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(error),
        Err(error) => error,
    };
    let mut log = vec![0u8; LOG_BYTES];
    attr.log = log.as_mut_ptr() as u64;
    attr.log_bytes = u32::try_from(LOG_BYTES).unwrap_or(u32::MAX);
    attr.log_level = 1;
    bpf_fd(PROG_LOAD, &mut attr).map_err(|_| {
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.trim_end_matches(['\0', '\n']).lines().collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        io::Error::new(error.kind(), format!("{error}: {}", last.join("; ")))
    })
}

#[repr(C)]
struct PathAttr {
    path: u64,
    object: u32,
    flags: u32,
}

/// Gives an object a name on bpffs, where it outlives this process.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
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
pub(super) fn pinned(path: &Path) -> io::Result<Option<OwnedFd>> {
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

/// Attaches a program to an interface through tcx, before all others there.
pub(super) fn link_create(
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
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
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
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
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

/// The number under which other interfaces of the kernel name a program.
pub(super) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = [0u32; 2];
    object_info(program, &mut info)?;
    Ok(info[1])
}

fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        object: u32,
        length: u32,
        info: u64,
    }
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

fn address<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}

/// Names of objects are for people (`bpftool`), at most 15 bytes.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    bytes
}
