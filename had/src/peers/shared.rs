//! What every task of the connections sees.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use had_core::ids::NodeName;
use had_proto::v1::{Frame, frame::Body};
use tokio::task::AbortHandle;

use super::bounds::Pace;
use super::complaints::Complaints;
use super::links::{Peer, Streams};
use super::lives::Lives;
use super::{Inbound, Settings, hello};
use crate::admin::Operator;

/// What every task of the connections sees.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) pace: Pace,
    pub(crate) inbound: Arc<dyn Inbound>,
    pub(crate) operator: Option<Arc<dyn Operator>>,
    pub(crate) peers: BTreeMap<NodeName, Arc<Peer>>,
    pub(crate) streams: Streams,
    pub(crate) lives: Lives,
    pub(crate) complaints: Arc<Complaints>,
    ending: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        own: &[SocketAddr],
        inbound: Arc<dyn Inbound>,
        operator: Option<Arc<dyn Operator>>,
    ) -> Self {
        let others = settings
            .nodes
            .iter()
            .filter(|spec| spec.name != settings.node);
        let peers = others
            .map(|spec| (spec.name.clone(), Arc::new(Peer::new(own, spec))))
            .collect();
        Self {
            pace: settings.timing.into(),
            settings,
            inbound,
            operator,
            peers,
            streams: Streams::default(),
            lives: Lives::default(),
            complaints: Arc::default(),
            ending: AtomicBool::new(false),
            tasks: Mutex::default(),
        }
    }

    /// A frame of this node.
    pub(crate) fn frame(&self, body: Body) -> Frame {
        let sender = Some(hello::sender_to_wire(&self.inbound.sender()));
        Frame {
            sender,
            body: Some(body),
        }
    }

    /// Says once what is odd about a greeting that is good enough.
    pub(crate) fn remark(&self, greeting: &Frame) {
        if let Some(remark) = hello::remark(&self.settings, greeting) {
            let node = greeting
                .sender
                .as_ref()
                .map_or("somebody", |sender| &sender.node);
            self.complaints.warn(&format!("greeting {node}"), || remark);
        }
    }

    /// Runs a task until it ends or the connections are shut down.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = self
            .tasks
            .lock()
            .expect("nothing panics while it holds the tasks");
        tasks.retain(|task| !task.is_finished());
        if self.is_ending() {
            handle.abort();
        } else {
            tasks.push(handle);
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Ends every task and stream.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        let tasks = std::mem::take(
            &mut *self
                .tasks
                .lock()
                .expect("nothing panics while it holds the tasks"),
        );
        tasks.iter().for_each(AbortHandle::abort);
        self.streams.close();
    }
}
