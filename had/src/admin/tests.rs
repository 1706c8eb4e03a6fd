//! What operators get on the socket and on the peers' port.

mod desk;
mod questions;
mod requests;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use had_core::ids::{CommandId, ProcessId};
use had_core::ports::Request;
use had_core::spec::{NodeSpec, Role};
use had_core::timing::Timing;
use had_proto::v1;
use had_proto::v1::admin_client::AdminClient;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::command_request::Command;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tonic::transport::{Channel, Endpoint};

use self::desk::{Deaf, Desk};
use super::{Socket, SocketError, serve_socket};
use crate::peers::{Peers, Ports, Settings};
use crate::testing::Authority;
use crate::tls::{self, Identity};

/// Two addresses of this host that nobody listens on.
async fn nodes() -> Vec<NodeSpec> {
    let mut nodes = Vec::new();
    for name in ["h1", "h2"] {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![free.local_addr().unwrap()];
        nodes.push(NodeSpec {
            name: name.into(),
            role: Role::Member,
            addresses,
            capacity: 1,
            capacity_is_hard: false,
        });
    }
    nodes
}

async fn start(desk: &Arc<Desk>, nodes: &[NodeSpec], tls: Option<Arc<Identity>>) -> Peers {
    let settings = Settings {
        node: desk.node.clone(),
        cluster_name: "web".into(),
        nodes: nodes.to_vec(),
        tls,
        timing: Timing {
            lease: Duration::from_millis(300),
            heartbeat: Duration::from_millis(100),
        },
    };
    let inbound = Arc::new(Deaf(desk.node.clone()));
    let ports = Ports::bind(&settings.nodes, &settings.node).unwrap();
    Peers::start(settings, ports, inbound, Some(Arc::clone(desk) as _))
}

async fn over_socket(path: &Path) -> AdminClient<Channel> {
    let path = path.to_owned();
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://had");
    AdminClient::new(endpoint.connect_with_connector(connect).await.unwrap())
}

fn failover() -> v1::CommandRequest {
    v1::CommandRequest {
        id: Some(v1::CommandId {
            process: 9,
            number: 1,
        }),
        command: Some(Command::Failover(v1::Failover {
            group: "web".into(),
            to: None,
        })),
    }
}

async fn command(client: &mut AdminClient<Channel>) -> v1::CommandReply {
    client.request(failover()).await.unwrap().into_inner()
}

fn is_done(reply: &v1::CommandReply) -> bool {
    matches!(&reply.outcome, Some(Outcome::Done(done)) if done.took_ms == 12.5
        && done.moved == [v1::Moved { group: "web".into(), owner: Some("h2".into()) }])
}

#[tokio::test]
async fn the_socket_gives_status_events_and_decisions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/had.sock");
    let nodes = nodes().await;
    let desk = Desk::new("h1", Some("h1"));
    let peers = Arc::new(start(&desk, &nodes, None).await);
    let socket = serve_socket(&path, Arc::clone(&desk) as _, peers)
        .await
        .unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    let mut client = over_socket(&path).await;
    let status = client
        .status(v1::StatusRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.json, br#"{"answered_by":"h1"}"#);
    let unknown = client
        .status(v1::StatusRequest {
            group: "mail".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.message()),
        (tonic::Code::NotFound, "there is no group mail")
    );

    let kept = v1::EventsRequest {
        since_ms: 2000,
        follow: false,
    };
    let mut kept = client.events(kept).await.unwrap().into_inner();
    assert_eq!(
        kept.message().await.unwrap().unwrap().json,
        br#"{"number":2}"#
    );
    assert_eq!(kept.message().await.unwrap(), None);
    let followed = v1::EventsRequest {
        since_ms: 3000,
        follow: true,
    };
    let mut followed = client.events(followed).await.unwrap().into_inner();
    desk.last.send_replace(4);
    for expected in [br#"{"number":3}"#, br#"{"number":4}"#] {
        assert_eq!(followed.message().await.unwrap().unwrap().json, expected);
    }

    let reply = command(&mut client).await;
    assert!(is_done(&reply) && reply.answered_by == "h1", "{reply:?}");
    let (id, what) = desk.seen.lock().unwrap()[0].clone();
    assert_eq!(
        id,
        CommandId {
            process: ProcessId(9),
            number: 1
        }
    );
    assert_eq!(
        what,
        Request::Failover {
            group: "web".into(),
            to: None
        }
    );
    let init = v1::ClusterInitRequest {
        id: failover().id,
        nodes: vec!["h1".into()],
    };
    let init = client
        .cluster_init(init)
        .await
        .unwrap()
        .into_inner()
        .outcome;
    assert!(
        matches!(init, Some(Outcome::Refused(refused)) if refused.text == "[h1] have formed a cluster")
    );
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_command_finds_the_leader_also_while_it_is_elected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let nodes = nodes().await;
    let (here, there) = (Desk::new("h1", None), Desk::new("h2", Some("h2")));
    let forward = Arc::new(start(&here, &nodes, None).await);
    let _peers = start(&there, &nodes, None).await;
    let _socket = serve_socket(&path, Arc::clone(&here) as _, forward)
        .await
        .unwrap();
    let mut client = over_socket(&path).await;
    let elected = Arc::clone(&here);
    let asked = tokio::spawn(async move { command(&mut client).await });
    while here.seen.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    *elected.leader.lock().unwrap() = Some("h2".into());
    let reply = asked.await.unwrap();
    assert!(is_done(&reply) && reply.answered_by == "h2", "{reply:?}");
    let seen = there.seen.lock().unwrap();
    assert_eq!(seen.len(), 1, "once there");
    assert_eq!(
        seen[0].0,
        CommandId {
            process: ProcessId(9),
            number: 1
        },
        "under the same id"
    );
}

#[tokio::test]
async fn without_a_leader_a_command_ends_with_no_quorum() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let nodes = nodes().await;
    // h2 is said to lead and is not there.
    let desk = Desk::new("h1", Some("h2"));
    let forward = Arc::new(start(&desk, &nodes, None).await);
    let _socket = serve_socket(&path, Arc::clone(&desk) as _, forward)
        .await
        .unwrap();
    let reply = command(&mut over_socket(&path).await).await;
    let Some(Outcome::NoQuorum(why)) = reply.outcome else {
        panic!("{reply:?}")
    };
    assert!(
        why.text.starts_with("h2 leads; cannot reach h2"),
        "{}",
        why.text
    );
}

#[tokio::test]
async fn an_election_is_waited_for_and_a_missing_majority_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let nodes = nodes().await;
    let desk = Desk::new("h1", Some("h1"));
    let forward = Arc::new(start(&desk, &nodes, None).await);
    let _socket = serve_socket(&path, Arc::clone(&desk) as _, forward)
        .await
        .unwrap();
    desk.without_majority.store(2, Ordering::SeqCst);
    let reply = command(&mut over_socket(&path).await).await;
    assert!(matches!(reply.outcome, Some(Outcome::Done(_))), "{reply:?}");
    desk.without_majority.store(u32::MAX, Ordering::SeqCst);
    let reply = command(&mut over_socket(&path).await).await;
    assert!(
        matches!(reply.outcome, Some(Outcome::NoQuorum(_))),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let nodes = nodes().await;
    let desk = Desk::new("h1", None);
    let forward = Arc::new(start(&desk, &nodes, None).await);
    let serve = || serve_socket(&path, Arc::clone(&desk) as _, Arc::clone(&forward) as _);
    let first = serve().await.unwrap();
    assert!(matches!(serve().await, Err(SocketError::InUse(taken)) if taken == path));
    drop(first);
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(serve().await, Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

async fn over_tls(address: SocketAddr, identity: &Identity) -> AdminClient<Channel> {
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&identity.client));
    let name = tls::server_name(&"h1".into()).unwrap();
    let connect = tower::service_fn(move |_| {
        let (connector, name) = (connector.clone(), name.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://had");
    AdminClient::new(endpoint.connect_with_connector(connect).await.unwrap())
}

#[tokio::test]
async fn the_peers_port_answers_operators_with_a_certificate_alone() {
    let authority = Authority::new();
    let desk = Desk::new("h1", Some("h1"));
    let with_tls = nodes().await;
    let _one = start(&desk, &with_tls, Some(authority.identity("h1"))).await;
    let operator = authority.identity("alice");
    let address = with_tls[0].addresses[0];
    assert!(is_done(
        &command(&mut over_tls(address, &operator).await).await
    ));

    let nobody = rustls::ClientConfig::builder()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let nobody = Identity {
        client: Arc::new(nobody),
        ..(*operator).clone()
    };
    let refused = over_tls(address, &nobody)
        .await
        .request(failover())
        .await
        .unwrap_err();
    assert_ne!(refused.code(), tonic::Code::Unimplemented);
    assert_eq!(
        desk.seen.lock().unwrap().len(),
        1,
        "only the first command arrived"
    );

    let plain = nodes().await;
    let _two = start(&desk, &plain, None).await;
    let url = format!("http://{}", plain[0].addresses[0]);
    let mut anybody = AdminClient::connect(url).await.unwrap();
    let refused = anybody.request(failover()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
}
