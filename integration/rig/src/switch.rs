//! A switch: a bridge in a namespace of its own, one port a host.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use anyhow::Result;

use crate::namespace::Namespace;
use crate::netlink::{End, Netlink, Passing};

const BRIDGE: &str = "br0";

/// A bridge in a namespace of its own. The root namespace would not do: a container engine filters bridged frames there.
pub(crate) struct Switch {
    namespace: Namespace,
    netlink: Netlink,
    bridge: u32,
    ports: BTreeMap<String, u32>,
}

impl Switch {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let namespace = Namespace::new(name)?;
        let mut netlink = namespace.call(|| {
            // The switch itself says nothing on any port.
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
            Netlink::open()
        })?;
        netlink.add_bridge(BRIDGE)?;
        let bridge = netlink.index(BRIDGE)?;
        Ok(Self {
            namespace,
            netlink,
            bridge,
            ports: BTreeMap::new(),
        })
    }

    /// The namespace, to listen in.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The interface index of every host's port.
    pub(crate) fn ports(&self) -> &BTreeMap<String, u32> {
        &self.ports
    }

    /// Lays a cable into a host's namespace and plugs it in.
    pub(crate) fn connect(
        &mut self,
        host: &str,
        port: [u8; 6],
        end: &End<'_>,
        namespace: BorrowedFd<'_>,
    ) -> Result<()> {
        self.netlink.add_cable(
            &End {
                name: host,
                mac: port,
            },
            end,
            namespace,
        )?;
        self.ports
            .insert(host.to_owned(), self.netlink.index(host)?);
        self.netlink.set_bridge(host, Some(self.bridge))?;
        self.netlink.set_up(host, true)
    }

    /// Removes a host's cable.
    pub(crate) fn disconnect(&mut self, host: &str) -> Result<()> {
        self.ports.remove(host);
        self.netlink.delete_link(host)
    }

    /// Unplugs on this side of the cable while the light stays on, or plugs in again.
    pub(crate) fn plug(&mut self, host: &str, plugged: bool) -> Result<()> {
        self.netlink
            .set_bridge(host, plugged.then_some(self.bridge))
    }

    /// Lets a port pass one direction only, or both.
    pub(crate) fn pass(&mut self, host: &str, passing: Passing) -> Result<()> {
        self.netlink.set_passing(host, passing)
    }

    /// The light on a host's port.
    pub(crate) fn light(&mut self, host: &str, on: bool) -> Result<()> {
        self.netlink.set_up(host, on)
    }
}
