//! A tap on a switch that notes every use of some addresses, for hours; and one who asks again and again who has them.
//!
//! Frames are stamped by the kernel where their sender hands them to the cable (`net.core.netdev_tstamp_prequeue`), so that their
//! order is that of their sending, however late the tap or the switch comes round.

use std::collections::HashMap;
use std::io::{IoSliceMut, PipeWriter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{SockAddr, SockFilter, Socket};

use crate::host::Host;
use crate::lab::CLIENT_NUMBER;
use crate::switch::Switch;
use crate::wall::{WallNs, wall_ns};
use crate::wire::{self, Use};

/// Nobody's machine: who asks in its name disturbs no host's neighbour table but that of who answers.
const STRANGER: u8 = 51;
/// How often the stranger asks for each address.
const ASKS: Duration = Duration::from_millis(25);
/// The longest part of a frame that is looked at: Ethernet, IPv6, an advertisement with its target.
const LOOKED_AT: usize = 96;

/// A frame that left a host in the name of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// When its sender handed it to the cable.
    pub at: WallNs,
    /// The host's number, by the hardware address: 3 for h3.
    pub host: u8,
    /// What it was.
    pub how: Use,
}

/// Listens until it is dropped. It sees frames of a host also while the switch passes none of them on.
pub struct Sniffer {
    socket: Arc<Socket>,
    frames: Arc<Mutex<Vec<Vec<Left>>>>,
    lost: u64,
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    pub(crate) fn listen(switch: &Switch, addresses: &[IpAddr]) -> Result<Self> {
        let socket = switch.namespace().call(|| {
            let socket = wire::open()?;
            socket.attach_filter(&interesting())?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            Ok(socket)
        })?;
        let socket = Arc::new(socket);
        let frames = Arc::new(Mutex::new(vec![Vec::new(); addresses.len()]));
        let (ended, end) = std::io::pipe().context("making a pipe")?;
        let places: HashMap<IpAddr, usize> = addresses.iter().copied().zip(0..).collect();
        let (tap, shared) = (socket.clone(), frames.clone());
        let thread = std::thread::Builder::new()
            .name("sniffer".to_owned())
            .spawn(move || {
                crate::client::hurry();
                while wire::wait(&tap, &ended) {
                    while let Some((address, left)) = next(&tap) {
                        let Some(place) = address.and_then(|address| places.get(&address)) else {
                            continue;
                        };
                        shared.lock().unwrap_or_else(PoisonError::into_inner)[*place].push(left);
                    }
                }
            })
            .context("starting the tap")?;
        Ok(Self {
            socket,
            frames,
            lost: 0,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// What left in the name of the address of this number since the last call; it is forgotten here.
    #[must_use]
    pub fn take(&self, number: usize) -> Vec<Left> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut frames[number])
    }

    /// How many frames the kernel dropped for want of room, from the beginning: each may have been proof.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn lost(&mut self) -> Result<u64> {
        self.lost += u64::from(wire::lost(&self.socket).context("asking for lost frames")?);
        Ok(self.lost)
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Fetches a frame: whose address it uses, where it uses one.
fn next(tap: &Socket) -> Option<(Option<IpAddr>, Left)> {
    let mut frame = [0; LOOKED_AT];
    let mut control = cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(&mut frame)];
    let fd = tap.as_raw_fd();
    let message =
        recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty());
    let message = message.ok()?;
    let at = message.cmsgs().ok()?.find_map(|one| match one {
        ControlMessageOwned::ScmTimestampns(at) => {
            let seconds = u64::try_from(at.tv_sec()).ok()?;
            Some(seconds * 1_000_000_000 + u64::try_from(at.tv_nsec()).ok()?)
        }
        _ => None,
    });
    let at = at.unwrap_or_else(wall_ns);
    let length = message.bytes.min(LOOKED_AT);
    let used = wire::claimed(&frame[..length]);
    let host = frame[11];
    let (address, how) = used.map_or((None, Use::Packet), |(address, how)| (Some(address), how));
    Some((address, Left { at, host, how }))
}

/// ARP, IPv6, and UDP over IPv4, from hosts alone.
fn interesting() -> [SockFilter; 11] {
    let op = |code: u32, jt, jf, k| SockFilter::new(u16::try_from(code).unwrap_or(0), jt, jf, k);
    let load_half = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    let load_byte = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let end = libc::BPF_RET | libc::BPF_K;
    [
        // The last byte of the sender's hardware address is its number.
        op(load_byte, 0, 0, 11),
        op(equal, 8, 0, u32::from(CLIENT_NUMBER)),
        op(equal, 7, 0, u32::from(STRANGER)),
        op(load_half, 0, 0, 12),
        op(equal, 4, 0, 0x0806),
        op(equal, 3, 0, 0x86dd),
        op(equal, 0, 3, 0x0800),
        op(load_byte, 0, 0, 23),
        op(equal, 0, 1, 17),
        op(end, 0, 0, 96),
        op(end, 0, 0, 0),
    ]
}

/// Asks the whole network who has each address, again and again, as one who has just come would: whoever believes to have it
/// claims it, also one whom no client asks any more.
pub struct Stranger {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Starts to ask from a host, in the name of a machine that does not exist.
    ///
    /// # Errors
    /// Where the socket cannot be opened.
    pub fn start(host: &Host, addresses: &[IpAddr]) -> Result<Self> {
        let socket = host.call(|| {
            let socket = wire::open()?;
            let index = nix::net::if_::if_nametoindex("eth0").context("the client's link")?;
            socket.bind(&link_address(index)?)?;
            // It only speaks.
            let nothing = u16::try_from(libc::BPF_RET | libc::BPF_K)?;
            socket.attach_filter(&[SockFilter::new(nothing, 0, 0, 0)])?;
            Ok(socket)
        })?;
        let questions: Vec<Vec<u8>> = addresses.iter().map(|address| question(*address)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("stranger".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    for question in &questions {
                        // One that is lost is asked again.
                        let _ = socket.send(question);
                    }
                    std::thread::sleep(ASKS);
                }
            })
            .context("a thread")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn link_address(index: u32) -> Result<SockAddr> {
    // SAFETY: the structure that the closure fills is as long as it says and of the family that it names.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let address: *mut libc::sockaddr_ll = storage.cast();
            (*address).sll_family = 17;
            (*address).sll_protocol = 0;
            (*address).sll_ifindex = i32::try_from(index).unwrap_or(0);
            *length = 20;
            Ok(())
        })
    }
    .context("a link's address")?;
    Ok(address)
}

const STRANGER_MAC: [u8; 6] = [0x02, 0x10, 0, 0, 0, STRANGER];

/// "Who has it?" (RFC 826), or a neighbour solicitation (RFC 4861 §4.3).
fn question(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => who_has(address),
        IpAddr::V6(address) => solicitation(address),
    }
}

fn who_has(address: Ipv4Addr) -> Vec<u8> {
    let own = [10, 77, 0, STRANGER];
    let mut frame = vec![0xff; 6];
    frame.extend(STRANGER_MAC);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(STRANGER_MAC);
    frame.extend(own);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

fn solicitation(address: Ipv6Addr) -> Vec<u8> {
    let target = address.octets();
    let own = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(STRANGER)).octets();
    let last = &target[13..];
    let mut to = [0; 16];
    to[..13].copy_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
    to[13..].copy_from_slice(last);
    let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target);
    body.extend([1, 1]);
    body.extend(STRANGER_MAC);
    let sum = checksum(&[&own, &to, &[0, 0, 0, 32, 0, 0, 0, 58], &body]);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0xff];
    frame.extend(last);
    frame.extend(STRANGER_MAC);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(own);
    frame.extend(to);
    frame.extend(body);
    frame
}

/// RFC 1071, over parts of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let mut sum: u32 = words
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_carries_a_checksum_that_sums_up_to_nothing() {
        let frame = question("fd77::100".parse().unwrap());
        assert_eq!(frame.len(), 14 + 40 + 32);
        let (addresses, body) = (&frame[22..54], &frame[54..]);
        assert_eq!(checksum(&[addresses, &[0, 0, 0, 32, 0, 0, 0, 58], body]), 0);
        assert_eq!(question("10.77.0.100".parse().unwrap()).len(), 42);
    }
}
