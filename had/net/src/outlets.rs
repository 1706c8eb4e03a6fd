//! The raw sockets of the interfaces that carry our addresses, opened before they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tokio::sync::mpsc;

use crate::frames;
use crate::packet::{Heard, Port};
use crate::table::{Link, Mac, Table};
use crate::wishes::{Key, Wishes};

/// Claims that wait to be judged; more at a time are dropped, the claimant repeats itself.
const CLAIMS_WAITING: usize = 256;

/// One socket for each interface that may carry an address, and the probes already sent.
pub(crate) struct Outlets {
    ports: BTreeMap<u32, Port>,
    /// Interfaces whose socket was refused; until the next look.
    refused: BTreeSet<u32>,
    /// The last wish that was probed for, by its number.
    probed: BTreeMap<Key, u64>,
    claims: mpsc::Sender<Heard>,
}

impl Outlets {
    /// And what the sockets hear.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Heard>) {
        let (claims, heard) = mpsc::channel(CLAIMS_WAITING);
        let outlets = Self {
            ports: BTreeMap::new(),
            refused: BTreeSet::new(),
            probed: BTreeMap::new(),
            claims,
        };
        (outlets, heard)
    }

    /// Opens the sockets of these interfaces and closes all others. Only Ethernet is announced to.
    pub(crate) fn keep<'a>(&mut self, indexes: impl Iterator<Item = &'a u32>, table: &Table) {
        let wanted: BTreeSet<u32> = indexes
            .copied()
            .filter(|index| ethernet(table, *index).is_some())
            .collect();
        self.ports.retain(|index, _| wanted.contains(index));
        for index in wanted {
            if self.ports.contains_key(&index) || self.refused.contains(&index) {
                continue;
            }
            match Port::open(index, self.claims.clone()) {
                Ok(port) => {
                    self.ports.insert(index, port);
                }
                Err(error) => {
                    let interface = table.name_of(index);
                    tracing::warn!(%error, "opening a raw socket on {interface}: nothing is announced there");
                    self.refused.insert(index);
                }
            }
        }
    }

    /// Sockets that were refused may be asked for again.
    pub(crate) fn try_again(&mut self) {
        self.refused.clear();
    }

    /// Sends one probe for every wish that asks for it, once its interface can send.
    pub(crate) fn probe(
        &mut self,
        wishes: &Wishes,
        places: &BTreeMap<Key, Result<u32, String>>,
        table: &Table,
    ) {
        self.probed.retain(|key, _| wishes.vips.contains_key(key));
        for (key, (spec, wish)) in &wishes.vips {
            let Some(number) = wish
                .probe
                .filter(|number| self.probed.get(key) != Some(number))
            else {
                continue;
            };
            let Some(Ok(index)) = places.get(key) else {
                continue;
            };
            let Some((link, mac)) = ethernet(table, *index) else {
                continue;
            };
            if link.is_usable() {
                self.send(*index, &frames::probe(spec.address, mac));
                self.probed.insert(key.clone(), number);
            }
        }
    }

    /// Tells the interface's link where an address is.
    pub(crate) fn announce(&self, index: u32, address: IpAddr, table: &Table) {
        let Some((link, mac)) = ethernet(table, index) else {
            return;
        };
        let is_router = address.is_ipv6() && forwards(&link.name);
        for frame in frames::announcement(address, mac, is_router) {
            self.send(index, &frame);
        }
    }

    /// A frame that cannot leave is not repeated here: the burst goes on, and a carrier's return begins another.
    fn send(&self, index: u32, frame: &[u8]) {
        if let Some(port) = self.ports.get(&index)
            && let Err(error) = port.send(frame)
        {
            tracing::debug!(index, %error, "sending a frame");
        }
    }
}

fn ethernet(table: &Table, index: u32) -> Option<(&Link, Mac)> {
    let link = table.link(index).filter(|link| !link.loopback)?;
    Some((link, link.mac?))
}

/// Whether the kernel's own advertisements on this interface say "router".
fn forwards(interface: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))
        .is_ok_and(|text| text.trim() != "0")
}
