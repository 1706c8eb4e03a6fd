//! Words in memory that more than this process sees.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// An array of 64-bit words, mapped into memory: of the kernel's program, or of another process. Every access is atomic and
/// sequentially consistent: when a store returns, every CPU sees it.
pub struct Words {
    map: OwnedFd,
    memory: NonNull<c_void>,
    count: u32,
}

// SAFETY: the memory belongs to this value alone and is only accessed through atomics.
unsafe impl Send for Words {}

impl Words {
    /// Words of this process, all 0, for whoever gets the descriptor ([`AsFd`]) too.
    ///
    /// # Errors
    /// What the kernel says: no memory, no descriptor.
    pub fn anonymous(name: &std::ffi::CStr, count: u32) -> nix::Result<Self> {
        let map = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&map, i64::try_from(bytes(count).get()).unwrap_or(i64::MAX))?;
        Self::map(map, count)
    }

    /// The words behind a descriptor that has room for so many of them.
    ///
    /// # Errors
    /// Where it cannot be mapped for reading and writing.
    pub fn map(map: OwnedFd, count: u32) -> nix::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping of something that has at least `count` words; nothing else lies there.
        let memory = unsafe {
            mmap(
                None,
                bytes(count),
                protection,
                MapFlags::MAP_SHARED,
                &map,
                0,
            )
        }?;
        Ok(Self { map, memory, count })
    }

    /// Writes a word.
    ///
    /// # Panics
    /// Where there is no such word.
    pub fn store(&self, index: u32, value: u64) {
        self.word(index).store(value, Ordering::SeqCst);
    }

    /// Reads a word.
    ///
    /// # Panics
    /// Where there is no such word.
    #[must_use]
    pub fn load(&self, index: u32) -> u64 {
        self.word(index).load(Ordering::SeqCst)
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        assert!(index < self.count, "word {index} of {}", self.count);
        // SAFETY: inside the mapping, aligned (a mapping begins on a page), and alive as long as `self`.
        unsafe { self.memory.cast::<AtomicU64>().add(index as usize).as_ref() }
    }
}

impl AsFd for Words {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, with its length; no reference outlives `self`.
        let result = unsafe { munmap(self.memory, bytes(self.count).get()) };
        debug_assert!(result.is_ok(), "unmapping what was mapped: {result:?}");
    }
}

fn bytes(count: u32) -> NonZeroUsize {
    NonZeroUsize::new(count as usize * size_of::<u64>()).expect("nobody maps no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_descriptor_sees_what_is_written() {
        let ours = Words::anonymous(c"test", 4).unwrap();
        let theirs = Words::map(ours.as_fd().try_clone_to_owned().unwrap(), 4).unwrap();
        assert_eq!(theirs.load(3), 0);
        ours.store(3, 42);
        assert_eq!(theirs.load(3), 42);
    }
}
