//! Both ends of the cable: frames are sent on one and looked for on the other.
//!
//! "It did not arrive" needs no waiting: a marker of another protocol follows each frame on the same queue, and what
//! has not arrived when the marker has was dropped.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

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

    /// Awaits one frame, and fails where the other arrives before it.
    pub(crate) fn await_frame_unless(&self, frame: &[u8], other: &[u8]) {
        let (start, mut buffer) = (Instant::now(), [0; 16_384]);
        loop {
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

    pub(crate) fn await_frame(&self, frame: &[u8]) {
        let start = Instant::now();
        while !self.has(&[frame]) {
            assert!(
                start.elapsed() < PATIENCE,
                "a frame that no gate looks at is missing"
            );
            std::thread::yield_now();
        }
    }
}

/// Sends a frame over the cable and says whether it came through.
pub(crate) fn passes(lab: &Lab, way: Way, frame: &[u8]) -> bool {
    passes_with(lab, way, frame, Packets::send)
}

pub(crate) fn passes_with(lab: &Lab, way: Way, frame: &[u8], send: fn(&Packets, &[u8])) -> bool {
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    let (sender, receiver, markers) = match way {
        Way::In => (
            lab.peer.run(|| Packets::on("p0", 0)),
            Packets::on("h0", untagged(frame, kind)),
            Packets::on("h0", MARKER),
        ),
        Way::Out => {
            let (receiver, markers) = lab
                .peer
                .run(|| (Packets::on("p0", EVERYTHING), Packets::on("p0", MARKER)));
            (Packets::on("h0", 0), receiver, markers)
        }
    };
    send(&sender, frame);
    let follower = match way {
        Way::In => lab.peer.run(|| Packets::on("p0", 0)),
        Way::Out => Packets::on("h0", 0),
    };
    for round in 0..3u8 {
        let marker = ethernet(way, MARKER, &[round; 46]);
        follower.send(&marker);
        markers.await_frame(&marker);
    }
    // On the way in the kernel takes the outer tag off before packet sockets see the frame.
    let bare = [&frame[..12], &frame[frame.len().min(16)..]].concat();
    receiver.has(&[frame, &bare])
}

/// Under which protocol the kernel delivers a frame.
fn untagged(frame: &[u8], kind: u16) -> u16 {
    match kind {
        0x8100 | 0x88a8 => u16::from_be_bytes([frame[16], frame[17]]),
        other => other,
    }
}
