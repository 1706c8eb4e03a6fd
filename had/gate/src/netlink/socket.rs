//! One netlink socket: requests out, their answers in.

use std::io;
use std::os::fd::AsRawFd;

use netlink_sys::{Socket, SocketAddr};

use super::{Message, Messages, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

/// The kernel fills dumps page by page and never more than this at once.
const RECEIVE_BYTES: usize = 64 * 1024;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// A dump that changes take apart is begun again; interfaces do not change that often.
const DUMP_ATTEMPTS: usize = 16;

/// A socket of one protocol in the network namespace of the thread that made it.
pub(crate) struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
    port: u32,
}

impl Channel {
    pub(crate) fn new(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        let address: SocketAddr = socket.bind_auto()?;
        // The kernel answers while the request is being sent: what is not there then never comes.
        socket.set_non_blocking(true)?;
        let buffer = vec![0; RECEIVE_BYTES];
        Ok(Self {
            socket,
            buffer,
            sequence: 0,
            port: address.port_number(),
        })
    }

    /// This socket's own port, as notifications name it.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Joins a multicast group.
    pub(crate) fn join(&self, group: u32) -> io::Result<()> {
        self.socket.set_rx_buf_sz(1i32 << 20)?;
        self.socket.add_membership(group)
    }

    /// Asks for room for requests of this size; the system may give less.
    pub(crate) fn room_to_send(&self, bytes: i32) {
        for option in [libc::SO_SNDBUF, libc::SO_SNDBUFFORCE] {
            // SAFETY: an option of the four bytes of `bytes`.
            let set = unsafe {
                let value: *const libc::c_void = (&raw const bytes).cast();
                libc::setsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, option, value, 4)
            };
            tracing::trace!(option, set, "room for netlink requests");
        }
    }

    /// A number for the next message.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// One request that changes something.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        body: impl FnOnce(&mut Messages),
    ) -> io::Result<()> {
        let sequence = self.next_sequence();
        let mut messages = Messages::default();
        messages.add(
            kind,
            flags | NLM_F_REQUEST | NLM_F_ACK,
            sequence,
            fixed,
            body,
        );
        self.exchange(&messages, sequence, sequence)
    }

    /// Sends messages numbered `first..=last`, the last of them asking for an acknowledgement; returns the first error.
    pub(crate) fn exchange(
        &mut self,
        messages: &Messages,
        first: u32,
        last: u32,
    ) -> io::Result<()> {
        self.send(messages)?;
        let mut outcome = Ok(());
        loop {
            let length = self.receive()?.ok_or_else(no_answer)?;
            for message in Message::all(&self.buffer[..length]) {
                let age = message.sequence.wrapping_sub(first);
                if message.kind != NLMSG_ERROR || age > last.wrapping_sub(first) {
                    continue;
                }
                let answer = error_of(&message);
                let failed = answer.is_err();
                outcome = outcome.and(answer);
                // An error on the first message of a batch speaks of the whole batch, and nothing follows it.
                if message.sequence == last || failed && message.sequence == first {
                    return outcome;
                }
            }
        }
    }

    /// Asks for one thing, and hands it to `each`.
    pub(crate) fn query(
        &mut self,
        kind: u16,
        fixed: &[u8],
        body: impl FnOnce(&mut Messages),
        mut each: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        let sequence = self.next_sequence();
        let mut messages = Messages::default();
        messages.add(kind, NLM_F_REQUEST | NLM_F_ACK, sequence, fixed, body);
        self.send(&messages)?;
        self.collect(sequence, &mut each).map(drop)
    }

    /// Asks for everything of a kind, and hands each message to `each`.
    pub(crate) fn dump(
        &mut self,
        kind: u16,
        fixed: &[u8],
        body: impl Fn(&mut Messages),
        mut each: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.next_sequence();
            let mut messages = Messages::default();
            messages.add(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, fixed, &body);
            self.send(&messages)?;
            if self.collect(sequence, &mut each)? {
                return Ok(());
            }
        }
        Err(io::Error::other("the list changed each time it was read"))
    }

    /// Reads one answer to its end; `false` where what it lists changed meanwhile.
    fn collect(&mut self, sequence: u32, each: &mut impl FnMut(&Message<'_>)) -> io::Result<bool> {
        let mut steady = true;
        loop {
            let length = self.receive()?.ok_or_else(no_answer)?;
            for message in Message::all(&self.buffer[..length]) {
                if message.sequence != sequence {
                    continue;
                }
                steady &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE => return Ok(steady),
                    NLMSG_ERROR => return error_of(&message).map(|()| steady),
                    _ => each(&message),
                }
            }
        }
    }

    /// What has arrived unasked, datagram by datagram; `None` where nothing is left.
    pub(crate) fn notification(&mut self) -> io::Result<Option<&[u8]>> {
        let length = self.receive()?;
        Ok(length.map(|length| &self.buffer[..length]))
    }

    fn send(&self, messages: &Messages) -> io::Result<()> {
        let sent = self.socket.send(messages.bytes(), 0)?;
        if sent == messages.bytes().len() {
            return Ok(());
        }
        Err(io::Error::other("the kernel took half a request"))
    }

    fn receive(&mut self) -> io::Result<Option<usize>> {
        let buffer: *mut libc::c_void = self.buffer.as_mut_ptr().cast();
        loop {
            // SAFETY: the buffer has that many bytes and nobody else refers to them.
            let length = unsafe {
                libc::recv(
                    self.socket.as_raw_fd(),
                    buffer,
                    RECEIVE_BYTES,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(length) = usize::try_from(length) {
                return Ok(Some(length));
            }
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            }
        }
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer")
}

fn error_of(message: &Message<'_>) -> io::Result<()> {
    let code = message
        .payload
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("an answer was cut off")),
    }
}
