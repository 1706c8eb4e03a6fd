//! What a cluster in the lab looks like, and its file.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::group::{GroupText, vip_of};

/// The group that a cluster has where its spec names none.
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
    /// A virtual IPv6 address beside the IPv4 one, as a second resource of [`GROUP`].
    pub ipv6: bool,
    /// `failback` of [`GROUP`].
    pub failback: &'static str,
    /// `gate` of the cluster.
    pub gate: &'static str,
    /// `lease` of the cluster, milliseconds; a heartbeat is a third of it.
    pub lease_ms: u32,
    /// `capacity` of the nodes, from h1 on; a node without one here has none in the file.
    pub capacities: Vec<u32>,
    /// The last node only votes.
    pub witness: bool,
    /// Every node keeps its decisions on a disk of its own that [`super::Cluster::fill_disk`] fills; a loss of power
    /// empties it.
    pub small_disks: bool,
    /// What the daemons find in their environment beside what the rig's own process has.
    pub environment: Vec<(&'static str, &'static str)>,
    /// The groups. Where there are none: [`GROUP`], idle-standby, h1 before h2 and so on.
    pub groups: Vec<GroupText>,
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
            lease_ms: 300,
            capacities: vec![],
            witness: false,
            small_disks: false,
            environment: vec![],
            groups: vec![],
        }
    }
}

/// The virtual IPv4 address.
#[must_use]
pub fn vip() -> IpAddr {
    vip_of(0)
}

/// The virtual IPv6 address.
#[must_use]
pub fn vip6() -> IpAddr {
    [0xfd77, 0, 0, 0, 0, 0, 0, 0x100].into()
}

impl ClusterSpec {
    /// Nodes with these groups.
    #[must_use]
    pub fn of(nodes: u8, groups: Vec<GroupText>) -> Self {
        Self {
            nodes,
            groups,
            ..Self::default()
        }
    }

    /// The names of the nodes.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.nodes).map(|number| format!("h{number}"))
    }

    /// The groups, in the order of the file.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupText> {
        if !self.groups.is_empty() {
            return self.groups.clone();
        }
        let names = self.members();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let group = GroupText::idle_standby(GROUP, vip(), &names).failback(self.failback);
        vec![if self.ipv6 { group.also(vip6()) } else { group }]
    }

    /// How many IPv4 networks the first link needs.
    pub(super) fn networks(&self) -> u8 {
        let groups = self.groups();
        groups.iter().map(GroupText::networks).max().unwrap_or(1)
    }

    /// `cluster.toml`, the same on every node.
    pub(super) fn file(&self, home: &str) -> String {
        let mut text = format!(
            "[cluster]\nname = \"lab\"\nheartbeat = \"{}ms\"\nlease = \"{}ms\"\ngate = \"{}\"\n",
            self.lease_ms / 3,
            self.lease_ms,
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
            text += &self.node(number);
        }
        text + &self
            .groups()
            .iter()
            .map(GroupText::text)
            .collect::<String>()
    }

    fn node(&self, number: u8) -> String {
        let addresses =
            (0..self.links).map(|link| format!("\"10.{}.0.{number}:{PEERS}\"", 77 + link));
        let addresses = addresses.collect::<Vec<_>>().join(", ");
        let mut text = format!("\n[[node]]\nname = \"h{number}\"\naddresses = [{addresses}]\n");
        if let Some(capacity) = self.capacities.get(usize::from(number) - 1) {
            let _ = writeln!(text, "capacity = {capacity}");
        }
        if self.witness && number == self.nodes {
            text += "role = \"witness\"\n";
        }
        text
    }

    /// Those of the nodes that may own groups.
    fn members(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names().collect();
        if self.witness {
            names.pop();
        }
        names
    }
}
