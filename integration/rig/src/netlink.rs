//! Requests to the kernel's routing netlink, one at a time, each answered before the call returns.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoVeth, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
};

/// A socket in the namespace in which it was opened, whoever uses it later.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// What a port of the bridge lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Passing {
    /// From the host into the switch.
    pub(crate) inward: bool,
    /// From the switch to the host.
    pub(crate) outward: bool,
}

/// One end of a new cable.
pub(crate) struct End<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
}

impl Netlink {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).context("opening a netlink socket")?;
        socket.bind_auto().context("binding a netlink socket")?;
        socket
            .connect(&SocketAddr::new(0, 0))
            .context("connecting a netlink socket")?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Makes a bridge without spanning tree or snooping: every port forwards at once, everything is flooded.
    pub(crate) fn add_bridge(&mut self, name: &str) -> Result<()> {
        let bridge = LinkBridge::new(name).mcast_snooping(false).build();
        self.create(&format!("making bridge {name}"), bridge)
    }

    /// Makes a cable: `here` in this namespace, `there` in another, both down.
    pub(crate) fn add_cable(
        &mut self,
        here: &End<'_>,
        there: &End<'_>,
        namespace: BorrowedFd<'_>,
    ) -> Result<()> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(there.name)
            .address(there.mac.to_vec())
            .setns_by_fd(namespace.as_raw_fd())
            .build();
        let cable = LinkVeth::new(here.name, there.name)
            .address(here.mac.to_vec())
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        self.create(&format!("laying a cable to {}", here.name), cable)
    }

    /// Removes a link, and with it the other end of its cable.
    pub(crate) fn delete_link(&mut self, name: &str) -> Result<()> {
        let link = LinkUnspec::new_with_name(name).build();
        self.run(
            &format!("removing {name}"),
            RouteNetlinkMessage::DelLink(link),
            0,
        )
    }

    /// Sets a link up or down.
    pub(crate) fn set_up(&mut self, name: &str, up: bool) -> Result<()> {
        let link = LinkUnspec::new_with_name(name);
        let link = if up { link.up() } else { link.down() }.build();
        let word = if up { "up" } else { "down" };
        self.run(
            &format!("setting {name} {word}"),
            RouteNetlinkMessage::SetLink(link),
            0,
        )
    }

    /// Puts a link into a bridge, or takes it out.
    pub(crate) fn set_bridge(&mut self, name: &str, bridge: Option<u32>) -> Result<()> {
        let link = LinkUnspec::new_with_name(name);
        let link = match bridge {
            Some(index) => link.controller(index),
            None => link.nocontroller(),
        };
        self.run(
            &format!("plugging {name}"),
            RouteNetlinkMessage::SetLink(link.build()),
            0,
        )
    }

    /// Lets a port of a bridge pass only what it should, without the host noticing. Outward: nothing is learned on the
    /// port and nothing flooded to it. Inward: a locked port takes frames only from addresses that it knows, and it
    /// knows none.
    pub(crate) fn set_passing(&mut self, name: &str, passing: Passing) -> Result<()> {
        let whole = passing.inward && passing.outward;
        let port = LinkBridgePort::new(self.index(name)?)
            .locked(!passing.inward)
            .learning(whole)
            .flood(passing.outward)
            .mcast_flood(passing.outward)
            .bcast_flood(passing.outward);
        let port = if whole { port } else { port.fdb_flush() }.build();
        self.run(
            &format!("filtering {name}"),
            RouteNetlinkMessage::NewLink(port),
            0,
        )
    }

    /// Adds an address; an IPv6 one is usable at once (no duplicate address detection).
    pub(crate) fn add_address(&mut self, link: &str, address: IpAddr, prefix: u8) -> Result<()> {
        let mut message = self.address(link, address, prefix)?;
        if address.is_ipv6() {
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let what = format!("adding {address} to {link}");
        self.run(&what, RouteNetlinkMessage::NewAddress(message), flags)
    }

    /// Removes an address; an IPv4 one whatever its prefix.
    pub(crate) fn delete_address(&mut self, link: &str, address: IpAddr, prefix: u8) -> Result<()> {
        let mut message = self.address(link, address, prefix)?;
        if address.is_ipv4() {
            // Without it the kernel compares the address alone.
            message
                .attributes
                .retain(|one| !matches!(one, AddressAttribute::Address(_)));
        }
        let what = format!("removing {address} from {link}");
        self.run(&what, RouteNetlinkMessage::DelAddress(message), 0)
    }

    /// The index of a link.
    pub(crate) fn index(&mut self, name: &str) -> Result<u32> {
        let link = LinkUnspec::new_with_name(name).build();
        let what = format!("looking for {name}");
        match self.exchange(&what, RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST)? {
            Some(RouteNetlinkMessage::NewLink(link)) => Ok(link.header.index),
            _ => bail!("{what}: the kernel did not say"),
        }
    }

    fn address(&mut self, link: &str, address: IpAddr, prefix: u8) -> Result<AddressMessage> {
        let index = self.index(link)?;
        Ok(match address {
            IpAddr::V4(address) => AddressMessageBuilder::<std::net::Ipv4Addr>::new()
                .index(index)
                .address(address, prefix)
                .build(),
            IpAddr::V6(address) => AddressMessageBuilder::<std::net::Ipv6Addr>::new()
                .index(index)
                .address(address, prefix)
                .build(),
        })
    }

    fn create(&mut self, what: &str, link: LinkMessage) -> Result<()> {
        self.run(
            what,
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Sends a request and waits for its acknowledgement.
    fn run(&mut self, what: &str, message: RouteNetlinkMessage, flags: u16) -> Result<()> {
        self.exchange(what, message, NLM_F_REQUEST | NLM_F_ACK | flags)
            .map(|_| ())
    }

    fn exchange(
        &mut self,
        what: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Option<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket
            .send(&bytes, 0)
            .with_context(|| what.to_owned())?;
        loop {
            let (bytes, _) = self
                .socket
                .recv_from_full()
                .with_context(|| what.to_owned())?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes)
                .with_context(|| format!("{what}: reading the kernel's answer"))?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    Err(error.to_io()).with_context(|| what.to_owned())
                }
                NetlinkPayload::InnerMessage(message) => Ok(Some(message)),
                _ => Ok(None),
            };
        }
    }
}
