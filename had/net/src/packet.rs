//! A raw socket on one interface: sends announcements and probes, hears who else claims an address.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, SockAddr, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::frames::{
    ETHERTYPE_ARP, ETHERTYPE_IPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION,
    NEXT_HEADER_ICMPV6, Sighting, sighting,
};

/// Enough for a neighbour advertisement with its option (86 bytes); the rest of a frame is not looked at.
const SNAP_LEN: u32 = 128;
/// Frames read before other tasks get their turn, so that a storm of ARP starves nobody.
const FRAMES_A_TURN: usize = 64;
/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h` (Linux 4.20), unknown to libc.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// A claim heard on an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// Of the interface.
    pub(crate) index: u32,
    pub(crate) sighting: Sighting,
}

/// The raw socket of one interface and the task that listens on it. Dropping it ends both.
pub(crate) struct Port {
    socket: Arc<AsyncFd<Socket>>,
    listener: JoinHandle<()>,
}

impl Port {
    /// Opens the socket, so that a later frame costs one system call. What it hears goes to `claims`; where that is
    /// full, the claim is dropped: whoever holds an address says so again.
    pub(crate) fn open(index: u32, claims: mpsc::Sender<Heard>) -> io::Result<Self> {
        let socket = open_raw(index)?;
        // SAFETY: the socket owns its descriptor and keeps it until it is dropped, with the last reference.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        let socket = Arc::new(socket);
        let listener = tokio::spawn(listen(index, Arc::clone(&socket), claims));
        Ok(Self { socket, listener })
    }

    /// Sends one frame, without waiting: a full queue or a dead link is an error like any other.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.get_ref().send(frame).map(|_| ())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A socket that hears the interface's claims and sends any frame.
pub(crate) fn open_raw(index: u32) -> io::Result<Socket> {
    // Protocol 0: nothing arrives before the filter is in place and the interface is chosen.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_nonblocking(true)?;
    socket.attach_filter(&filter())?;
    ignore_outgoing(&socket);
    socket.bind(&link_address(index)?)?;
    Ok(socket)
}

/// Reads for as long as the socket lives; an interface that is set down gives an error and then goes on.
async fn listen(index: u32, socket: Arc<AsyncFd<Socket>>, claims: mpsc::Sender<Heard>) {
    let mut frame = [0; SNAP_LEN as usize];
    loop {
        let Ok(mut ready) = socket.readable().await else {
            return;
        };
        for _ in 0..FRAMES_A_TURN {
            match ready.try_io(|socket| socket.get_ref().read(&mut frame)) {
                Ok(Ok(length)) => {
                    if let Some(sighting) = sighting(&frame[..length]) {
                        let _ = claims.try_send(Heard { index, sighting });
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(index, %error, "reading frames");
                    break;
                }
                Err(_would_block) => break,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Not needed for correctness: our own frames are known by their hardware address. It spares copying them.
fn ignore_outgoing(socket: &Socket) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value is an int of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result != 0 {
        tracing::debug!("this kernel shows outgoing frames to raw sockets");
    }
}

/// All protocols: such a socket hears frames before traffic control does, so that the gate on the way in, shut, does not
/// hide an answer to a probe.
fn link_address(index: u32) -> io::Result<SockAddr> {
    let index = libc::c_int::try_from(index).map_err(io::Error::other)?;
    let all = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?;
    // SAFETY: the storage is zeroed, aligned for and larger than a sockaddr_ll; family and length say what was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family =
                libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
            (*link).sll_protocol = all.to_be();
            (*link).sll_ifindex = index;
            *length = length_of::<libc::sockaddr_ll>();
            Ok(())
        })?
    };
    Ok(address)
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("socket structures are small")
}

/// Classic BPF: untagged ARP, and neighbour solicitations and advertisements; everything else is left in the kernel.
fn filter() -> [SockFilter; 12] {
    // Frames of a VLAN above this interface are another link's matter: SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT.
    const VLAN_TAG_PRESENT: u32 = (-0x1000_i32 + 48).cast_unsigned();
    const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let op = |code: u32, if_true: u8, if_false: u8, value: u32| {
        let code = u16::try_from(code).expect("classic BPF's codes have 8 bits");
        SockFilter::new(code, if_true, if_false, value)
    };
    [
        op(LOAD_WORD, 0, 0, VLAN_TAG_PRESENT),
        op(EQUAL, 0, 8, 0),
        op(LOAD_HALF, 0, 0, 12),
        op(EQUAL, 7, 0, ETHERTYPE_ARP.into()),
        op(EQUAL, 0, 5, ETHERTYPE_IPV6.into()),
        op(LOAD_BYTE, 0, 0, 20),
        op(EQUAL, 0, 3, NEXT_HEADER_ICMPV6.into()),
        op(LOAD_BYTE, 0, 0, 54),
        op(EQUAL, 2, 0, NEIGHBOUR_SOLICITATION.into()),
        op(EQUAL, 1, 0, NEIGHBOUR_ADVERTISEMENT.into()),
        op(RETURN, 0, 0, 0),
        op(RETURN, 0, 0, SNAP_LEN),
    ]
}
