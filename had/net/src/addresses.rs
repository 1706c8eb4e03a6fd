//! Asking the kernel for everything it has, and changing addresses.

use std::io;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use tokio::task::JoinHandle;

use crate::decode::{Tag, holder_of, key_of, link_of, naming, putting_on};
use crate::reconcile::Action;
use crate::table::{Change, Table};

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
        let (connection, handle, _no_events) = rtnetlink::new_connection()?;
        let task = tokio::spawn(connection);
        Ok((Self { handle, tag }, Connection(task)))
    }

    /// Every interface and address of this network namespace.
    pub(crate) async fn dump(&self) -> io::Result<Table> {
        let mut table = Table::default();
        let links: Vec<_> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(io_error)?;
        for link in &links {
            if let Some(link) = link_of(link) {
                table.apply(Change::Link(link));
            }
        }
        let addresses: Vec<_> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(io_error)?;
        for address in &addresses {
            if let Some(key) = key_of(address) {
                table.apply(Change::Address(key, holder_of(address, self.tag)));
            }
        }
        Ok(table)
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
