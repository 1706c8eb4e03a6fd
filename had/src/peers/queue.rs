//! What waits to be sent on one connection. Never blocks; when it is full the oldest gives way, for the newest matters.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use had_proto::v1::Frame;

use super::bounds::QUEUE_MAX;

/// One connection's outgoing frames. The sending end of any number of threads.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Frame>,
    closed: bool,
    reader: Option<Waker>,
}

impl Queue {
    /// Adds a frame; the oldest gives way when the queue is full. Nothing happens once it is closed.
    pub(crate) fn push(&self, frame: Frame) {
        let reader = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            if state.frames.len() >= QUEUE_MAX {
                state.frames.pop_front();
            }
            state.frames.push_back(frame);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Ends the connection's stream; what waits is dropped.
    pub(crate) fn close(&self) {
        let reader = {
            let mut state = self.lock();
            state.closed = true;
            state.frames.clear();
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds a queue")
    }
}

/// The reading end: the body of an HTTP/2 stream.
#[derive(Debug)]
pub(crate) struct Outgoing(pub(crate) Arc<Queue>);

impl Outgoing {
    fn poll(&self, context: &Context<'_>) -> Poll<Option<Frame>> {
        let mut state = self.0.lock();
        if let Some(frame) = state.frames.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Of the connecting side: frames alone.
impl Stream for Outgoing {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.poll(context)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Of the accepting side, where a stream may end with a status.
#[derive(Debug)]
pub(crate) struct Replies(pub(crate) Outgoing);

impl Stream for Replies {
    type Item = Result<Frame, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(context).map(|frame| frame.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use had_proto::v1::{Ping, frame::Body};

    fn ping(number: u64) -> Frame {
        Frame {
            sender: None,
            body: Some(Body::Ping(Ping { number })),
        }
    }

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let queue = Arc::new(Queue::default());
        for number in 0..QUEUE_MAX as u64 + 3 {
            queue.push(ping(number));
        }
        let mut out = Outgoing(Arc::clone(&queue));
        assert_eq!(out.next().await, Some(ping(3)));
        let rest = (0..QUEUE_MAX - 1)
            .map(|_| ping(0))
            .collect::<Vec<_>>()
            .len();
        let read = out.by_ref().take(rest).collect::<Vec<_>>().await;
        assert_eq!(read.last(), Some(&ping(QUEUE_MAX as u64 + 2)));
    }

    #[tokio::test]
    async fn a_closed_queue_ends_its_stream_and_takes_nothing() {
        let queue = Arc::new(Queue::default());
        queue.push(ping(1));
        queue.close();
        queue.push(ping(2));
        assert_eq!(Outgoing(queue).next().await, None);
    }
}
