//! Questions that any node answers itself, leader or not.

use std::path::Path;
use std::sync::Arc;

use had_core::time::WallTime;
use had_policies::Scenario;
use had_proto::v1;
use tonic::Code;

use super::desk::Desk;
use super::{Socket, nodes, over_socket, serve_socket, start};

/// A node that knows of no leader, on a socket.
async fn alone(path: &Path) -> (Arc<Desk>, Socket) {
    let desk = Desk::new("h1", None);
    let forward = Arc::new(start(&desk, &nodes().await, None).await);
    let socket = serve_socket(path, Arc::clone(&desk) as _, forward).await;
    (desk, socket.unwrap())
}

#[tokio::test]
async fn a_node_explains_without_a_leader_what_is_and_what_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let (desk, _socket) = alone(&path).await;
    let mut client = over_socket(&path).await;
    let ask = |group: &str, at_ms| v1::ExplainRequest {
        group: group.into(),
        at_ms,
    };
    for at_ms in [0, 1_234] {
        let answer = client.explain(ask("web", at_ms)).await.unwrap();
        assert_eq!(answer.into_inner().json, br#"{"explained_by":"h1"}"#);
    }
    let then = WallTime(1_234_000_000);
    assert_eq!(
        *desk.explained.lock().unwrap(),
        [("web".into(), None), ("web".into(), Some(then))]
    );
    let unknown = client.explain(ask("mail", 0)).await.unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.message()),
        (
            Code::NotFound,
            "there is no group mail; the groups are: web"
        )
    );
}

#[tokio::test]
async fn a_node_foresees_a_loss_or_a_split_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("had.sock");
    let (desk, _socket) = alone(&path).await;
    let mut client = over_socket(&path).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let ask = |lose: &[&str], split: &[&[&str]]| v1::SimulateRequest {
        lose: names(lose),
        split: split
            .iter()
            .map(|side| v1::Side { nodes: names(side) })
            .collect(),
    };
    let answer = client.simulate(ask(&["h1", "h2"], &[])).await.unwrap();
    assert_eq!(answer.into_inner().json, br#"{"foreseen_by":"h1"}"#);
    client
        .simulate(ask(&[], &[&["h1", "h2"], &["h3"]]))
        .await
        .unwrap();
    let refused = client.simulate(ask(&["h9"], &[])).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "there is no node h9")
    );
    let blind = client.simulate(ask(&["h1", "h2", "h3"], &[])).await;
    let blind = blind.unwrap_err();
    assert_eq!(
        (blind.code(), blind.message()),
        (Code::FailedPrecondition, "h1 hears nobody")
    );
    assert_eq!(
        desk.simulated.lock().unwrap()[..3],
        [
            Scenario::Lose(vec!["h1".into(), "h2".into()]),
            Scenario::Split(vec![vec!["h1".into(), "h2".into()], vec!["h3".into()]]),
            Scenario::Lose(vec!["h9".into()]),
        ]
    );
    for senseless in [ask(&[], &[]), ask(&["h1"], &[&["h1"], &["h2"]])] {
        let refused = client.simulate(senseless).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    assert_eq!(
        desk.simulated.lock().unwrap().len(),
        4,
        "nothing that is neither or both arrived"
    );
}
