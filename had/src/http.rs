//! `/metrics`, `/healthz` and `/readyz`: read-only, for Prometheus and load balancers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use had_core::stall::Cause;
use had_core::status::{GroupCondition, NodeCondition, Status};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::Semaphore;

use crate::operator::LocalOperator;
use crate::priority;

/// Connections at a time: scrapers are few, and a flood of callers must not starve the daemon.
const CONNECTIONS: usize = 16;
/// A caller that has not sent its request by then is dropped.
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Histograms are emptied of what was collected this often, also where nobody scrapes.
const UPKEEP: std::time::Duration = std::time::Duration::from_secs(5);
/// Seconds: a quiet LAN lies in the first three, half a renewal of the shortest lease in the sixth.
const ROUND_TRIPS: [f64; 10] = [
    0.000_2, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.1, 0.5,
];

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address} (`http` in the file): {source}")]
pub struct HttpError {
    address: SocketAddr,
    source: std::io::Error,
}

struct Site {
    operator: Arc<LocalOperator>,
    handle: PrometheusHandle,
}

/// Serves until the process ends, on a thread of ordinary priority: whoever reaches the port must not be able to take the
/// processor from renewals.
///
/// # Errors
/// Where the address cannot be listened on.
pub async fn serve(address: SocketAddr, operator: Arc<LocalOperator>) -> Result<(), HttpError> {
    let failed = |source| HttpError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let listener = listener.into_std().map_err(failed)?;
    let handle = record(address)?;
    let site = Arc::new(Site { operator, handle });
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let thread = std::thread::Builder::new().name("had-http".into());
    let serving = move || {
        priority::stay_ordinary();
        if let Err(error) = runtime.block_on(accept(listener, site)) {
            tracing::error!("metrics are served no more: {error}");
        }
    };
    thread.spawn(serving).map_err(failed)?;
    Ok(())
}

async fn accept(listener: std::net::TcpListener, site: Arc<Site>) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let upkeep = site.handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, or a caller that left: neither is helped by trying at once.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&site), request));
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false);
            // A caller that breaks off concerns nobody.
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
    Ok(())
}

async fn answer(
    site: Arc<Site>,
    request: Request<Incoming>,
) -> Result<Response<String>, Infallible> {
    let status = site.operator.look().await;
    let (code, body) = match (request.uri().path(), status) {
        (_, Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        ("/metrics", Ok(status)) => (StatusCode::OK, site.metrics(&status)),
        ("/healthz", Ok(_)) => (StatusCode::OK, "ok\n".to_owned()),
        ("/readyz", Ok(status)) if status.quorate => (StatusCode::OK, "ok\n".to_owned()),
        ("/readyz", Ok(status)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            status.notices.join("\n") + "\n",
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "/metrics, /healthz or /readyz\n".to_owned(),
        ),
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    Ok(response)
}

impl Site {
    fn metrics(&self, status: &Status) -> String {
        tell_nodes(status);
        tell_groups(status);
        tell_stalls(status);
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// Makes the process' metrics go to where `/metrics` is rendered from.
fn record(address: SocketAddr) -> Result<PrometheusHandle, HttpError> {
    let failed = |error: &dyn std::error::Error| HttpError {
        address,
        source: std::io::Error::other(error.to_string()),
    };
    let round_trips = Matcher::Full("ha_heartbeat_rtt_seconds".to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(round_trips, &ROUND_TRIPS)
        .map_err(|error| failed(&error))?
        .install_recorder()
        .map_err(|error| failed(&error))?;
    Ok(handle)
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn tell_nodes(status: &Status) {
    gauge!("ha_quorate").set(truth(status.quorate));
    gauge!("ha_config_info", "hash" => status.config_hash.clone()).set(1.0);
    for node in &status.nodes {
        let name = node.name.to_string();
        let up = matches!(node.state, NodeCondition::Online | NodeCondition::Drained);
        gauge!("ha_node_up", "node" => name.clone()).set(truth(up));
        gauge!("ha_leader", "node" => name).set(truth(status.leader.as_ref() == Some(&node.name)));
    }
}

/// Every cause, also one that never came: an alert on its increase needs the first value.
fn tell_stalls(status: &Status) {
    for cause in Cause::ALL {
        let count = status.stalls.get(&cause).copied().unwrap_or_default();
        let longest = std::time::Duration::from_millis(count.longest_ms);
        counter!("ha_stalls_total", "cause" => cause.word()).absolute(count.times);
        gauge!("ha_stall_longest_seconds", "cause" => cause.word()).set(longest.as_secs_f64());
    }
}

fn tell_groups(status: &Status) {
    let conditions = [
        ("running", GroupCondition::Running),
        ("starting", GroupCondition::Starting),
        ("stopping", GroupCondition::Stopping),
        ("stopped", GroupCondition::Stopped),
        ("displaced", GroupCondition::Displaced),
        ("failed", GroupCondition::Failed),
        ("unknown", GroupCondition::Unknown),
    ];
    for group in &status.groups {
        let name = group.name.to_string();
        for (word, condition) in conditions {
            gauge!("ha_group_state", "group" => name.clone(), "state" => word)
                .set(truth(group.state == condition));
        }
        for node in &status.nodes {
            gauge!("ha_group_owner", "group" => name.clone(), "node" => node.name.to_string())
                .set(truth(group.owner.as_ref() == Some(&node.name)));
            gauge!("ha_standby_ready", "group" => name.clone(), "node" => node.name.to_string())
                .set(truth(group.next.contains(&node.name)));
        }
        #[allow(
            clippy::cast_precision_loss,
            reason = "an epoch above 2^53 is out of reach"
        )]
        gauge!("ha_group_epoch", "group" => name.clone()).set(group.epoch.0 as f64);
        for resource in &group.resources {
            let up = resource.state == had_core::message::ResourceState::Running;
            gauge!("ha_resource_up", "group" => name.clone(), "resource" => resource.name.to_string())
                .set(truth(up));
        }
    }
}
