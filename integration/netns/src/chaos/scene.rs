//! The cluster that chaos plays with: groups of all four schemes, IPv4 and IPv6 addresses.

use std::net::{IpAddr, Ipv6Addr};

use had_rig::cluster::vip_of;
use had_rig::{ClusterSpec, GroupText};

/// How the cluster is built.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// How many nodes: three to five.
    pub nodes: u8,
    /// `gate` of the cluster.
    pub gate: &'static str,
    /// Whether daemons may take real-time priority.
    pub realtime: bool,
}

/// One address that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The group that it belongs to.
    pub group: String,
    /// The address.
    pub address: IpAddr,
}

/// The virtual IPv6 address of this number: fd77::100, fd77::101, …
fn vip6_of(number: u16) -> IpAddr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100 + number).into()
}

impl Scene {
    /// The name of the node of this number; beyond the last it begins anew.
    fn node(self, number: u8) -> String {
        format!("h{}", (number - 1) % self.nodes + 1)
    }

    /// The cluster. Heartbeat 100 ms, lease 300 ms.
    #[must_use]
    pub fn spec(self) -> ClusterSpec {
        let realtime = if self.realtime { "true" } else { "false" };
        let environment = vec![("HAD_REALTIME", realtime)];
        ClusterSpec {
            gate: self.gate,
            environment,
            ..ClusterSpec::of(self.nodes, self.groups())
        }
    }

    /// At most eight, so that a daemon's log has a line for each of them also where all move at once.
    fn groups(self) -> Vec<GroupText> {
        let names: Vec<String> = (1..=self.nodes).map(|number| self.node(number)).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let reversed: Vec<&str> = all.iter().rev().copied().collect();
        let [h1, h2, h3, h4, h5] = [1, 2, 3, 4, 5].map(|number| self.node(number));
        let partners = |home: &str, others: [&str; 2]| -> Vec<String> {
            let others = others.iter().filter(|other| **other != home);
            others.map(|other| (*other).to_owned()).collect()
        };
        let (mail, files) = (partners(&h4, [&h5, &h1]), partners(&h5, [&h4, &h2]));
        let mail: Vec<&str> = mail.iter().map(String::as_str).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let spare = if h4 == h1 { &h1 } else { &h4 };
        vec![
            GroupText::idle_standby("web", vip_of(0), &all)
                .failback("auto")
                .also(vip6_of(0)),
            GroupText::idle_standby("cache", vip_of(1), &reversed).line("apart_from = [\"web\"]"),
            GroupText::rotating_standby("queue", vip_of(2), &all).also(vip6_of(2)),
            GroupText::rotating_standby("ring", vip6_of(3), &[&h2, &h3, &h1]),
            GroupText::simple_failover("orders", vip_of(4), &h2, &h3)
                .displaces(&["reports"])
                .failback("auto"),
            GroupText::idle_standby("reports", vip_of(5), &[&h3, spare]).failback("auto"),
            GroupText::mutual_takeover("mail", vip_of(6), &h4, &mail).also(vip6_of(6)),
            GroupText::mutual_takeover("files", vip6_of(7), &h5, &files)
                .failback("auto")
                .also(vip_of(7)),
        ]
    }

    /// Every address, in the order of the file.
    #[must_use]
    pub fn places(self) -> Vec<Place> {
        let places = |group: &GroupText| {
            let place = |address: &IpAddr| Place {
                group: group.name().to_owned(),
                address: *address,
            };
            group.addresses().iter().map(place).collect::<Vec<_>>()
        };
        self.groups().iter().flat_map(places).collect()
    }

    /// The names of the groups, in the order of the file.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let groups = self.groups();
        groups.iter().map(|group| group.name().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_twelve_addresses_of_eight_groups() {
        for nodes in 3..=5 {
            let scene = Scene {
                nodes,
                gate: "auto",
                realtime: true,
            };
            assert_eq!((scene.names().len(), scene.places().len()), (8, 12));
        }
    }
}
