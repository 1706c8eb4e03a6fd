//! The interfaces of this network namespace.

use std::io;

use crate::netlink::{Channel, half, word};

const RTM_GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFINFO_BYTES: usize = 16;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// An interface that can carry a guarded address's packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Whether its frames begin with an Ethernet header.
    pub(crate) is_ethernet: bool,
}

/// All interfaces but loopback.
pub(crate) fn guardable(route: &mut Channel) -> io::Result<Vec<Interface>> {
    let mut found: Vec<Interface> = Vec::new();
    route.dump(
        RTM_GETLINK,
        &[0; IFINFO_BYTES],
        |_| {},
        |message| {
            let (Some(kind), Some(index)) = (half(message.payload, 2), word(message.payload, 4))
            else {
                return;
            };
            let name = message
                .attributes(IFINFO_BYTES)
                .text(IFLA_IFNAME)
                .unwrap_or_default();
            if kind != ARPHRD_LOOPBACK && !found.iter().any(|known| known.index == index) {
                found.push(Interface {
                    index,
                    name: name.into(),
                    is_ethernet: kind == ARPHRD_ETHER,
                });
            }
        },
    )?;
    Ok(found)
}
