//! Maps.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{bpf, bpf_fd, object_info, object_name, raw};

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP: u32 = 1;
const MAP_UPDATE: u32 = 2;
const MAP_DELETE: u32 = 3;
const MAP_NEXT_KEY: u32 = 4;

/// Kind and measures of a map; pinned maps are adopted only where they are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(in crate::bpf) struct MapShape {
    pub(in crate::bpf) kind: u32,
    pub(in crate::bpf) key_bytes: u32,
    pub(in crate::bpf) value_bytes: u32,
    pub(in crate::bpf) entries: u32,
    pub(in crate::bpf) flags: u32,
}

/// Makes a map.
pub(in crate::bpf) fn map_create(shape: MapShape, name: &str) -> io::Result<OwnedFd> {
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
pub(in crate::bpf) fn map_shape(map: BorrowedFd<'_>) -> io::Result<MapShape> {
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

/// Reads one element; `None` where there is none under this key.
pub(in crate::bpf) fn map_lookup(map: BorrowedFd<'_>, key: &[u8; 16]) -> io::Result<Option<u32>> {
    let mut found = 0u32;
    let (key, value) = (address(key), std::ptr::from_mut(&mut found) as u64);
    let mut attr = Element {
        map: raw(map),
        padding: 0,
        key,
        value,
        flags: 0,
    };
    match bpf(MAP_LOOKUP, &mut attr) {
        Ok(_) => Ok(Some(found)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes one element, new or not; readers see the old or the new one.
pub(in crate::bpf) fn map_update(
    map: BorrowedFd<'_>,
    key: &[u8; 16],
    value: u32,
) -> io::Result<()> {
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
pub(in crate::bpf) fn map_delete(map: BorrowedFd<'_>, key: &[u8; 16]) -> io::Result<()> {
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
pub(in crate::bpf) fn map_next_key(
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

fn address<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}
