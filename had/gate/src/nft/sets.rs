//! The table's sets, and their elements.
//!
//! | set | key → value | says |
//! | --- | --- | --- |
//! | `guarded4`, `guarded6` | address → slot | what is guarded, and for which group |
//! | `announced` | address, address | what a foreign ARP announcement of a guarded address looks like |
//! | `granted` | slot, from 0 to a time → stamp | until when, by the wall clock, and on which stamp a group may pass |
//! | `armed` | stamp, with a timeout | which stamps have not run out |

use std::net::IpAddr;

use crate::netlink::Messages;

use super::batch::{Batch, Verb};

pub(super) const GUARDED4: &str = "guarded4";
pub(super) const GUARDED6: &str = "guarded6";
pub(super) const ANNOUNCED: &str = "announced";
pub(super) const GRANTED: &str = "granted";
pub(super) const ARMED: &str = "armed";

const FLAG_INTERVAL: u32 = 0x04;
const FLAG_MAP: u32 = 0x08;
const FLAG_TIMEOUT: u32 = 0x10;
/// How `nft list` should print them (`enum nft_datatypes`); the kernel does not care.
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_MARK: u32 = 19;
const DATA_VALUE: u16 = 1;
/// Elements in one message: an attribute's length is 16 bits.
const CHUNK: usize = 256;

struct Shape {
    name: &'static str,
    flags: u32,
    /// Type and bytes.
    key: (u32, u32),
    value: Option<(u32, u32)>,
}

const SLOT: (u32, u32) = (TYPE_MARK, 4);
const STAMP: (u32, u32) = (TYPE_INTEGER, 8);
const PAIR: (u32, u32) = (TYPE_IPV4 << 6 | TYPE_IPV4, 8);
const UNTIL: (u32, u32) = (TYPE_MARK << 6 | TYPE_INTEGER, 12);
const GRANT_FLAGS: u32 = FLAG_MAP | FLAG_INTERVAL;

#[rustfmt::skip]
const SHAPES: [Shape; 5] = [
    Shape { name: GUARDED4, flags: FLAG_MAP, key: (TYPE_IPV4, 4), value: Some(SLOT) },
    Shape { name: GUARDED6, flags: FLAG_MAP, key: (TYPE_IPV6, 16), value: Some(SLOT) },
    Shape { name: ANNOUNCED, flags: 0, key: PAIR, value: None },
    Shape { name: GRANTED, flags: GRANT_FLAGS, key: UNTIL, value: Some(STAMP) },
    Shape { name: ARMED, flags: FLAG_TIMEOUT, key: STAMP, value: None },
];

/// Makes all sets, empty.
pub(super) fn create_all(batch: &mut Batch<'_>) {
    for (id, shape) in (1u32..).zip(&SHAPES) {
        batch.create(Verb::NewSet, |m| describe(m, shape, id));
    }
}

/// `enum nft_set_attributes`
fn describe(m: &mut Messages, shape: &Shape, id: u32) {
    m.text(2, shape.name);
    m.be32(3, shape.flags);
    m.be32(4, shape.key.0);
    m.be32(5, shape.key.1);
    if let Some((kind, bytes)) = shape.value {
        m.be32(6, kind);
        m.be32(7, bytes);
    }
    m.be32(10, id);
}

/// Guards addresses, each for its slot.
pub(super) fn guard(batch: &mut Batch<'_>, addresses: &[(IpAddr, u32)]) {
    each_kind(addresses, |set, elements| {
        change(batch, Verb::NewElements, set, elements);
    });
}

/// Guards addresses no longer.
pub(super) fn unguard(batch: &mut Batch<'_>, addresses: &[(IpAddr, u32)]) {
    each_kind(addresses, |set, elements| {
        change(batch, Verb::DeleteElements, set, elements);
    });
}

/// This stamp lives for so long from now.
pub(super) fn arm(batch: &mut Batch<'_>, stamp: u64, timeout_ms: u64) {
    const TIMEOUT: u16 = 4;
    batch.create(Verb::NewElements, |m| {
        elements(m, ARMED, |m| {
            element(m, &stamp.to_ne_bytes(), None, |m| {
                m.attribute(TIMEOUT, &timeout_ms.to_be_bytes());
            });
        });
    });
}

/// What a group passes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    /// The stamp that must be armed.
    pub(super) stamp: u64,
    /// The first moment at which nothing passes, nanoseconds since 1970.
    pub(super) until_wall_ns: u64,
}

/// The group may pass while its stamp lives and the wall clock is not past its end.
pub(super) fn grant(batch: &mut Batch<'_>, slot: u32, grant: Grant) {
    batch.create(Verb::NewElements, |m| {
        elements(m, GRANTED, |m| {
            element(
                m,
                &key_of(slot, 0),
                Some(&grant.stamp.to_ne_bytes()),
                |_| {},
            );
            end_of_range(m, slot, grant);
        });
    });
}

/// The group passes no longer on this.
pub(super) fn revoke(batch: &mut Batch<'_>, slot: u32, grant: Grant) {
    batch.delete(Verb::DeleteElements, |m| {
        elements(m, GRANTED, |m| {
            element(m, &key_of(slot, 0), None, |_| {});
            end_of_range(m, slot, grant);
        });
    });
}

/// The first key that is in the range no more.
fn end_of_range(m: &mut Messages, slot: u32, grant: Grant) {
    const FLAGS: u16 = 3;
    const INTERVAL_END: u32 = 1;
    element(m, &key_of(slot, grant.until_wall_ns), None, |m| {
        m.be32(FLAGS, INTERVAL_END)
    });
}

/// Compared byte by byte, the ranges of different slots never meet.
fn key_of(slot: u32, time_ns: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&slot.to_ne_bytes());
    key[4..].copy_from_slice(&time_ns.to_be_bytes());
    key
}

/// Keys with the value of each, where its set is a map.
type Elements = Vec<(Vec<u8>, Option<[u8; 4]>)>;

fn each_kind(addresses: &[(IpAddr, u32)], mut each: impl FnMut(&str, &Elements)) {
    let (mut guarded4, mut guarded6, mut announced) = (vec![], vec![], vec![]);
    for (address, slot) in addresses {
        let slot = Some(slot.to_ne_bytes());
        match address {
            IpAddr::V4(v4) => {
                guarded4.push((v4.octets().to_vec(), slot));
                announced.push(([v4.octets(), v4.octets()].concat(), None));
            }
            IpAddr::V6(v6) => guarded6.push((v6.octets().to_vec(), slot)),
        }
    }
    each(GUARDED4, &guarded4);
    each(GUARDED6, &guarded6);
    each(ANNOUNCED, &announced);
}

fn change(batch: &mut Batch<'_>, verb: Verb, set: &str, all: &Elements) {
    for chunk in all.chunks(CHUNK) {
        let body = |m: &mut Messages| {
            elements(m, set, |m| {
                for (key, value) in chunk {
                    element(m, key, value.as_ref().map(|value| &value[..]), |_| {});
                }
            });
        };
        match verb {
            Verb::DeleteElements => batch.delete(verb, body),
            _ => batch.create(verb, body),
        }
    }
}

fn elements(m: &mut Messages, set: &str, body: impl FnOnce(&mut Messages)) {
    const SET: u16 = 2;
    const ELEMENTS: u16 = 3;
    m.text(SET, set);
    m.nest(ELEMENTS, body);
}

fn element(m: &mut Messages, key: &[u8], value: Option<&[u8]>, more: impl FnOnce(&mut Messages)) {
    const LIST_ELEMENT: u16 = 1;
    const KEY: u16 = 1;
    const VALUE: u16 = 2;
    m.nest(LIST_ELEMENT, |m| {
        m.nest(KEY, |m| m.attribute(DATA_VALUE, key));
        if let Some(value) = value {
            m.nest(VALUE, |m| m.attribute(DATA_VALUE, value));
        }
        more(m);
    });
}
