//! Netlink messages written by hand: links and filters (rtnetlink), and tables (nfnetlink).

mod message;
mod socket;

pub(crate) use message::{Attributes, Message, Messages, half, word};
pub(crate) use socket::Channel;

pub(crate) const NLM_F_REQUEST: u16 = 0x001;
pub(crate) const NLM_F_ACK: u16 = 0x004;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
