//! The service behind the virtual address: says who answered.

use std::io::{IoSlice, IoSliceMut, PipeWriter};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::client::SEQUENCE_BYTES;
use crate::host::Host;

/// Answers every datagram on a port with its sequence number and the host's name, from the address that was asked.
/// Ends when dropped.
pub(crate) struct Responder {
    thread: Option<JoinHandle<()>>,
    stop: Option<PipeWriter>,
}

impl Responder {
    pub(crate) fn start(host: &Host, port: u16) -> Result<Self> {
        let sockets = host.call(move || {
            let v4 = bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())?;
            setsockopt(&v4, sockopt::Ipv4PacketInfo, &true)?;
            let v6 = bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into())?;
            setsockopt(&v6, sockopt::Ipv6RecvPacketInfo, &true)?;
            Ok([v4, v6])
        })?;
        let name = host.name().as_bytes().to_vec();
        let (stopped, stop) = std::io::pipe().context("making a pipe")?;
        let thread = std::thread::Builder::new()
            .name(format!("{}-answers", host.name()))
            .spawn(move || {
                crate::client::hurry();
                // The writing end is closed when the responder is dropped.
                while wait(&sockets, &stopped) {
                    sockets
                        .iter()
                        .for_each(|socket| while answer(socket, &name).is_some() {});
                }
            })
            .context("starting a thread")?;
        Ok(Self {
            thread: Some(thread),
            stop: Some(stop),
        })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bind(domain: Domain, address: std::net::SocketAddr) -> Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).context("a UDP socket")?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket
        .bind(&SockAddr::from(address))
        .with_context(|| format!("binding {address}"))?;
    Ok(socket)
}

/// Waits for a datagram; false when it is time to end.
fn wait(sockets: &[Socket; 2], stopped: &impl AsFd) -> bool {
    let mut waiting = [
        PollFd::new(sockets[0].as_fd(), PollFlags::POLLIN),
        PollFd::new(sockets[1].as_fd(), PollFlags::POLLIN),
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
    ];
    let _ = poll(&mut waiting, PollTimeout::NONE);
    waiting[2].revents().is_none_or(|events| events.is_empty())
}

/// Answers one datagram; nothing where none waits. An answer that cannot be sent (the address has just gone) is lost,
/// as it would be on the wire.
fn answer(socket: &Socket, name: &[u8]) -> Option<()> {
    let mut ask = [0; SEQUENCE_BYTES];
    let mut control = cmsg_space!(libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(&mut ask)];
    let fd = socket.as_raw_fd();
    let message =
        recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty()).ok()?;
    let asker = message.address;
    let asked = message.cmsgs().ok()?.next();
    let (length, mut v4, mut v6) = (message.bytes, None, None);
    match asked {
        Some(ControlMessageOwned::Ipv4PacketInfo(mut info)) => {
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            v4 = Some(info);
        }
        Some(ControlMessageOwned::Ipv6PacketInfo(mut info)) => {
            info.ipi6_ifindex = 0;
            v6 = Some(info);
        }
        _ => {}
    }
    let from = v4
        .as_ref()
        .map(ControlMessage::Ipv4PacketInfo)
        .or(v6.as_ref().map(ControlMessage::Ipv6PacketInfo));
    let parts = [
        IoSlice::new(&ask[..length.min(SEQUENCE_BYTES)]),
        IoSlice::new(name),
    ];
    let _ = sendmsg(
        fd,
        &parts,
        from.as_slice(),
        MsgFlags::empty(),
        asker.as_ref(),
    );
    Some(())
}
