//! How often, how long, how many: every bound of the connections, with its reason.

use std::time::Duration;

use had_core::timing::Timing;

/// Version of the protocol; peers that speak another are refused.
pub const PROTOCOL_VERSION: u32 = 1;
pub use had_core::state::FEATURE_LEVEL;

/// Streams of frames to a peer on each link. One lost segment stalls a connection for 200 ms; two rarely stall together.
pub(crate) const STREAMS_A_LINK: usize = 2;
/// Connections for consensus calls to a peer on each link: the second answers while the first is stalled.
pub(crate) const CALL_LANES_A_LINK: usize = 2;
/// Tries of one consensus call over different connections. More would only load a peer that is slow itself.
pub(crate) const CALL_TRIES: usize = 3;
/// Frames that wait on one connection: half a second of renewals of a 300 ms lease. The oldest give way.
pub(crate) const QUEUE_MAX: usize = 32;
/// Largest frame or consensus call: a full append of openraft with room to spare.
pub(crate) const MESSAGE_MAX_BYTES: usize = 8 << 20;
/// Largest bulk request: a snapshot is a few hundred KiB.
pub(crate) const BULK_MAX_BYTES: usize = 64 << 20;
/// A piece of a bulk request: small enough that nothing else waits long behind it.
pub(crate) const BULK_PIECE_BYTES: usize = 256 << 10;
/// What may be on its way on one HTTP/2 stream unread: a frozen peer wakes to seconds of renewals, not to megabytes.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// The same for a connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// Accepted connections: sixteen peers on two links with room for their successors and for operators.
pub(crate) const ACCEPTED_MAX: usize = 512;
/// Connections accepted by the kernel that wait for us.
pub(crate) const BACKLOG: u32 = 128;
/// Between two tries at a peer that refused us or that we refuse: somebody has to mend it first.
pub(crate) const REFUSED_RETRY: Duration = Duration::from_secs(2);
/// The same complaint is logged once in this time.
pub(crate) const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// Distinct complaints remembered; beyond this the oldest are forgotten.
pub(crate) const COMPLAINTS_MAX: usize = 256;
/// First pause after a lost connection; doubled up to the lane's own limit.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(20);
/// Longest pause of the one stream that looks out for a peer on a link.
pub(crate) const RETRY_LOOKOUT: Duration = Duration::from_millis(100);
/// Longest pause of the other connections: they are woken when the first one is up or the peer calls.
pub(crate) const RETRY_OTHERS: Duration = Duration::from_secs(1);

/// The durations that follow from the file's timing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two pings on a connection.
    pub(crate) ping: Duration,
    /// A connection on which nothing was heard for so long is replaced. More than a freeze of 300 ms, which heals itself.
    pub(crate) silence: Duration,
    /// For the TCP handshake: shorter than the kernel's first retransmission of a SYN (1 s), so that a peer that comes
    /// up is found early.
    pub(crate) connect: Duration,
    /// For TLS, HTTP/2 and the greeting: long enough for a host that is busy with many of them.
    pub(crate) handshake: Duration,
    /// For HTTP/2's keep-alive, both the interval and the patience, and for `TCP_USER_TIMEOUT`: the second line.
    pub(crate) keep_alive: Duration,
}

impl From<Timing> for Pace {
    fn from(timing: Timing) -> Self {
        let silence = (timing.heartbeat * 5).max(Duration::from_millis(500));
        Self {
            ping: timing.heartbeat,
            silence,
            connect: (timing.heartbeat * 2)
                .clamp(Duration::from_millis(200), Duration::from_secs(1)),
            handshake: silence.max(Duration::from_secs(1)),
            keep_alive: silence * 2,
        }
    }
}
