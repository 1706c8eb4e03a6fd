//! A daemon that answers: on the socket of this host, or elsewhere with mutual TLS.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use had_proto::v1::admin_client::AdminClient;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::{
    ClusterInitRequest, CommandId, CommandReply, CommandRequest, Document, EventsRequest,
    StatusRequest, command_request,
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status, Streaming};

use crate::args::Target;
use crate::failure::Failure;

/// A daemon on the same LAN answers in milliseconds; this is for a host that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A status is answered from memory.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// A little longer than the daemon itself gives a command (60 s).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(65);
/// How often a command whose outcome is unknown is repeated under its id: through one change of the leader.
const REPEATS: u32 = 3;
/// Between two of them: an election of the usual lease.
const REPEAT_PAUSE: Duration = Duration::from_millis(300);

/// What a command asks for.
pub(crate) enum Wish {
    /// Of a formed cluster.
    Command(command_request::Command),
    /// The first start with these voters.
    Init(Vec<String>),
}

/// A connection to a daemon.
pub(crate) struct Daemon {
    target: Target,
    client: AdminClient<Channel>,
}

impl Daemon {
    /// Connects.
    pub(crate) async fn reach(target: &Target) -> Result<Self, Failure> {
        let channel = match &target.endpoint {
            Some(endpoint) => remote(target, endpoint).await?,
            None => local(&target.socket).await?,
        };
        Ok(Self {
            target: target.clone(),
            client: AdminClient::new(channel),
        })
    }

    /// The document of the whole cluster or one group.
    pub(crate) async fn status(&mut self, group: Option<&str>) -> Result<Vec<u8>, Failure> {
        let mut request = tonic::Request::new(StatusRequest {
            group: group.unwrap_or_default().to_owned(),
        });
        request.set_timeout(QUESTION_TIMEOUT);
        let answer = self
            .client
            .status(request)
            .await
            .map_err(|status| self.failed(&status))?;
        Ok(answer.into_inner().json)
    }

    /// The cluster's history.
    pub(crate) async fn events(
        &mut self,
        since_ms: u64,
        follow: bool,
    ) -> Result<Streaming<Document>, Failure> {
        let request = EventsRequest { since_ms, follow };
        let answer = self
            .client
            .events(request)
            .await
            .map_err(|status| self.failed(&status))?;
        Ok(answer.into_inner())
    }

    /// Commands, and waits until it is done or refused. Every repetition carries the same id, so that the cluster does
    /// it once.
    pub(crate) async fn command(&mut self, wish: &Wish) -> Result<CommandReply, Failure> {
        let id = fresh_id()?;
        let mut open = self.once(&id, wish).await;
        for _ in 0..REPEATS {
            if !matches!(open, Err(Failure::Unknown(_))) {
                break;
            }
            tokio::time::sleep(REPEAT_PAUSE).await;
            // A daemon that is gone now had the command before: it stays unknown what became of it.
            if let Ok(again) = Self::reach(&self.target).await {
                self.client = again.client;
                open = self.once(&id, wish).await;
            }
        }
        open
    }

    async fn once(&mut self, id: &CommandId, wish: &Wish) -> Result<CommandReply, Failure> {
        let answer = match wish {
            Wish::Command(command) => {
                let mut request = tonic::Request::new(CommandRequest {
                    id: Some(*id),
                    command: Some(command.clone()),
                });
                request.set_timeout(COMMAND_TIMEOUT);
                self.client.request(request).await
            }
            Wish::Init(nodes) => {
                let mut request = tonic::Request::new(ClusterInitRequest {
                    id: Some(*id),
                    nodes: nodes.clone(),
                });
                request.set_timeout(COMMAND_TIMEOUT);
                self.client.cluster_init(request).await
            }
        };
        match answer {
            Ok(reply) => settled(reply.into_inner()),
            Err(status) => Err(match status.code() {
                Code::Unavailable
                | Code::Unknown
                | Code::Internal
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted => Failure::Unknown(format!(
                    "the daemon fell silent before it answered: {}; the command may have been carried out",
                    status.message()
                )),
                _ => self.failed(&status),
            }),
        }
    }

    /// What a refused call means.
    pub(crate) fn failed(&self, status: &Status) -> Failure {
        let text = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                Failure::NoDaemon {
                    text: format!(
                        "the daemon at {} does not answer: {text}",
                        self.target.name()
                    ),
                    hint: "look at its log".to_owned(),
                }
            }
            Code::Unimplemented => Failure::Answer("it does not know the question".to_owned()),
            _ => Failure::Refused(text),
        }
    }
}

impl Target {
    /// For people.
    fn name(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.socket.display().to_string(),
        }
    }
}

/// A reply by what follows from it.
fn settled(reply: CommandReply) -> Result<CommandReply, Failure> {
    match &reply.outcome {
        Some(Outcome::Done(_)) => Ok(reply),
        Some(Outcome::Refused(why)) => Err(Failure::Refused(why.text.clone())),
        Some(Outcome::NotLeader(why)) => Err(Failure::Refused(why.text.clone())),
        Some(Outcome::NoQuorum(why)) => Err(Failure::NoQuorum(why.text.clone())),
        Some(Outcome::Unknown(why)) => Err(Failure::Unknown(why.text.clone())),
        None => Err(Failure::Answer(
            "its outcome is not known to this version".to_owned(),
        )),
    }
}

fn fresh_id() -> Result<CommandId, Failure> {
    let process = getrandom::u64()
        .map_err(|error| Failure::Refused(format!("the system gives no random number: {error}")))?;
    Ok(CommandId { process, number: 1 })
}

async fn local(socket: &Path) -> Result<Channel, Failure> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The name is never looked up: the connector knows where to go.
    Endpoint::from_static("http://had")
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector(connector)
        .await
        .map_err(|error| {
            let kind = io_kind(&error);
            let hint = match kind {
                Some(io::ErrorKind::PermissionDenied) => {
                    "the socket is for root and the group `had`"
                }
                _ => "is `had run` up on this host? Another socket: --socket or HAD_SOCKET",
            };
            Failure::NoDaemon {
                text: format!(
                    "no daemon reached on {}: {}",
                    socket.display(),
                    cause(&error)
                ),
                hint: hint.to_owned(),
            }
        })
}

async fn remote(target: &Target, endpoint: &str) -> Result<Channel, Failure> {
    let usage = |text: String| Failure::Usage {
        text,
        hint: "write --endpoint https://HOST:PORT with the port of the peers".to_owned(),
    };
    if !endpoint.starts_with("https://") {
        return Err(usage(format!("{endpoint} is no https:// address")));
    }
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(target.ca.as_ref())?))
        .identity(Identity::from_pem(
            read(target.cert.as_ref())?,
            read(target.key.as_ref())?,
        ));
    if let Some(name) = &target.server_name {
        tls = tls.domain_name(name);
    }
    let refused = |error: tonic::transport::Error| usage(format!("{endpoint}: {}", cause(&error)));
    Endpoint::from_shared(endpoint.to_owned())
        .map_err(refused)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_config(tls)
        .map_err(|error| Failure::Refused(format!("cannot use the certificates: {}", cause(&error))))?
        .connect()
        .await
        .map_err(|error| Failure::NoDaemon {
            text: format!("no daemon reached on {endpoint}: {}", cause(&error)),
            hint: "is the port that of its peers? If HOST is not the name in the node's certificate: --server-name NODE"
                .to_owned(),
        })
}

fn read(path: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    let path = path.ok_or_else(|| Failure::Usage {
        text: "an --endpoint needs certificates".to_owned(),
        hint: "add --ca, --cert and --key".to_owned(),
    })?;
    std::fs::read(path)
        .map_err(|error| Failure::Refused(format!("cannot read {}: {error}", path.display())))
}

/// The innermost cause: tonic's own words say only "transport error".
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}
