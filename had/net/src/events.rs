//! The kernel's events about interfaces and addresses, straight from its socket: nothing is queued in between, so that the
//! kernel's own buffer is the bound, and its overrun is seen.

use std::io;
use std::os::fd::AsRawFd;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::MulticastGroup;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::decode::{Tag, change_of};
use crate::table::Change;

/// Some 8,000 events of half a KiB fit (the kernel doubles it for its bookkeeping).
pub(crate) const RECEIVE_BUFFER: libc::c_int = 4 << 20;
/// Netlink datagrams of events are far smaller.
const DATAGRAM_MAX: usize = 64 << 10;
/// Datagrams read in one go; then the changes are acted upon, so that a burst does not delay a carrier's loss.
const DATAGRAMS_A_TURN: usize = 256;
/// After an overrun, the kernel drops what comes, and says so no more, until the queue has been emptied. The queue holds
/// fewer than this.
const DATAGRAMS_TO_EMPTY: usize = 65_536;

/// What the kernel told.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// In order.
    pub(crate) changes: Vec<Change>,
    /// Something was lost, or not understood: look at everything again.
    pub(crate) overrun: bool,
}

/// The socket.
pub(crate) struct Events {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
    tag: Tag,
}

impl Events {
    /// Subscribes to interfaces and addresses of this network namespace.
    pub(crate) fn subscribe(tag: Tag, receive_buffer: libc::c_int) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        raise_receive_buffer(&socket, receive_buffer)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            // Nothing else tells that IPv6 was switched on again on an interface.
            MulticastGroup::Ipv6Ifinfo,
        ] {
            socket.add_membership(group as u32)?;
        }
        // SAFETY: the socket owns its descriptor and keeps it until it is dropped, here.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(DATAGRAM_MAX),
            tag,
        })
    }

    /// Waits for events and takes what has piled up, within bounds. Nothing is lost where the wait is given up.
    pub(crate) async fn next(&mut self) -> io::Result<News> {
        let mut news = News::default();
        let mut ready = self.socket.readable().await?;
        let mut left = DATAGRAMS_A_TURN;
        while left > 0 {
            left -= 1;
            self.buffer.clear();
            match ready.try_io(|socket| socket.get_ref().recv_from(&mut self.buffer, 0)) {
                // What is older than the loss says nothing any more: everything will be asked for.
                Ok(Ok(_)) if news.overrun => {}
                Ok(Ok(_)) => decode(&self.buffer, self.tag, &mut news),
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    news = News {
                        changes: Vec::new(),
                        overrun: true,
                    };
                    left = DATAGRAMS_TO_EMPTY;
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => break,
            }
        }
        Ok(news)
    }
}

fn decode(mut datagram: &[u8], tag: Tag, news: &mut News) {
    while !datagram.is_empty() {
        let Some(length) = message_length(datagram) else {
            news.overrun = true;
            return;
        };
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&datagram[..length]) {
            Ok(message) => match message.payload {
                NetlinkPayload::InnerMessage(message) => {
                    news.changes.extend(change_of(&message, tag));
                }
                NetlinkPayload::Overrun(_) => news.overrun = true,
                _ => {}
            },
            Err(error) => {
                tracing::warn!(%error, "a message of the kernel was not understood");
                news.overrun = true;
            }
        }
        // NLMSG_ALIGNTO
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
    }
}

fn message_length(datagram: &[u8]) -> Option<usize> {
    let length = u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    (16..=datagram.len()).contains(&length).then_some(length)
}

/// Beyond the system's limit where that is permitted, else up to it.
fn raise_receive_buffer(socket: &Socket, bytes: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and the value is an int of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        socket.set_rx_buf_sz(bytes)
    }
}
