//! A service on the host, and a client at the peer that asks a guarded address.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::lab::{HOST, HOST6, Lab, PATIENCE, VIPS, VIPS6, boot_ns, ip};

const PORT: u16 = 7;

/// Answers every datagram from the address that was asked, in the order of arrival.
pub(crate) struct Echo(Arc<AtomicBool>);

impl Echo {
    /// In this thread's namespace.
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind(("::", PORT)).unwrap();
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                answer(&socket);
            }
        });
        Self(stop)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answer(socket: &UdpSocket) {
    let mut data = [0; 64];
    let mut space = nix::cmsg_space!(libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(&mut data)];
    let fd = socket.as_raw_fd();
    let got = recvmsg::<SockaddrIn6>(fd, &mut slices, Some(&mut space), MsgFlags::empty());
    let Ok(got) = got else { return };
    let asked = got.cmsgs().unwrap().find_map(|message| match message {
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
        _ => None,
    });
    let (length, from) = (got.bytes, got.address.unwrap());
    let mut info = asked.unwrap();
    info.ipi6_ifindex = 0;
    // A gate that is shut may refuse the answer: the client's marker tells.
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    let _ = sendmsg(
        fd,
        &[IoSlice::new(&data[..length])],
        &control,
        MsgFlags::empty(),
        Some(&from),
    );
}

/// Asks a guarded address, then one that always answers: order tells what was dropped.
pub(crate) struct Client {
    socket: UdpSocket,
    guarded: SocketAddr,
    marker: SocketAddr,
    question: AtomicU64,
}

impl Client {
    /// One for each family of a group's addresses. The peer knows their hardware address: what is judged is the traffic.
    pub(crate) fn for_both_families(lab: &Lab, group: usize) -> [Self; 2] {
        let pairs: [(IpAddr, IpAddr); 2] = [
            (VIPS[group].into(), HOST.into()),
            (VIPS6[group].into(), HOST6.into()),
        ];
        pairs.map(|(vip, own)| {
            lab.peer.run(|| {
                for address in [vip, own] {
                    ip(&format!(
                        "neigh replace {address} lladdr 02:00:00:00:00:01 dev p0 nud permanent"
                    ));
                }
                let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
                let (guarded, marker) = ((vip, PORT).into(), (own, PORT).into());
                Self {
                    socket,
                    guarded,
                    marker,
                    question: AtomicU64::new(0),
                }
            })
        })
    }

    /// Whether the guarded address answers one question.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered_at().is_some()
    }

    /// When the answer of the guarded address to one question reached this end of the cable, on `CLOCK_BOOTTIME`:
    /// by the kernel's stamp, however late this thread came to read it.
    pub(crate) fn answered_at(&self) -> Option<u64> {
        let question = self.question.fetch_add(1, Ordering::Relaxed);
        let mut answered = None;
        self.socket
            .send_to(&question.to_ne_bytes(), self.guarded)
            .unwrap();
        for _ in 0..2 {
            self.socket
                .send_to(&question.to_ne_bytes(), self.marker)
                .unwrap();
            loop {
                let (answer, from, at) = self.receive();
                if from == self.guarded && answer == question {
                    answered = Some(at);
                }
                if from == self.marker && answer == question {
                    break;
                }
            }
        }
        answered
    }

    fn receive(&self) -> (u64, SocketAddr, u64) {
        let mut data = [0; 8];
        let mut space = nix::cmsg_space!(TimeSpec);
        let mut slices = [IoSliceMut::new(&mut data)];
        let fd = self.socket.as_raw_fd();
        let got = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), MsgFlags::empty())
            .unwrap();
        let stamp = got.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let now = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME).unwrap());
        let age = u64::try_from((now - stamp.unwrap()).as_nanos()).unwrap();
        let from = got.address.unwrap();
        let from = from.as_sockaddr_in().map_or_else(
            || SocketAddr::V6((*from.as_sockaddr_in6().unwrap()).into()),
            |v4| SocketAddr::V4((*v4).into()),
        );
        (u64::from_ne_bytes(data), from, boot_ns() - age)
    }
}
