//! The network: switches, hosts, a client, and what goes wrong between them.

mod faults;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, anyhow};

use crate::host::Host;
use crate::netlink::End;
use crate::rules::Rules;
use crate::sniffer::Sniffer;
use crate::switch::Switch;
use crate::wire::Wire;

/// The client's name.
pub const CLIENT: &str = "c1";
/// The client's number: its address is 10.77.0.50.
pub(crate) const CLIENT_NUMBER: u8 = 50;

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct LabSpec {
    /// How many hosts: h1, h2, …
    pub hosts: u8,
    /// How many links each host has, on a switch of its own each: eth0 in 10.77.0.0/24 and fd77::/64, eth1 in
    /// 10.78.0.0/24 and fd78::/64. The client has eth0 alone.
    pub links: u8,
    /// How many IPv4 networks the first link has: 10.77.0.0/24, 10.77.1.0/24, … Everybody has its number in each.
    pub networks: u8,
}

impl Default for LabSpec {
    fn default() -> Self {
        Self {
            hosts: 3,
            links: 1,
            networks: 1,
        }
    }
}

/// Switches, hosts and a client. Ends with everything in it when dropped.
pub struct Lab {
    // Hosts before switches: their ends of the cables go first.
    hosts: BTreeMap<String, Host>,
    switches: Vec<Switch>,
    numbers: BTreeMap<String, u8>,
    links: u8,
    networks: u8,
    /// How many cables beyond those of its links each host has had.
    cables: BTreeMap<String, u8>,
}

impl Lab {
    /// Builds it. The calling process must be a lab process ([`crate::enter`]).
    ///
    /// # Errors
    /// Where the kernel refuses a namespace or a link.
    pub fn new(spec: LabSpec) -> Result<Self> {
        let switches = (0..spec.links).map(|link| Switch::new(&format!("s{}", link + 1)));
        let mut lab = Self {
            hosts: BTreeMap::new(),
            switches: switches.collect::<Result<_>>()?,
            numbers: (1..=spec.hosts)
                .map(|number| (format!("h{number}"), number))
                .collect(),
            links: spec.links,
            networks: spec.networks,
            cables: BTreeMap::new(),
        };
        lab.numbers.insert(CLIENT.to_owned(), CLIENT_NUMBER);
        for name in lab.numbers.keys().cloned().collect::<Vec<_>>() {
            lab.hosts.insert(name.clone(), Host::new(&name)?);
            lab.connect(&name)?;
        }
        Ok(lab)
    }

    /// The names of the hosts, without the client.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.numbers
            .keys()
            .map(String::as_str)
            .filter(|name| *name != CLIENT)
    }

    /// A host.
    ///
    /// # Errors
    /// Where none has this name.
    pub fn host(&mut self, name: &str) -> Result<&mut Host> {
        self.hosts
            .get_mut(name)
            .with_context(|| format!("there is no host {name}"))
    }

    /// The client's machine.
    ///
    /// # Errors
    /// Never in a lab that was built.
    pub fn client(&mut self) -> Result<&mut Host> {
        self.host(CLIENT)
    }

    /// A host's own IPv4 address on a link.
    ///
    /// # Errors
    /// Where no host has this name.
    pub fn address(&self, host: &str, link: u8) -> Result<Ipv4Addr> {
        self.number(host)
            .map(|number| Ipv4Addr::new(10, 77 + link, 0, number))
    }

    /// Lays another cable from a host to the switch of a link; the interface at its end is down and has no address.
    ///
    /// # Errors
    /// Where there is no such host or link, or it has this interface already.
    pub fn cable(&mut self, host: &str, link: u8, interface: &str) -> Result<()> {
        let number = self.number(host)?;
        let taken = self.cables.entry(host.to_owned()).or_default();
        *taken += 1;
        let place = 0x80 + *taken;
        let network = self.hosts.get(host).context("no such host")?;
        let network = network.namespace()?.network();
        let switch = self
            .switches
            .get_mut(usize::from(link))
            .context("no such link")?;
        let end = End {
            name: interface,
            mac: mac(0x10, place, number),
        };
        let port = format!("{host}-{interface}");
        switch.connect(&port, mac(0x20, place, number), &end, network)
    }

    /// Notes every frame that leaves a host on a link with this address as its source or sender.
    ///
    /// # Errors
    /// Where there is no such link, or the socket cannot be opened.
    pub fn listen(&self, link: u8, address: IpAddr) -> Result<Wire> {
        let switch = self
            .switches
            .get(usize::from(link))
            .context("there is no such link")?;
        Wire::listen(switch, address)
    }

    /// Notes every use of these addresses by a host on a link.
    ///
    /// # Errors
    /// As [`Lab::listen`].
    pub fn sniff(&self, link: u8, addresses: &[IpAddr]) -> Result<Sniffer> {
        let switch = self
            .switches
            .get(usize::from(link))
            .context("there is no such link")?;
        Sniffer::listen(switch, addresses)
    }

    /// What the switch of a link loses from now on, instead of what it lost before.
    ///
    /// # Errors
    /// Where `nft` is missing or refuses.
    pub fn rule(&mut self, link: u8, rules: &Rules) -> Result<()> {
        rules.apply(self.switch(link)?)
    }

    /// The client is on the first link alone.
    fn links(&self, host: &str) -> u8 {
        if host == CLIENT { 1 } else { self.links }
    }

    /// Lays the cables of a host and gives it its addresses.
    fn connect(&mut self, name: &str) -> Result<()> {
        let number = self.number(name)?;
        for link in 0..self.links(name) {
            let interface = format!("eth{link}");
            let host = self
                .hosts
                .get_mut(name)
                .ok_or_else(|| anyhow!("no host {name}"))?;
            let switch = self
                .switches
                .get_mut(usize::from(link))
                .context("no such link")?;
            let end = End {
                name: &interface,
                mac: mac(0x10, link, number),
            };
            let network = host.namespace()?.network();
            switch.connect(name, mac(0x20, link, number), &end, network)?;
            let netlink = host.netlink()?;
            netlink.set_up(&interface, true)?;
            for network in 0..if link == 0 { self.networks } else { 1 } {
                let v4 = Ipv4Addr::new(10, 77 + link, network, number);
                netlink.add_address(&interface, v4.into(), 24)?;
            }
            let v6 = self.address6(name, link)?;
            let host = self.host(name)?;
            host.add_address(&interface, v6.into(), 64)?;
        }
        Ok(())
    }

    /// A host's own IPv6 address on a link. The number as it is written: fd77::50 for 10.77.0.50.
    fn address6(&self, host: &str, link: u8) -> Result<Ipv6Addr> {
        let written = u16::from_str_radix(&self.number(host)?.to_string(), 16)?;
        let network = 0xfd77 + u16::from(link);
        Ok(Ipv6Addr::new(network, 0, 0, 0, 0, 0, 0, written))
    }

    fn number(&self, host: &str) -> Result<u8> {
        self.numbers
            .get(host)
            .copied()
            .with_context(|| format!("there is no host {host}"))
    }

    fn switch(&mut self, link: u8) -> Result<&mut Switch> {
        let text = format!("there is no link eth{link}");
        self.switches.get_mut(usize::from(link)).context(text)
    }
}

/// Fixed addresses, locally administered: readable in a trace. `10` an interface of a host, `20` a port of a switch.
fn mac(kind: u8, link: u8, number: u8) -> [u8; 6] {
    [0x02, kind, 0, 0, link, number]
}

/// The number of a host by its name.
pub(crate) fn number_of(name: &str) -> Option<u8> {
    name.strip_prefix('h')?.parse().ok()
}

/// The host behind a hardware address of [`mac`].
pub(crate) fn owner_of(mac: &[u8]) -> Option<String> {
    match mac {
        [0x02, 0x10, 0, 0, _, CLIENT_NUMBER] => Some(CLIENT.to_owned()),
        [0x02, 0x10, 0, 0, _, number] => Some(format!("h{number}")),
        _ => None,
    }
}
