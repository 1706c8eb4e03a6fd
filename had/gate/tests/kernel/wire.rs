//! Both ends of the cable: frames are sent on one and looked for on the other.
//!
//! "It did not arrive" needs no waiting: a marker of another protocol follows each frame on the same queue, and what
//! has not arrived when the marker has was dropped.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::frames::{Way, ethernet};
use crate::lab::{Lab, PATIENCE};

/// IEEE's local experimental type: no gate looks at it.
const MARKER: u16 = 0x88b5;
/// Everything, tapped before any hook.
pub(crate) const EVERYTHING: u16 = 0x0003;

/// A packet socket on one interface.
pub(crate) struct Packets(OwnedFd);

impl Packets {
    /// In this thread's namespace. With a protocol other than [`EVERYTHING`] it sees what the hooks on the way in let by.
    pub(crate) fn on(interface: &str, protocol: u16) -> Self {
        let name = CString::new(interface).unwrap();
        // SAFETY: plain system calls; the descriptor is new and owned here alone, the address is fully initialised.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            let socket = OwnedFd::from_raw_fd(fd);
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
            address.sll_protocol = protocol.to_be();
            address.sll_ifindex = i32::try_from(libc::if_nametoindex(name.as_ptr())).unwrap();
            assert!(address.sll_ifindex > 0, "{interface} is missing");
            let length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
            let bound = libc::bind(fd, (&raw const address).cast(), length);
            assert_eq!(bound, 0, "{}", io::Error::last_os_error());
            Self(socket)
        }
    }

    /// Sends a frame; a frame that a gate drops may come back as an error.
    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: the buffer has that many bytes.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        let error = io::Error::last_os_error();
        let dropped = error.raw_os_error() == Some(libc::ENOBUFS)
            || error.raw_os_error() == Some(libc::EPERM);
        assert!(sent >= 0 || dropped, "{error}");
    }

    /// Sends a frame of which only the Ethernet header is linear in the kernel's buffer: larger than a
    /// page, behind a `virtio_net_hdr` that says so.
    pub(crate) fn send_scattered(&self, frame: &[u8]) {
        assert!(frame.len() > 4096);
        let on = 1i32;
        // SAFETY: an option of four bytes, as PACKET_VNET_HDR takes.
        let set = unsafe {
            let option = (&raw const on).cast();
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_VNET_HDR,
                option,
                4,
            )
        };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        let header = [0, 0, 14, 0, 0, 0, 0, 0, 0, 0];
        self.send(&[&header[..], frame].concat());
    }

    /// Whether one of these frames is among those that have arrived, which are forgotten.
    pub(crate) fn has(&self, frames: &[&[u8]]) -> bool {
        let mut buffer = [0; 16_384];
        while let Some(length) = self.receive(&mut buffer) {
            if frames
                .iter()
                .any(|frame| buffer[..length].starts_with(frame))
            {
                return true;
            }
        }
        false
    }

    pub(crate) fn await_frame(&self, frame: &[u8]) {
        self.await_frame_again(frame, || {});
    }

    /// Awaits a frame that `again` sends once more from time to time.
    fn await_frame_again(&self, frame: &[u8], again: impl Fn()) {
        let start = Instant::now();
        let mut next = Duration::from_millis(100);
        while !self.has(&[frame]) {
            if start.elapsed() > next {
                again();
                next += Duration::from_millis(100);
            }
            assert!(
                start.elapsed() < PATIENCE,
                "a frame that no gate looks at is missing"
            );
            std::thread::yield_now();
        }
    }

    /// Awaits one frame of those that `send` sends now and then, and fails where the other arrives before it.
    pub(crate) fn await_frame_unless(&self, frame: &[u8], other: &[u8], send: impl Fn()) {
        let (start, mut buffer) = (Instant::now(), [0; 16_384]);
        let mut next = Duration::ZERO;
        loop {
            if start.elapsed() >= next {
                send();
                next += Duration::from_millis(100);
            }
            assert!(
                start.elapsed() < PATIENCE,
                "a frame that no gate looks at is missing"
            );
            let Some(length) = self.receive(&mut buffer) else {
                continue;
            };
            assert!(
                !buffer[..length].starts_with(other),
                "a guarded frame came through"
            );
            if buffer[..length].starts_with(frame) {
                return;
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let (fd, flags) = (self.0.as_raw_fd(), libc::MSG_DONTWAIT);
        // SAFETY: the buffer has that many bytes.
        let length = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        usize::try_from(length).ok()
    }
}

/// A frame may be lost for want of room on a busy machine; a gate drops each one.
pub(crate) const TRIES: usize = 3;

/// Sends a frame over the cable and says whether it came through: [`TRIES`] times, until it does.
pub(crate) fn passes(lab: &Lab, way: Way, frame: &[u8]) -> bool {
    passes_with(lab, way, frame, Packets::send)
}

pub(crate) fn passes_with(lab: &Lab, way: Way, frame: &[u8], send: fn(&Packets, &[u8])) -> bool {
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    let host = |protocol| Packets::on("h0", protocol);
    let peer = |protocol| lab.peer.run(move || Packets::on("p0", protocol));
    let (sender, follower, receiver, markers) = match way {
        Way::In => (peer(0), peer(0), host(untagged(frame, kind)), host(MARKER)),
        Way::Out => (host(0), host(0), peer(EVERYTHING), peer(MARKER)),
    };
    // On the way in the kernel takes the outer tag off before packet sockets see the frame.
    let bare = [&frame[..12], &frame[frame.len().min(16)..]].concat();
    (0..TRIES).any(|_| {
        send(&sender, frame);
        await_marker(way, &follower, &markers);
        receiver.has(&[frame, &bare])
    })
}

/// Sends markers until some have arrived: what was sent before has arrived then, or never will.
fn await_marker(way: Way, follower: &Packets, markers: &Packets) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for _ in 0..3 {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let marker = ethernet(way, MARKER, &[&number[..], &[0; 38]].concat());
        follower.send(&marker);
        markers.await_frame_again(&marker, || follower.send(&marker));
    }
}

/// Returns when both ends carry: the kernel brings a new link up in its own time.
pub(crate) fn await_cable(lab: &Lab) {
    let (host, peer) = (
        Packets::on("h0", MARKER),
        lab.peer.run(|| Packets::on("p0", MARKER)),
    );
    await_marker(Way::In, &peer, &host);
    await_marker(Way::Out, &host, &peer);
}

/// Under which protocol the kernel delivers a frame.
fn untagged(frame: &[u8], kind: u16) -> u16 {
    match kind {
        0x8100 | 0x88a8 => u16::from_be_bytes([frame[16], frame[17]]),
        other => other,
    }
}
