//! Hears when somebody else changes the table, where the kernel cannot forbid it (below 6.9).

use std::io;

use crate::netlink::{Channel, Message};

use super::batch::{TABLE_NAME, is_nftables, read};

const GROUP_NFTABLES: u32 = 7;
const KERNEL: u32 = 0;

/// A listener for the changes that sockets other than ours make.
pub(super) struct Watch(Channel);

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let channel = Channel::new(libc::NETLINK_NETFILTER as isize)?;
        channel.join(GROUP_NFTABLES)?;
        Ok(Self(channel))
    }

    /// Whether anybody but the socket of `port` changed this table since the last call. Where notifications
    /// were lost, nobody knows: that counts as well.
    pub(super) fn is_disturbed(&mut self, table: &str, port: u32) -> io::Result<bool> {
        let mut disturbed = false;
        loop {
            match self.0.notification() {
                Ok(None) => return Ok(disturbed),
                Ok(Some(datagram)) => {
                    disturbed |= Message::all(datagram).any(|message| {
                        is_nftables(&message)
                            && ![KERNEL, port].contains(&message.port)
                            && read(&message).text(TABLE_NAME) == Some(table)
                    });
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => disturbed = true,
                Err(error) => return Err(error),
            }
        }
    }
}
