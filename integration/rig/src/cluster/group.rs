//! A group in the lab's file.

use std::fmt::Write as _;
use std::net::IpAddr;

/// The first virtual address within its network: 10.77.0.100.
const FIRST: u16 = 100;
/// How many virtual addresses a network has: up to 10.77.0.249.
const IN_A_NETWORK: u16 = 150;

/// The virtual IPv4 address of this number: 10.77.0.100 for 0, then 10.77.0.101, and so on; from number 150 on in
/// 10.77.1.0/24, and so on.
#[must_use]
pub fn vip_of(number: u16) -> IpAddr {
    let network = u8::try_from(number / IN_A_NETWORK).unwrap_or(u8::MAX);
    let host = u8::try_from(FIRST + number % IN_A_NETWORK).unwrap_or(u8::MAX);
    [10, 77, network, host].into()
}

/// A `[[group]]` with a virtual address on the first link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupText {
    name: String,
    addresses: Vec<IpAddr>,
    /// Where none is named, the daemon finds it by the subnet.
    interface: Option<&'static str>,
    keys: String,
}

impl GroupText {
    /// The first of `nodes` has the highest priority, the last the lowest.
    #[must_use]
    pub fn idle_standby(name: &str, address: IpAddr, nodes: &[&str]) -> Self {
        let listed = nodes.iter().zip(1_u16..).map(|(node, place)| {
            let priority = 200 - place;
            format!("{{ name = \"{node}\", priority = {priority} }}")
        });
        let listed = listed.collect::<Vec<_>>().join(", ");
        Self::new(name, address, "idle-standby").line(&format!("nodes = [{listed}]"))
    }

    /// The first of `nodes` begins, the second is the head of the queue.
    #[must_use]
    pub fn rotating_standby(name: &str, address: IpAddr, nodes: &[&str]) -> Self {
        Self::new(name, address, "rotating-standby").line(&format!("nodes = {}", list(nodes)))
    }

    /// It runs on `primary`, or else on `backup`.
    #[must_use]
    pub fn simple_failover(name: &str, address: IpAddr, primary: &str, backup: &str) -> Self {
        let keys = format!("primary = \"{primary}\"\nbackup = \"{backup}\"");
        Self::new(name, address, "simple-failover").line(&keys)
    }

    /// It runs at `home`, or else on one of `partners`, beside their own work.
    #[must_use]
    pub fn mutual_takeover(name: &str, address: IpAddr, home: &str, partners: &[&str]) -> Self {
        let keys = format!("home = \"{home}\"\npartners = {}", list(partners));
        Self::new(name, address, "mutual-takeover").line(&keys)
    }

    fn new(name: &str, address: IpAddr, policy: &str) -> Self {
        Self {
            name: name.to_owned(),
            addresses: vec![address],
            interface: Some("eth0"),
            keys: format!("policy = \"{policy}\"\n"),
        }
    }

    /// When it returns to where it belongs: `manual`, `auto`, or a duration.
    #[must_use]
    pub fn failback(self, when: &str) -> Self {
        self.line(&format!("failback = \"{when}\""))
    }

    /// These groups give way where it runs.
    #[must_use]
    pub fn displaces(self, groups: &[&str]) -> Self {
        self.line(&format!("displaces = {}", list(groups)))
    }

    /// What it weighs.
    #[must_use]
    pub fn load(self, load: u32) -> Self {
        self.line(&format!("load = {load}"))
    }

    /// It goes on without a majority.
    #[must_use]
    pub fn keeps(self) -> Self {
        self.line("on_quorum_loss = \"keep\"")
    }

    /// An address of the other family, as a second resource.
    #[must_use]
    pub fn also(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// On this interface, or the one that its subnet is found on.
    #[must_use]
    pub fn on(mut self, interface: Option<&'static str>) -> Self {
        self.interface = interface;
        self
    }

    /// Another key.
    #[must_use]
    pub fn line(mut self, text: &str) -> Self {
        self.keys += text;
        self.keys.push('\n');
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.addresses[0]
    }

    /// All its addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// How many networks of the first link must exist for its addresses.
    pub(super) fn networks(&self) -> u8 {
        let networks = self.addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => v4.octets()[2] + 1,
            IpAddr::V6(_) => 1,
        });
        networks.max().unwrap_or(1)
    }

    /// As it stands in the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("\n[[group]]\nname = \"{}\"\n{}", self.name, self.keys);
        for address in &self.addresses {
            let (name, prefix) = match address {
                IpAddr::V4(_) => ("vip", 24),
                IpAddr::V6(_) => ("vip6", 64),
            };
            let _ = write!(
                text,
                "\n[[group.resource]]\nname = \"{name}\"\nkind = \"vip\"\naddress = \"{address}/{prefix}\"\n"
            );
            if let Some(interface) = self.interface {
                let _ = writeln!(text, "interface = \"{interface}\"");
            }
        }
        text
    }
}

fn list(names: &[&str]) -> String {
    let quoted = names.iter().map(|name| format!("\"{name}\""));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_on_in_the_next_network() {
        assert_eq!(vip_of(0).to_string(), "10.77.0.100");
        assert_eq!(vip_of(149).to_string(), "10.77.0.249");
        assert_eq!(vip_of(150).to_string(), "10.77.1.100");
        let group = GroupText::rotating_standby("queue", vip_of(150), &["h1", "h2"]);
        assert_eq!(group.networks(), 2);
    }

    #[test]
    fn a_group_reads_like_the_file() {
        let group = GroupText::simple_failover("orders", vip_of(1), "h1", "h2")
            .displaces(&["reports"])
            .failback("auto");
        let text = "\n[[group]]\nname = \"orders\"\npolicy = \"simple-failover\"\nprimary = \"h1\"\nbackup = \"h2\"\n\
            displaces = [\"reports\"]\nfailback = \"auto\"\n\n[[group.resource]]\nname = \"vip\"\nkind = \"vip\"\n\
            address = \"10.77.0.101/24\"\ninterface = \"eth0\"\n";
        assert_eq!(group.text(), text);
    }
}
