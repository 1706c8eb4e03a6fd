//! One stream of frames that stands, whoever opened it.

use std::sync::Arc;
use std::time::Instant;

use had_core::message::{Message, Sender};
use had_core::ports::Via;
use had_proto::v1::{self, Frame, frame::Body};
use tokio::time::{MissedTickBehavior, interval};
use tonic::Streaming;
use tracing::{debug, info, warn};

use super::Shared;
use super::dial::status_text;
use super::hello::{self, Unfit};
use super::links::{Link, Side};
use super::queue::Queue;
use super::wire;

/// A stream with a peer whose greeting was good. Known to answers and sends until it is dropped.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    link: Arc<Link>,
    side: Side,
    greeted: Sender,
    via: Via,
    out: Arc<Queue>,
    started: Instant,
    /// Why it is over, once it is.
    over: String,
}

/// Why a stream is over.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The other side ended it, the connection broke, or nothing was heard for too long: then it may be half open.
    Broken(String),
    /// Something came that must not.
    Unfit(Unfit),
}

impl Stream {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        link: &Arc<Link>,
        side: Side,
        greeted: Sender,
        out: &Arc<Queue>,
    ) -> Self {
        let via = shared.streams.add(out);
        if link.add(side, via, out) {
            info!(
                "link {} to {} ({}) stands",
                link.index, link.peer, link.theirs
            );
        }
        Self {
            shared: Arc::clone(shared),
            link: Arc::clone(link),
            side,
            greeted,
            via,
            out: Arc::clone(out),
            started: Instant::now(),
            over: "this node ended it".into(),
        }
    }

    /// Reads until the stream is over. The side that opened it pings, so both hear something every heartbeat.
    pub(crate) async fn run(&mut self, frames: &mut Streaming<Frame>) -> Ended {
        let ended = self.read(frames).await;
        self.over = match &ended {
            Ended::Broken(problem) => problem.clone(),
            Ended::Unfit(unfit) => unfit.to_string(),
        };
        debug!(
            "a stream over link {} to {} is over: {}",
            self.link.index, self.link.peer, self.over
        );
        ended
    }

    async fn read(&self, frames: &mut Streaming<Frame>) -> Ended {
        let pace = self.shared.pace;
        // The side that opened it is the one to replace it, so it gives up first.
        let patience = match self.side {
            Side::Opened => pace.silence,
            Side::Accepted => pace.silence * 2,
        };
        let mut beat = interval(pace.ping);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = frames.message() => match frame {
                    Ok(Some(frame)) => {
                        heard = Instant::now();
                        if let Err(unfit) = self.take(frame) {
                            return Ended::Unfit(unfit);
                        }
                    }
                    Ok(None) => return Ended::Broken("the other side ended the stream".into()),
                    Err(status) => return Ended::Broken(status_text(&status)),
                },
                _ = beat.tick() => {
                    if heard.elapsed() > patience {
                        return Ended::Broken(format!("nothing was heard for {patience:?}"));
                    }
                    if self.side == Side::Opened {
                        self.out.push(self.shared.frame(Body::Ping(v1::Ping { number: self.age_ns() })));
                    }
                }
            }
        }
    }

    fn take(&self, frame: Frame) -> Result<(), Unfit> {
        let theirs = frame.sender.as_ref().ok_or(Unfit::NoSender)?;
        let from = hello::check_frame(&self.shared.inbound.sender(), &self.greeted, theirs)?;
        self.link.heard();
        match frame.body {
            // A body of a later version.
            None | Some(Body::Hello(_)) => {}
            Some(Body::Ping(ping)) => {
                self.out.push(self.shared.frame(Body::Pong(v1::Pong {
                    number: ping.number,
                })));
            }
            Some(Body::Pong(pong)) => {
                let round_trip = self.age_ns().saturating_sub(pong.number);
                self.link
                    .measured(std::time::Duration::from_nanos(round_trip));
            }
            Some(body) => self.pass_on(from, body),
        }
        Ok(())
    }

    fn pass_on(&self, from: Sender, body: Body) {
        match wire::decode(body) {
            Ok(Message::Ask(ask)) => self.shared.inbound.asked(from, ask, self.via),
            Ok(message) => self.shared.inbound.heard(from, message),
            Err(error) => {
                let peer = &self.link.peer;
                let about = format!("frame {peer}");
                self.shared
                    .complaints
                    .warn(&about, || format!("{peer} sent {error}; passed over"));
            }
        }
    }

    /// The stream's own clock, for pings.
    fn age_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.streams.remove(self.via);
        self.out.close();
        if self.link.remove(self.side, self.via) && !self.shared.is_ending() {
            let link = &self.link;
            warn!(
                "link {} to {} ({}) is down: {}",
                link.index, link.peer, link.theirs, self.over
            );
            link.failed(std::mem::take(&mut self.over));
        }
    }
}
