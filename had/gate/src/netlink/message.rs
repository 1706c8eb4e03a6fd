//! Building and reading messages (`linux/netlink.h`): headers and attributes, each padded to four bytes.

/// One or more messages in one buffer, which is kept between uses, so that a renewal allocates nothing.
#[derive(Default)]
pub(crate) struct Messages {
    buffer: Vec<u8>,
    start: usize,
}

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = !(3 << 14);

impl Messages {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Adds a message: its fixed part, then what `body` writes.
    pub(crate) fn add(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        fixed: &[u8],
        body: impl FnOnce(&mut Self),
    ) {
        self.start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(&flags.to_ne_bytes());
        self.buffer.extend_from_slice(&sequence.to_ne_bytes());
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(fixed);
        self.pad();
        body(self);
        let start = self.start;
        let length = u32::try_from(self.buffer.len() - start).expect("messages are short");
        self.buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds flags to the message that was added last.
    pub(crate) fn flag_last(&mut self, flags: u16) {
        let at = self.start + 6;
        let flags = flags | half(&self.buffer, at).expect("a message was added");
        self.buffer[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
    }

    /// An attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE_HEADER_BYTES + value.len())
            .expect("attributes are shorter than 64 KiB");
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.pad();
    }

    /// A string with its terminator.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let length = u16::try_from(ATTRIBUTE_HEADER_BYTES + value.len() + 1)
            .expect("names are shorter than 64 KiB");
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value.as_bytes());
        self.buffer.push(0);
        self.pad();
    }

    /// A number in network byte order, as nfnetlink wants them.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute of attributes.
    pub(crate) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 2]);
        self.buffer
            .extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        inner(self);
        let length = u16::try_from(self.buffer.len() - start)
            .expect("nested attributes are shorter than 64 KiB");
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.buffer.resize(self.buffer.len().next_multiple_of(4), 0);
    }
}

/// A received message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// Who caused it: the port of a socket, 0 for the kernel.
    pub(crate) port: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The messages of one datagram; ends at the first that is cut off.
    pub(crate) fn all(mut datagram: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let length = word(datagram, 0)? as usize;
            let message = datagram.get(..length).filter(|_| length >= HEADER_BYTES)?;
            datagram = datagram
                .get(length.next_multiple_of(4)..)
                .unwrap_or_default();
            Some(Self {
                kind: half(message, 4)?,
                flags: half(message, 6)?,
                sequence: word(message, 8)?,
                port: word(message, 12)?,
                payload: &message[HEADER_BYTES..],
            })
        })
    }

    /// The attributes behind a fixed part of this length.
    pub(crate) fn attributes(&self, fixed: usize) -> Attributes<'a> {
        Attributes(self.payload.get(fixed..).unwrap_or_default())
    }
}

/// Attributes of a message or of an attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this kind.
    pub(crate) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter()
            .find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// Its value, as a string.
    pub(crate) fn text(self, kind: u16) -> Option<&'a str> {
        let value = self.get(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(half(self.0, 0)?);
        let kind = half(self.0, 2)? & NLA_TYPE_MASK;
        let value = self.0.get(ATTRIBUTE_HEADER_BYTES..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Two bytes in this machine's order.
pub(crate) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes in this machine's order.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut messages = Messages::default();
        messages.add(7, 5, 42, &[1, 2, 3, 4], |m| {
            m.text(1, "lo");
            m.nest(2, |m| m.be32(3, 9));
        });
        messages.add(8, 0, 43, &[], |_| {});
        let read: Vec<Message<'_>> = Message::all(messages.bytes()).collect();
        assert_eq!((read[0].kind, read[0].flags, read[0].sequence), (7, 5, 42));
        assert_eq!((read[1].kind, read[1].sequence, read.len()), (8, 43, 2));
        let attributes = read[0].attributes(4);
        assert_eq!(attributes.text(1), Some("lo"));
        let inner = Attributes(attributes.get(2).unwrap());
        assert_eq!(inner.get(3), Some(&[0, 0, 0, 9][..]));
    }

    #[test]
    fn a_message_that_is_cut_off_is_not_read() {
        let mut messages = Messages::default();
        messages.add(7, 0, 1, &[], |m| m.attribute(1, &[0; 8]));
        let bytes = messages.bytes();
        assert_eq!(Message::all(&bytes[..bytes.len() - 4]).count(), 0);
        assert_eq!(
            Message::all(&[0; 16]).count(),
            0,
            "a length of zero ends the walk"
        );
    }
}
