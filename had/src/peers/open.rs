//! The streams that this node opens: dialled, greeted, read, and opened again for as long as the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use had_proto::v1::frame::Body;
use had_proto::v1::peer_client::PeerClient;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::Shared;
use super::bounds::{MESSAGE_MAX_BYTES, REFUSED_RETRY, RETRY_FIRST, RETRY_LOOKOUT, RETRY_OTHERS};
use super::dial::{Undialed, dial, status_text};
use super::hello;
use super::links::{Link, Side};
use super::queue::{Outgoing, Queue};
use super::stream::{Ended, Stream};

/// Why there is no stream at the moment.
enum Failure {
    /// It stood, and is over.
    Over,
    /// Nobody answers there.
    Absent(String),
    /// Somebody answers, but it did not come to stand.
    Turned(String),
    /// One of the two does not take the other.
    Refused(String),
}

/// Keeps one stream over a link.
pub(crate) async fn keep(shared: Arc<Shared>, link: Arc<Link>, lane: usize) {
    // One stream looks out for the peer; the others come when it has found it.
    let longest = if lane == 0 {
        RETRY_LOOKOUT
    } else {
        RETRY_OTHERS
    };
    let mut wakes = link.wakes();
    let mut pause = RETRY_FIRST;
    loop {
        wakes.borrow_and_update();
        match converse(&shared, &link).await {
            Failure::Over => pause = RETRY_FIRST,
            Failure::Absent(problem) => {
                pause = (pause * 2).min(longest);
                complain(&shared, &link, lane, unreachable(&link, &problem));
            }
            Failure::Turned(problem) => {
                pause = (pause * 2).min(REFUSED_RETRY);
                complain(&shared, &link, lane, unreachable(&link, &problem));
            }
            Failure::Refused(problem) => {
                pause = REFUSED_RETRY;
                complain(
                    &shared,
                    &link,
                    lane,
                    format!(
                        "no link {} with {} at {}: {problem}",
                        link.index, link.peer, link.theirs
                    ),
                );
            }
        }
        pause = rest(pause, &mut wakes).await;
    }
}

/// Waits, or is woken; then the next pause starts over.
pub(crate) async fn rest(
    pause: Duration,
    wakes: &mut tokio::sync::watch::Receiver<u64>,
) -> Duration {
    tokio::select! {
        () = sleep(pause) => pause,
        _ = wakes.changed() => RETRY_FIRST,
    }
}

fn complain(shared: &Shared, link: &Link, lane: usize, problem: String) {
    if lane == 0 {
        shared.complaints.warn(&about(link), || problem.clone());
        link.failed(problem);
    }
}

fn unreachable(link: &Link, problem: &str) -> String {
    format!(
        "cannot reach {} at {} from {}: {problem}",
        link.peer,
        link.theirs,
        link.own.ip()
    )
}

fn about(link: &Link) -> String {
    format!("link {} {}", link.peer, link.index)
}

async fn converse(shared: &Arc<Shared>, link: &Arc<Link>) -> Failure {
    let dialed = match dial(shared, link).await {
        Ok(dialed) => dialed,
        Err(Undialed::Absent(problem)) => return Failure::Absent(problem),
        Err(Undialed::Turned(problem)) => return Failure::Turned(problem),
    };
    let out = Arc::new(Queue::default());
    out.push(shared.frame(Body::Hello(hello::greeting(&shared.settings, &link.peer))));
    let mut client = PeerClient::new(dialed.channel).max_decoding_message_size(MESSAGE_MAX_BYTES);
    let opening = async {
        let mut frames = client
            .exchange(Outgoing(Arc::clone(&out)))
            .await?
            .into_inner();
        let greeting = frames.message().await?;
        Ok::<_, tonic::Status>((frames, greeting))
    };
    let (mut frames, greeting) = match timeout(shared.pace.handshake, opening).await {
        Ok(Ok((frames, Some(greeting)))) => (frames, greeting),
        Ok(Ok((_, None))) => return Failure::Turned("it ended the stream at once".into()),
        Ok(Err(status)) if status.code() == Code::FailedPrecondition => {
            return Failure::Refused(format!("refused there: {}", status.message()));
        }
        Ok(Err(status)) => return Failure::Turned(status_text(&status)),
        Err(_) => {
            return Failure::Absent("connected, but the greeting was not answered".into());
        }
    };
    // The certificate was checked against the name by the handshake.
    let own = shared.inbound.sender();
    let greeted = hello::check_greeting(&shared.settings, &own, &greeting, None)
        .and_then(|greeted| shared.lives.admit(&greeted).map(|()| greeted));
    let greeted = match greeted {
        Ok(greeted) => greeted,
        Err(unfit) => return Failure::Refused(unfit.to_string()),
    };
    if greeted.node != link.peer {
        return Failure::Refused(format!(
            "{} answered there: the addresses differ",
            greeted.node
        ));
    }
    shared.remark(&greeting);
    let mut stream = Stream::new(shared, link, Side::Opened, greeted, &out);
    shared.complaints.clear(&about(link));
    match stream.run(&mut frames).await {
        Ended::Unfit(unfit) => Failure::Refused(unfit.to_string()),
        Ended::Broken(_) => Failure::Over,
    }
}
