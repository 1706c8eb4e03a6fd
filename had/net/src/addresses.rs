//! Asking the kernel for everything it has, and changing addresses.

use std::io;

use futures::StreamExt;
use futures::future::join_all;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use rtnetlink::Handle;
use tokio::task::JoinHandle;

use crate::decode::{Tag, change_of, naming, putting_on};
use crate::reconcile::Action;
use crate::table::Table;

/// How often the kernel's lists are asked for while they change under the reading; each takes a millisecond or two.
const DUMP_ATTEMPTS: usize = 20;

/// Requests to the kernel. Clones share one connection, which ends with [`Requests::open`]'s task.
#[derive(Clone)]
pub(crate) struct Requests {
    handle: Handle,
    tag: Tag,
}

/// Aborts the connection's task when dropped.
pub(crate) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Requests {
    /// Opens a connection and starts its task on the current runtime.
    pub(crate) fn open(tag: Tag) -> io::Result<(Self, Connection)> {
        let (mut connection, handle, _no_events) = rtnetlink::new_connection()?;
        connection.set_forward_done(true);
        let task = tokio::spawn(connection);
        Ok((Self { handle, tag }, Connection(task)))
    }

    /// Every interface and address of this network namespace.
    ///
    /// # Errors
    /// What the kernel said; [`io::ErrorKind::Interrupted`] where its lists changed faster than they could be read.
    pub(crate) async fn dump(&self) -> io::Result<Table> {
        for _ in 1..DUMP_ATTEMPTS {
            match self.try_dump().await {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
        self.try_dump().await
    }

    async fn try_dump(&self) -> io::Result<Table> {
        let mut table = Table::default();
        for question in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        ] {
            for message in self.list(question).await? {
                if let Some(change) = change_of(&message, self.tag) {
                    table.apply(change);
                }
            }
        }
        Ok(table)
    }

    /// The kernel gives long lists in pieces, and says when one changed in between: entries may then be missing, and an
    /// interface that seems to be gone would make its node give way.
    async fn list(&self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(question);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut answers = self.handle.clone().request(request).map_err(io_error)?;
        let mut list = Vec::new();
        let mut changed = false;
        while let Some(answer) = answers.next().await {
            changed |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => list.push(message),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Done(_) if changed => return Err(io::ErrorKind::Interrupted.into()),
                NetlinkPayload::Done(_) => return Ok(list),
                _ => {}
            }
        }
        Err(io::Error::other("the connection to the kernel ended"))
    }

    /// Makes all changes, removals before additions, and says how each went.
    pub(crate) async fn perform(&self, actions: Vec<Action>) -> Vec<(Action, io::Result<()>)> {
        let (removals, additions): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Remove(_)));
        let mut results = join_all(removals.into_iter().map(|action| self.one(action))).await;
        results.extend(join_all(additions.into_iter().map(|action| self.one(action))).await);
        results
    }

    async fn one(&self, action: Action) -> (Action, io::Result<()>) {
        let (message, flags) = match &action {
            Action::Remove(key) => (RouteNetlinkMessage::DelAddress(naming(key)), 0),
            // Never replacing: an address of somebody else stays as it is.
            Action::Add(key) => (
                RouteNetlinkMessage::NewAddress(putting_on(key, self.tag)),
                NLM_F_CREATE | NLM_F_EXCL,
            ),
        };
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        (action, self.send(request).await)
    }

    /// An acknowledgement only ends the stream of answers; a refusal is a message. A connection that broke looks like the
    /// former, and the next dump tells.
    async fn send(&self, request: NetlinkMessage<RouteNetlinkMessage>) -> io::Result<()> {
        let mut answers = self.handle.clone().request(request).map_err(io_error)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload
                && error.code.is_some()
            {
                return Err(error.to_io());
            }
        }
        Ok(())
    }
}

fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}
