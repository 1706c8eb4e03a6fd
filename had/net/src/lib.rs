//! Virtual IPs on this host: put on and kept on, their interfaces watched, their place announced, foreign claims heard.
//!
//! ```text
//!                  want, announce, configure            (what is wanted, as it stands: no queue)
//!   daemon ───────────────────────────────▶ wishes ──┐
//!                                                    ▼
//!   kernel: interfaces, addresses ──▶ events ──▶ adapter, one task ──▶ addresses (rtnetlink) ──▶ kernel
//!                                                  ▲   │  │
//!   network ──▶ packet, one task an interface ─────┘   │  └─▶ outlets (raw sockets) ──▶ network
//!               (claims, 256 at most)                  ▼
//!                          had_core::ports::Event: Ready, Resource, ForeignClaim ──▶ daemon
//! ```
//!
//! The adapter compares wanted with actual after everything that happens and every three seconds.
//!
//! # How an address is put on
//! - Marked as ours: `IFA_PROTO` [`ADDRESS_PROTOCOL`], and the cluster in its route priority, so that a restart finds what
//!   an earlier life left, whatever the file says by now, and leaves alone what another cluster's daemon on this host put on.
//! - As a host address (/32, /128), whatever prefix the file gives. Under the subnet's prefix, an IPv4 address becomes
//!   the *primary* one whenever the interface's own is deleted for a moment, and the kernel would then delete the
//!   interface's own along with ours at the next move; and the host would use it as its source. So the subnet's route has to
//!   come from an address of the interface itself, as it does wherever the interface is found by its subnet.
//! - IPv6: no duplicate address detection (the lease decides who has it), deprecated (never chosen as a source).
//!
//! # Order
//! The gate has to be in place before an address of it is wanted, and to be removed after it is down. An interface that
//! appears is told through `links` before anything is put on it.
//!
//! | module | subject |
//! | --- | --- |
//! | `adapter` | the task: its loop, what it settles, what it asks of the kernel |
//! | `wishes` | what the daemon wants |
//! | `table`, `events`, `decode` | what the kernel has and tells |
//! | `place`, `reconcile`, `report` | pure: where an address belongs, what to change, what to say |
//! | `addresses` | asking and changing the kernel |
//! | `announce`, `claims`, `frames` | pure: when to announce, what a claim is, bytes |
//! | `outlets`, `packet` | raw sockets |

mod adapter;
mod addresses;
mod announce;
mod claims;
mod decode;
mod events;
mod frames;
#[cfg(test)]
mod kernel_tests;
mod outlets;
mod packet;
mod place;
mod reconcile;
mod report;
mod table;
mod wishes;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use had_core::ids::{GroupName, NodeName, ResourceName};
use had_core::ports::Event;
use had_core::spec::VipSpec;
use tokio::sync::watch;
use tokio::time::timeout;

use adapter::{Adapter, Parts};
use addresses::{Connection, Requests};
use decode::Tag;
use events::{Events, RECEIVE_BUFFER};
use place::{obstacle, place};
use reconcile::{Action, reconcile};
use table::{AddressKey, Table};
use wishes::Desk;

/// `IFA_PROTO` of the addresses that we put on (Linux 5.18; `ip address show proto 72`). 0 to 3 are the kernel's,
/// 18 is keepalived's; the rest is free.
pub const ADDRESS_PROTOCOL: u8 = 72;
/// The first interface of every network namespace.
const LOOPBACK: u32 = 1;
/// How long [`Net::shutdown`] waits for the kernel: it answers in milliseconds, or is stuck.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What the adapter is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name: addresses bear its mark.
    pub cluster: String,
    /// This node.
    pub node: NodeName,
    /// Every virtual IP that this node may carry.
    pub vips: Vec<(GroupName, ResourceName, VipSpec)>,
    /// Groups that a killed life of this daemon left open: they are wanted, and their addresses stay as they are, until [`Net::hands_off`] and [`Net::want`] say what becomes of them.
    pub inherited: BTreeSet<GroupName>,
}

/// What the daemon may do with a group's addresses at this moment, whatever it wanted a moment ago: a process that was frozen
/// asks before it sends or puts anything on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Its lease is valid: addresses may be there, and announced.
    Open,
    /// It was shut: addresses may be prepared behind the gate, and nothing is announced.
    Shut,
    /// Its lease has ended, and the daemon has not yet noticed: nothing is put on, nothing is announced.
    Lapsed,
}

/// Why the adapter cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No netlink.
    #[error("opening netlink sockets")]
    Open(#[source] io::Error),
    /// The kernel did not say what it has.
    #[error("asking the kernel for its interfaces and addresses")]
    Dump(#[source] io::Error),
    /// An address of an earlier life would not go.
    #[error("removing {address}, left on {interface} by an earlier life of this daemon")]
    Stray {
        /// The address.
        address: String,
        /// Where it is.
        interface: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A handle to the adapter's task. Clones speak to the same task; none of its calls waits, but [`Net::shutdown`].
#[derive(Clone)]
pub struct Net {
    desk: Arc<Desk>,
    ended: watch::Receiver<bool>,
}

impl Net {
    /// Removes the addresses that an earlier life left, but those of [`Settings::inherited`], then starts the task on the
    /// current runtime, in the calling thread's network namespace.
    ///
    /// `events` gets [`Event::Ready`] for every virtual IP at once and whenever it changes, [`Event::Resource`] in answer
    /// to every wish and whenever it changes, and [`Event::ForeignClaim`]. `links` is called when an interface appeared or
    /// was renamed, and has to have it covered when it returns: the next step may put an address on it. Both are called in
    /// the task and must not wait. `leave` is asked before anything is put on or announced.
    ///
    /// The handles may all be dropped: the task goes on until [`Net::shutdown`] or the end of the runtime.
    ///
    /// # Errors
    /// Where netlink is not to be had, or a stray address would not go.
    pub async fn start(
        settings: Settings,
        events: impl Fn(Event) + Send + 'static,
        links: impl Fn() + Send + 'static,
        leave: impl Fn(&GroupName) -> Leave + Send + 'static,
    ) -> Result<Self, NetError> {
        Self::start_with(settings, events, links, leave, RECEIVE_BUFFER).await
    }

    async fn start_with(
        settings: Settings,
        events: impl Fn(Event) + Send + 'static,
        links: impl Fn() + Send + 'static,
        leave: impl Fn(&GroupName) -> Leave + Send + 'static,
        receive_buffer: libc::c_int,
    ) -> Result<Self, NetError> {
        let tag = Tag::of(&settings.cluster);
        // First the events, then the table: nothing that happens in between is missed.
        let news = Events::subscribe(tag, receive_buffer).map_err(NetError::Open)?;
        let (requests, connection) = Requests::open(tag).map_err(NetError::Open)?;
        let table = clear_strays(&requests, &settings).await?;
        let desk = Arc::new(Desk::default());
        desk.write(|wishes| {
            wishes.configure(settings.vips);
            wishes.inherit(&settings.inherited);
        });
        let (running, ended) = watch::channel(false);
        let parts = Parts {
            node: settings.node,
            tag,
            desk: Arc::clone(&desk),
            requests,
            connection,
            news,
            receive_buffer,
            table,
            events: Box::new(events),
            links: Box::new(links),
            leave: Box::new(leave),
        };
        tokio::spawn(async move {
            running.send_replace(Adapter::run(parts).await);
        });
        Ok(Self { desk, ended })
    }

    /// Brings a virtual IP up or down, and keeps it so; answered with [`Event::Resource`] once it is true, or why not.
    /// `probe` asks the network once whether somebody still answers for it; answers come as [`Event::ForeignClaim`],
    /// until the group's announcement ends or the next wish.
    pub fn want(&self, group: &GroupName, resource: &ResourceName, up: bool, probe: bool) {
        let key = (group.clone(), resource.clone());
        if !self.desk.write(|wishes| wishes.want(&key, up, probe)) {
            tracing::warn!(%group, %resource, "no such virtual IP is configured");
        }
    }

    /// Tells the network where the group's addresses are: a burst at once, then a refresh, until it is ended. Asked for
    /// again, it bursts again. While it is on, claims of others to these addresses are told, and answered.
    pub fn announce(&self, group: &GroupName, on: bool) {
        self.desk.write(|wishes| wishes.announce(group, on));
    }

    /// Leaves the group's addresses as they are, or takes care of them again: while it is on, none is put on, put back or
    /// taken off.
    pub fn hands_off(&self, group: &GroupName, on: bool) {
        self.desk.write(|wishes| {
            if on {
                wishes.hands_off.insert(group.clone());
            } else {
                wishes.hands_off.remove(group);
            }
        });
    }

    /// Asks again what may be done: of some group it is another thing now.
    pub fn look(&self) {
        self.desk.write(|_| ());
    }

    /// Replaces the virtual IPs, and says everything of them anew. What is wanted of those that stay is kept; those that are
    /// gone are taken off.
    pub fn configure(&self, vips: Vec<(GroupName, ResourceName, VipSpec)>) {
        self.desk.write(|wishes| wishes.configure(vips));
    }

    /// Takes everything off and ends the task; waits for it, but no longer than two seconds. Whether nothing of ours is left:
    /// where something may be, its gate must stay.
    pub async fn shutdown(mut self) -> bool {
        self.desk.write(|wishes| wishes.shutdown = true);
        // The task's end is the only thing that ever happens on this channel.
        let ended = timeout(SHUTDOWN_TIMEOUT, self.ended.wait_for(|clean| *clean)).await;
        let clean = matches!(ended, Ok(Ok(_)));
        if !clean {
            tracing::warn!("the kernel did not take all addresses off");
        }
        clean
    }
}

/// What each virtual IP would meet on this host now: the name of its interface, or what keeps it from working there.
/// Changes nothing.
///
/// # Errors
/// Where netlink is not to be had.
pub async fn survey(settings: &Settings) -> Result<Vec<Result<String, String>>, NetError> {
    let (requests, _connection) =
        Requests::open(Tag::of(&settings.cluster)).map_err(NetError::Open)?;
    let table = requests.dump().await.map_err(NetError::Dump)?;
    let meets = |vip: &VipSpec| {
        let index = place(vip, &settings.node, &table, None)?;
        obstacle(vip, index, &table).map_or_else(|| Ok(table.name_of(index)), Err)
    };
    Ok(settings.vips.iter().map(|(_, _, vip)| meets(vip)).collect())
}

/// Takes addresses off where no adapter does.
pub struct Remover {
    requests: Requests,
    _connection: Connection,
}

impl Remover {
    /// For the addresses of this cluster, in the calling thread's network namespace.
    ///
    /// # Errors
    /// Where netlink is not to be had.
    pub fn open(cluster: &str) -> io::Result<Self> {
        let (requests, _connection) = Requests::open(Tag::of(cluster))?;
        Ok(Self {
            requests,
            _connection,
        })
    }

    /// Goes the whole way of [`Remover::take_off`] once, with an address that nobody has.
    ///
    /// # Errors
    /// Where the kernel does not say what it has.
    pub async fn rehearse(&self) -> io::Result<()> {
        let nobodys = AddressKey::host(LOOPBACK, IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        self.requests.dump().await?;
        // Refused, as it must be.
        drop(self.requests.perform(vec![Action::Remove(nobodys)]).await);
        self.requests.dump().await.map(drop)
    }

    /// Takes those that are due off every interface where this cluster's daemon put them on, and returns which were there.
    /// `is_due` is asked at the last moment.
    ///
    /// # Errors
    /// Where the kernel does not say what it has, or one would not go; the others are off then.
    pub async fn take_off(&self, is_due: impl Fn(IpAddr) -> bool) -> io::Result<Vec<IpAddr>> {
        let table = self.requests.dump().await?;
        let due: Vec<AddressKey> = table
            .ours()
            .filter(|key| is_due(key.address))
            .copied()
            .collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let removals = due.iter().copied().map(Action::Remove).collect();
        let results = self.requests.perform(removals).await;
        // What counts is what is there now, whatever was answered.
        let table = self.requests.dump().await?;
        let left: Vec<IpAddr> = table
            .ours()
            .filter(|key| due.contains(key) && is_due(key.address))
            .map(|key| key.address)
            .collect();
        if left.is_empty() {
            return Ok(due.into_iter().map(|key| key.address).collect());
        }
        let refused = results.iter().find_map(|(_, result)| {
            let error = result.as_ref().err()?;
            Some(error.to_string())
        });
        let why = refused.unwrap_or_else(|| "the kernel did not answer".to_owned());
        Err(io::Error::other(format!("{left:?} stay on: {why}")))
    }
}

/// Only what is inherited is wanted yet: whatever else bears our mark is of an earlier life. Its gate is still in place.
async fn clear_strays(requests: &Requests, settings: &Settings) -> Result<Table, NetError> {
    let table = requests.dump().await.map_err(NetError::Dump)?;
    let inherited = settings
        .vips
        .iter()
        .filter(|(group, ..)| settings.inherited.contains(group));
    let wanted = inherited
        .filter_map(|(_, _, vip)| {
            Some((vip.address, place(vip, &settings.node, &table, None).ok()?))
        })
        .collect();
    let mut strays = reconcile(&wanted, &table);
    strays.retain(|action| matches!(action, Action::Remove(_)));
    if strays.is_empty() {
        return Ok(table);
    }
    for (action, result) in requests.perform(strays).await {
        let key = action.key();
        let (address, interface) = (key.address.to_string(), table.name_of(key.index));
        match result {
            Ok(()) => tracing::info!("removed {address}, left on {interface} by an earlier life"),
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
            Err(source) => {
                return Err(NetError::Stray {
                    address,
                    interface,
                    source,
                });
            }
        }
    }
    requests.dump().await.map_err(NetError::Dump)
}
