//! The peer's end of the cable, frame by frame.

use std::io::{self, Read};
use std::time::Duration;

use socket2::Socket;

use super::world::World;
use crate::packet::open_raw;

/// A raw socket that sees every ARP and neighbour frame at the peer's end.
pub(super) struct Tap(Socket);

impl Tap {
    /// Opened in the peer's namespace.
    pub(super) fn at_peer(world: &World) -> Self {
        world.at_peer(|| {
            let index = nix::net::if_::if_nametoindex("peer0").unwrap();
            let socket = open_raw(index).unwrap();
            socket.set_nonblocking(false).unwrap();
            Self(socket)
        })
    }

    /// The next frame, or `None` after `patience`.
    pub(super) fn frame(&self, patience: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 128];
        match (&self.0).read(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Told once after the interface was down.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => None,
            Err(error) => panic!("reading frames at the peer: {error}"),
        }
    }

    /// Sends a frame onto the cable.
    pub(super) fn send(&self, frame: &[u8]) {
        self.0.send(frame).unwrap();
    }
}
