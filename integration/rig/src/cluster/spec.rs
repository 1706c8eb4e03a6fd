//! What a cluster in the lab looks like, and its file.

use std::fmt::Write as _;
use std::net::IpAddr;

/// The group with the virtual IPv4 address.
pub const GROUP: &str = "web";
/// The port of the daemons.
const PEERS: u16 = 7400;

/// What to build.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// How many nodes.
    pub nodes: u8,
    /// How many links between them; peers use all of them.
    pub links: u8,
    /// Certificates for every node; else `allow_insecure`.
    pub tls: bool,
    /// A virtual IPv6 address beside the IPv4 one, as a second resource of the group.
    pub ipv6: bool,
    /// `failback` of the group.
    pub failback: &'static str,
    /// `gate` of the cluster.
    pub gate: &'static str,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            nodes: 3,
            links: 1,
            tls: true,
            ipv6: true,
            failback: "manual",
            gate: "auto",
        }
    }
}

/// The virtual IPv4 address.
#[must_use]
pub fn vip() -> IpAddr {
    [10, 77, 0, 100].into()
}

/// The virtual IPv6 address.
#[must_use]
pub fn vip6() -> IpAddr {
    [0xfd77, 0, 0, 0, 0, 0, 0, 0x100].into()
}

impl ClusterSpec {
    /// The names of the nodes.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.nodes).map(|number| format!("h{number}"))
    }

    /// `cluster.toml`, the same on every node.
    pub(crate) fn file(&self, home: &str) -> String {
        let mut text = format!(
            "[cluster]\nname = \"lab\"\nheartbeat = \"100ms\"\nlease = \"300ms\"\ngate = \"{}\"\n",
            self.gate
        );
        if self.tls {
            let _ = writeln!(
                text,
                "\n[cluster.tls]\nca = \"{home}/ca.pem\"\ncert = \"{home}/node.pem\"\nkey = \"{home}/node.key\""
            );
        } else {
            text += "allow_insecure = true\n";
        }
        for number in 1..=self.nodes {
            let addresses: Vec<String> = (0..self.links)
                .map(|link| format!("\"10.{}.0.{number}:{PEERS}\"", 77 + link))
                .collect();
            let addresses = addresses.join(", ");
            let _ = writeln!(
                text,
                "\n[[node]]\nname = \"h{number}\"\naddresses = [{addresses}]"
            );
        }
        let priorities: Vec<String> = (1..=self.nodes)
            .map(|number| format!("{{ name = \"h{number}\", priority = {} }}", 200 - number))
            .collect();
        let _ = writeln!(
            text,
            "\n[[group]]\nname = \"{GROUP}\"\npolicy = \"idle-standby\"\nnodes = [{}]\nfailback = \"{}\"",
            priorities.join(", "),
            self.failback
        );
        text += &resource("vip", vip(), 24);
        if self.ipv6 {
            text += &resource("vip6", vip6(), 64);
        }
        text
    }
}

fn resource(name: &str, address: IpAddr, prefix: u8) -> String {
    format!(
        "\n[[group.resource]]\nname = \"{name}\"\nkind = \"vip\"\naddress = \"{address}/{prefix}\"\ninterface = \"eth0\"\n"
    )
}
