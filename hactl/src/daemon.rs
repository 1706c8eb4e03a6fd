//! A daemon that answers: questions once, commands until their outcome is known.

use std::time::Duration;

use had_proto::v1::admin_client::AdminClient;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::{
    ClusterInitRequest, CommandId, CommandReply, CommandRequest, Document, EventsRequest,
    ExplainRequest, SimulateRequest, StatusRequest, command_request,
};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::args::Target;
use crate::connect::connect;
use crate::failure::Failure;

/// A question is answered from memory, in milliseconds.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
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
        let client = AdminClient::new(connect(target).await?);
        Ok(Self {
            target: target.clone(),
            client,
        })
    }

    /// The document of the whole cluster or one group.
    pub(crate) async fn status(&mut self, group: Option<&str>) -> Result<Vec<u8>, Failure> {
        let group = group.unwrap_or_default().to_owned();
        let answer = self.client.status(question(StatusRequest { group })).await;
        self.document(answer)
    }

    /// The document that explains one group, now or, where `at_ms` is not zero, at that moment.
    pub(crate) async fn explain(&mut self, group: &str, at_ms: u64) -> Result<Vec<u8>, Failure> {
        let group = group.to_owned();
        let asked = question(ExplainRequest { group, at_ms });
        let answer = self.client.explain(asked).await;
        self.document(answer)
    }

    /// The document that foresees what a scenario leads to.
    pub(crate) async fn simulate(&mut self, what: SimulateRequest) -> Result<Vec<u8>, Failure> {
        let answer = self.client.simulate(question(what)).await;
        self.document(answer)
    }

    fn document(&self, answer: Result<Response<Document>, Status>) -> Result<Vec<u8>, Failure> {
        match answer {
            Ok(document) => Ok(document.into_inner().json),
            Err(status) => Err(self.failed(&status)),
        }
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
                let mut request = Request::new(CommandRequest {
                    id: Some(*id),
                    command: Some(command.clone()),
                });
                request.set_timeout(COMMAND_TIMEOUT);
                self.client.request(request).await
            }
            Wish::Init(nodes) => {
                let mut request = Request::new(ClusterInitRequest {
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
            // Either end may notice first.
            Code::DeadlineExceeded | Code::Cancelled => Failure::NoDaemon {
                text: format!(
                    "the daemon at {} took the question and has not answered within {} s",
                    self.target.name(),
                    QUESTION_TIMEOUT.as_secs()
                ),
                hint: "it hangs: restart it. What it owned falls silent by itself, and another node takes it over; ask there"
                    .to_owned(),
            },
            Code::Unavailable | Code::Unknown => {
                Failure::NoDaemon {
                    text: format!(
                        "the daemon at {} does not answer: {text}",
                        self.target.name()
                    ),
                    hint: match self.target.endpoint {
                        // TLS 1.3 lets a client begin before it knows (RFC 8446 §4.4.2).
                        Some(_) => "is the certificate of its cluster's authority (`hactl pki issue NAME --operator`)? Else look at its log",
                        None => "look at its log",
                    }
                    .to_owned(),
                }
            }
            Code::FailedPrecondition => Failure::NoQuorum(text),
            Code::Unimplemented => Failure::Answer("it does not know the question".to_owned()),
            _ => Failure::Refused(text),
        }
    }
}

/// Something that is answered from memory.
fn question<T>(what: T) -> Request<T> {
    let mut request = Request::new(what);
    request.set_timeout(QUESTION_TIMEOUT);
    request
}

impl Target {
    /// For people.
    pub(crate) fn name(&self) -> String {
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
