//! The adapter under test.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use had_core::ids::GroupName;
use had_core::ports::{Event, ResourceStatus};
use had_core::spec::{InterfaceSpec, VipSpec};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::events::RECEIVE_BUFFER;
use crate::{Leave, Net, Settings};

/// Nothing here takes longer; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// The virtual IPs of the stories.
pub(super) const VIP4: &str = "10.77.0.100";
pub(super) const VIP6: &str = "fd00:77::100";

/// The adapter under test, and what it said last.
pub(super) struct Daemon {
    pub(super) net: Net,
    events: mpsc::UnboundedReceiver<Event>,
    ready: BTreeMap<String, Result<(), String>>,
    status: BTreeMap<String, ResourceStatus>,
    claims: VecDeque<(String, String)>,
}

/// The groups `web` (IPv4) and `six` (IPv6), each with the virtual IP `vip`, found by their subnets.
pub(super) fn settings() -> Settings {
    let vip = |group: &str, address: &str, prefix| {
        let address: IpAddr = address.parse().unwrap();
        (
            group.into(),
            "vip".into(),
            VipSpec {
                address,
                prefix,
                interface: InterfaceSpec::BySubnet,
            },
        )
    };
    Settings {
        cluster: "web".into(),
        node: "h1".into(),
        vips: vec![vip("web", VIP4, 24), vip("six", VIP6, 64)],
        inherited: BTreeSet::new(),
    }
}

impl Daemon {
    pub(super) async fn start() -> Self {
        Self::start_with(settings(), || (), RECEIVE_BUFFER).await
    }

    pub(super) async fn start_with(
        settings: Settings,
        links: impl Fn() + Send + 'static,
        receive_buffer: i32,
    ) -> Self {
        Self::start_under(settings, links, |_| Leave::Open, receive_buffer).await
    }

    /// Under leases that the story decides on.
    pub(super) async fn start_under(
        settings: Settings,
        links: impl Fn() + Send + 'static,
        leave: impl Fn(&GroupName) -> Leave + Send + 'static,
        receive_buffer: i32,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let say = move |event| {
            let _ = sender.send(event);
        };
        let net = Net::start_with(settings, say, links, leave, receive_buffer)
            .await
            .unwrap();
        Self {
            net,
            events,
            ready: BTreeMap::new(),
            status: BTreeMap::new(),
            claims: VecDeque::new(),
        }
    }

    pub(super) fn want(&self, group: &str, up: bool) {
        self.net.want(&group.into(), &"vip".into(), up, false);
    }

    pub(super) fn announce(&self, group: &str, on: bool) {
        self.net.announce(&group.into(), on);
    }

    /// Brings a group's address up and waits until it is.
    pub(super) async fn bring_up(&mut self, group: &str) {
        self.want(group, true);
        self.until("up", |daemon| {
            matches!(daemon.status.get(group), Some(ResourceStatus::Up(_)))
        })
        .await;
    }

    /// Waits until a group's readiness is this.
    pub(super) async fn until_ready(&mut self, group: &str, expected: Result<(), &str>) {
        let expected = expected.map_err(str::to_owned);
        self.until("ready", |daemon| daemon.ready.get(group) == Some(&expected))
            .await;
    }

    /// Waits until a group's address has this status.
    pub(super) async fn until_status(&mut self, group: &str, expected: &ResourceStatus) {
        self.until("status", |daemon| {
            daemon.status.get(group) == Some(expected)
        })
        .await;
    }

    /// The next foreign claim: group and text.
    pub(super) async fn claim(&mut self) -> (String, String) {
        self.until("claim", |daemon| !daemon.claims.is_empty())
            .await;
        self.claims.pop_front().unwrap()
    }

    /// The foreign claims told so far and not taken.
    pub(super) fn claims(&mut self) -> usize {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        std::mem::take(&mut self.claims).len()
    }

    /// Whether any resource ever said anything.
    pub(super) fn is_silent_about_resources(&self) -> bool {
        self.status.is_empty()
    }

    async fn until(&mut self, what: &str, fits: impl Fn(&Self) -> bool) {
        while !fits(self) {
            match timeout(PATIENCE, self.events.recv()).await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => panic!("the adapter ended"),
                Err(_) => panic!("{what}: in vain; {:?} {:?}", self.ready, self.status),
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Ready { group, ready, .. } => {
                self.ready.insert(group.to_string(), ready);
            }
            Event::Resource { group, status, .. } => {
                self.status.insert(group.to_string(), status);
            }
            Event::ForeignClaim { group, text } => self.claims.push_back((group.to_string(), text)),
            other => panic!("the adapter has no business to say {other:?}"),
        }
    }
}
