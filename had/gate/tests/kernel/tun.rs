//! A tun interface: what is written to its descriptor comes in, what goes out can be read.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Instant;

use crate::frames::{IPV4, IPV6};
use crate::lab::{PATIENCE, in_user_namespace};
use crate::wire::Packets;

pub(crate) struct Tunnel {
    file: File,
    name: &'static str,
}

impl Tunnel {
    /// `None` where an ordinary user may not have one.
    pub(crate) fn new(name: &'static str) -> Option<Self> {
        const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
        const IFF_TUN_NO_PI: u16 = 0x1001;
        let file = match File::options().read(true).write(true).open("/dev/net/tun") {
            Err(error) if in_user_namespace() && error.kind() == ErrorKind::PermissionDenied => {
                return None;
            }
            other => other.unwrap(),
        };
        let mut request = [0u8; 40];
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[16..18].copy_from_slice(&IFF_TUN_NO_PI.to_ne_bytes());
        // SAFETY: `request` is a `struct ifreq`; the descriptor's flags are plain.
        unsafe {
            let set = libc::ioctl(file.as_raw_fd(), TUNSETIFF, request.as_mut_ptr());
            assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
            libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        }
        Some(Self { file, name })
    }

    /// Whether a packet comes in; `marker` is one that always does.
    pub(crate) fn passes_in(&self, packet: &[u8], marker: &[u8]) -> bool {
        let listener = Packets::on(self.name, protocol(packet));
        let markers = Packets::on(self.name, protocol(marker));
        (&self.file).write_all(packet).unwrap();
        (&self.file).write_all(marker).unwrap();
        markers.await_frame(marker);
        listener.has(&[packet])
    }

    /// Whether a packet goes out.
    pub(crate) fn passes_out(&self, packet: &[u8]) -> bool {
        let sender = Packets::on(self.name, protocol(packet));
        let marker = [&[0x4f], &[0; 63][..]].concat();
        sender.send(packet);
        sender.send(&marker);
        let mut seen = false;
        let (start, mut buffer) = (Instant::now(), [0; 2048]);
        loop {
            assert!(start.elapsed() < PATIENCE, "the marker is missing");
            let Ok(length) = (&self.file).read(&mut buffer) else {
                continue;
            };
            seen |= &buffer[..length] == packet;
            if buffer[..length] == marker {
                return seen;
            }
        }
    }
}

fn protocol(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 4 { IPV4 } else { IPV6 }
}
