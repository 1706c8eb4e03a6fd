//! A tap on a switch: every frame that leaves a host in the name of an address.

use std::io::PipeWriter;
use std::mem::{MaybeUninit, size_of};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::switch::Switch;

/// How a host used an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It claimed it: as the sender of an ARP frame, or in a neighbour advertisement.
    Claim,
    /// It sent an IP packet from it.
    Packet,
}

/// A frame that left a host in the name of the address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// When it was read off the wire. The order is the kernel's.
    pub at: Instant,
    /// The host, by the hardware address.
    pub host: String,
    /// What it was.
    pub how: Use,
}

/// Listens until it is dropped. It sees frames of a host also while the switch passes none of them on.
pub struct Wire {
    socket: Arc<Socket>,
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    pub(crate) fn listen(switch: &Switch, address: IpAddr) -> Result<Self> {
        let ports: Vec<u32> = switch.ports().values().copied().collect();
        ensure!(!ports.is_empty(), "nobody is connected");
        let socket = Arc::new(switch.namespace().call(open)?);
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (stopped, stop) = std::io::pipe().context("making a pipe")?;
        let (tap, shared) = (socket.clone(), frames.clone());
        let thread = std::thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || {
                crate::client::hurry();
                while wait(&tap, &stopped) {
                    while let Some((frame, length)) = read(&tap) {
                        if let Some((host, how)) = used(&frame[..length], address) {
                            let frame = Frame {
                                at: Instant::now(),
                                host,
                                how,
                            };
                            shared
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(frame);
                        }
                    }
                }
            })
            .context("starting the tap")?;
        Ok(Self {
            socket,
            frames,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What left up to now.
    ///
    /// # Errors
    /// Where frames were lost: then the list proves nothing.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        let lost = lost(&self.socket).context("asking for lost frames")?;
        ensure!(lost == 0, "the tap lost {lost} frames");
        Ok(self
            .frames
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    /// Frames of `old` after the first frame of another host after `moment`: none, if one owner ends before the next
    /// begins.
    ///
    /// # Errors
    /// As [`Wire::frames`].
    pub fn overlap_after(&self, moment: Instant, old: &str) -> Result<Vec<Frame>> {
        let frames = self.frames()?;
        let after = frames.into_iter().skip_while(|frame| frame.at <= moment);
        Ok(after
            .skip_while(|frame| frame.host == old)
            .filter(|frame| frame.host == old)
            .collect())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Room for what may arrive while the tap waits for a processor; the kernel gives less where it must.
const BUFFER: libc::c_int = 32 << 20;

/// A packet socket in the namespace of the calling thread that hears what hosts send.
pub(crate) fn open() -> Result<Socket> {
    let all = i32::from(u16::try_from(libc::ETH_P_ALL)?.to_be());
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(all)))
        .context("a packet socket")?;
    socket.set_recv_buffer_size(usize::try_from(BUFFER)?)?;
    // Root may have more than the system's limit.
    let _ = set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER);
    socket.set_nonblocking(true)?;
    // What a switch floods to a dozen ports would be a dozen frames, and none of them leaves a host.
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)
        .context("leaving out what the switch sends")?;
    Ok(socket)
}

fn set(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads an integer from the stack.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    Errno::result(code).map(drop)
}

/// Waits for a frame; false when it is time to end.
pub(crate) fn wait(tap: &Socket, stopped: &impl AsFd) -> bool {
    let mut waiting = [
        PollFd::new(tap.as_fd(), PollFlags::POLLIN),
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
    ];
    let _ = poll(&mut waiting, PollTimeout::NONE);
    waiting[1].revents().is_none_or(|events| events.is_empty())
}

/// The beginning of a frame is enough: Ethernet, IPv6 and the target of an advertisement.
const HEAD: usize = 128;

/// One frame that came in from a host.
fn read(tap: &Socket) -> Option<([u8; HEAD], usize)> {
    let mut bytes = [MaybeUninit::new(0_u8); HEAD];
    let length = tap.recv(&mut bytes).ok()?;
    // SAFETY: every byte was set above.
    Some((bytes.map(|byte| unsafe { byte.assume_init() }), length))
}

/// Whose frame it is and how it uses the address, where it does.
fn used(frame: &[u8], address: IpAddr) -> Option<(String, Use)> {
    let source = frame.get(6..12)?;
    let at = |start: usize, length: usize| frame.get(start..start + length);
    let how = match (frame.get(12..14)?, address) {
        // RFC 826: the sender's protocol address.
        ([0x08, 0x06], IpAddr::V4(v4)) if at(28, 4)? == v4.octets() => Use::Claim,
        ([0x08, 0x00], IpAddr::V4(v4)) if at(26, 4)? == v4.octets() => Use::Packet,
        ([0x86, 0xdd], IpAddr::V6(v6)) => {
            let advertisement = at(20, 1)? == [58] && at(54, 1)? == [136];
            // RFC 4861 §4.4: the target address.
            if advertisement && at(62, 16)? == v6.octets() {
                Use::Claim
            } else if at(22, 16)? == v6.octets() {
                Use::Packet
            } else {
                return None;
            }
        }
        _ => return None,
    };
    Some((crate::lab::owner_of(source)?, how))
}

/// Which address a frame uses, and how: the target of an advertisement before its source.
pub(crate) fn claimed(frame: &[u8]) -> Option<(IpAddr, Use)> {
    let v4 = |start: usize| {
        let bytes: [u8; 4] = frame.get(start..start + 4)?.try_into().ok()?;
        Some(IpAddr::from(bytes))
    };
    let v6 = |start: usize| {
        let bytes: [u8; 16] = frame.get(start..start + 16)?.try_into().ok()?;
        Some(IpAddr::from(bytes))
    };
    match frame.get(12..14)? {
        [0x08, 0x06] => Some((v4(28)?, Use::Claim)),
        [0x08, 0x00] => Some((v4(26)?, Use::Packet)),
        [0x86, 0xdd] if frame.get(20) == Some(&58) && frame.get(54) == Some(&136) => {
            Some((v6(62)?, Use::Claim))
        }
        [0x86, 0xdd] => Some((v6(22)?, Use::Packet)),
        _ => None,
    }
}

/// Frames that the kernel dropped for want of room, since the last time this was asked.
pub(crate) fn lost(tap: &Socket) -> Result<u32, Errno> {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length =
        libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes at most `length` bytes into the structure that this option returns.
    let code = unsafe {
        libc::getsockopt(
            tap.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    Errno::result(code).map(|_| statistics.tp_drops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arp_probe_of_another_claims_nothing() {
        let mut frame = [0; 42];
        frame[6..12].copy_from_slice(&[2, 0x10, 0, 0, 0, 1]);
        frame[12..14].copy_from_slice(&[8, 6]);
        frame[38..42].copy_from_slice(&[10, 77, 0, 100]);
        let address = "10.77.0.100".parse().unwrap();
        assert_eq!(used(&frame, address), None);
        frame[28..32].copy_from_slice(&[10, 77, 0, 100]);
        assert_eq!(used(&frame, address), Some(("h1".to_owned(), Use::Claim)));
    }

    #[test]
    fn an_advertisement_claims_its_target() {
        let address: std::net::Ipv6Addr = "fd77::100".parse().unwrap();
        let mut frame = [0; 86];
        frame[6..12].copy_from_slice(&[2, 0x10, 0, 0, 0, 3]);
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        (frame[20], frame[54]) = (58, 136);
        frame[62..78].copy_from_slice(&address.octets());
        assert_eq!(
            used(&frame, address.into()),
            Some(("h3".to_owned(), Use::Claim))
        );
        assert_eq!(claimed(&frame), Some((address.into(), Use::Claim)));
        frame[54] = 135;
        assert_eq!(used(&frame, address.into()), None);
    }
}
