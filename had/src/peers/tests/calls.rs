//! Consensus calls.

use std::time::Duration;

use super::rig::{Node, PATIENCE, address, eventually, settings, spec, voter};
use crate::peers::CallError;
use crate::testing::Authority;

fn pair() -> (Node, Node) {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let authority = Authority::new();
    let start = |name| Node::start(settings(name, &nodes, Some(authority.identity(name))));
    let (h1, h2) = (start("h1"), start("h2"));
    eventually("the first call", || call(&h1, "h2", b"?").is_ok());
    (h1, h2)
}

fn call(from: &Node, to: &str, body: &[u8]) -> Result<Vec<u8>, CallError> {
    from.block_on(
        from.peers
            .call(&to.into(), voter(to), body.to_vec(), PATIENCE),
    )
}

#[test]
fn a_call_is_answered_by_the_voter_that_is_meant_or_refused() {
    let (h1, _h2) = pair();
    assert_eq!(call(&h1, "h2", b" says vote").unwrap(), b"h1 says vote");
    let other = h1
        .peers
        .call(&"h2".into(), voter("replaced"), vec![], PATIENCE);
    let text = h1.block_on(other).unwrap_err().to_string();
    assert!(text.starts_with("h2 refuses: h2 is v"), "{text}");
    let failed = call(&h1, "h2", b"fail").unwrap_err().to_string();
    assert_eq!(failed, "h2 refuses: the store is full");
    let unknown = call(&h1, "h9", b"").unwrap_err().to_string();
    assert_eq!(unknown, "cannot reach h9: it is not in the cluster file");
}

#[test]
fn a_large_body_goes_in_pieces() {
    let (h1, _h2) = pair();
    let body: Vec<u8> = (0..20_000_003_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    let answer = h1
        .peers
        .bulk(&"h2".into(), voter("h2"), body.clone(), PATIENCE);
    // The answer repeats the body, which is more than a reply may hold.
    let refused = h1.block_on(answer).unwrap_err().to_string();
    assert!(refused.contains("message length too large"), "{refused}");
    let body = &body[..7_000_000];
    let answer = h1
        .peers
        .bulk(&"h2".into(), voter("h2"), body.to_vec(), PATIENCE);
    let answer = h1.block_on(answer).unwrap();
    assert!(answer.starts_with(b"h1") && answer[2..] == *body);
}

#[test]
fn nobody_there_is_said_at_once() {
    let nodes = [spec("h1", &[address()]), spec("h2", &[address()])];
    let h1 = Node::start(settings("h1", &nodes, None));
    let start = std::time::Instant::now();
    let error = call(&h1, "h2", b"").unwrap_err();
    assert_eq!(error.to_string(), "cannot reach h2: not connected");
    assert!(start.elapsed() < Duration::from_secs(1));
}
