//! A daemon that answers what a test wrote down, on a socket or with TLS.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use had_proto::v1::admin_server::{Admin, AdminServer};
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::{
    ClusterInitRequest, CommandReply, CommandRequest, Document, EventsRequest, ExplainRequest,
    SimulateRequest, StatusRequest,
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// What the daemon says to the next command.
pub(crate) enum Answer {
    Outcome(Outcome),
    /// It falls silent: the call breaks.
    Broken,
}

/// What the daemon was told to say, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) status: Mutex<Option<String>>,
    pub(crate) events: Mutex<Vec<String>>,
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    pub(crate) commands: Mutex<Vec<CommandRequest>>,
    pub(crate) inits: Mutex<Vec<ClusterInitRequest>>,
    pub(crate) since_ms: Mutex<Vec<u64>>,
    pub(crate) explained: Mutex<Vec<ExplainRequest>>,
    pub(crate) simulated: Mutex<Vec<SimulateRequest>>,
    /// What is answered to both.
    pub(crate) told: Mutex<String>,
}

impl Script {
    pub(crate) fn answer(self: &Arc<Self>, answer: Answer) -> Arc<Self> {
        self.answers.lock().unwrap().push_back(answer);
        Arc::clone(self)
    }

    fn document(&self) -> Response<Document> {
        Response::new(Document {
            json: self.told.lock().unwrap().clone().into_bytes(),
        })
    }

    fn next(&self) -> Result<Response<CommandReply>, Status> {
        match self.answers.lock().unwrap().pop_front().unwrap() {
            Answer::Outcome(outcome) => Ok(Response::new(CommandReply {
                outcome: Some(outcome),
                answered_by: "h2".to_owned(),
            })),
            Answer::Broken => Err(Status::unavailable("connection lost")),
        }
    }
}

struct Service(Arc<Script>);

#[tonic::async_trait]
impl Admin for Service {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<Document>, Status> {
        let group = request.into_inner().group;
        if !["", "web"].contains(&group.as_str()) {
            return Err(Status::not_found(format!("there is no group {group}")));
        }
        let json = self.0.status.lock().unwrap().clone();
        let json = json.ok_or_else(|| Status::unavailable("no status today"))?;
        Ok(Response::new(Document {
            json: json.into_bytes(),
        }))
    }

    type EventsStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<Document, Status>> + Send + 'static>>;

    async fn events(
        &self,
        request: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        self.0
            .since_ms
            .lock()
            .unwrap()
            .push(request.into_inner().since_ms);
        let events = self.0.events.lock().unwrap().clone();
        let documents = events.into_iter().map(|json| {
            Ok(Document {
                json: json.into_bytes(),
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(documents))))
    }

    async fn request(
        &self,
        request: Request<CommandRequest>,
    ) -> Result<Response<CommandReply>, Status> {
        self.0.commands.lock().unwrap().push(request.into_inner());
        self.0.next()
    }

    async fn cluster_init(
        &self,
        request: Request<ClusterInitRequest>,
    ) -> Result<Response<CommandReply>, Status> {
        self.0.inits.lock().unwrap().push(request.into_inner());
        self.0.next()
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Document>, Status> {
        let request = request.into_inner();
        if request.group != "web" {
            let text = format!("there is no group {}; the groups are: web", request.group);
            return Err(Status::not_found(text));
        }
        self.0.explained.lock().unwrap().push(request);
        Ok(self.0.document())
    }

    async fn simulate(
        &self,
        request: Request<SimulateRequest>,
    ) -> Result<Response<Document>, Status> {
        let request = request.into_inner();
        if request.lose.iter().any(|node| node == "h9") {
            return Err(Status::invalid_argument(
                "there is no node h9; the nodes are: h1, h2",
            ));
        }
        if request.lose == ["h1", "h2"] {
            return Err(Status::failed_precondition("h2 hears nobody"));
        }
        self.0.simulated.lock().unwrap().push(request);
        Ok(self.0.document())
    }
}

/// A running daemon; its thread ends with the test's process, its socket with the folder.
pub(crate) struct Daemon {
    pub(crate) folder: tempfile::TempDir,
}

impl Daemon {
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("had.sock")
    }
}

/// Answers on a socket.
pub(crate) fn on_a_socket(script: Arc<Script>) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("had.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    run(async move {
        let incoming = UnixListenerStream::new(UnixListener::from_std(listener).unwrap());
        let server = Server::builder().add_service(AdminServer::new(Service(script)));
        server.serve_with_incoming(incoming).await.unwrap();
    });
    Daemon { folder }
}

/// Answers with TLS on a port of its own.
pub(crate) fn with_tls(script: Arc<Script>, tls: ServerTlsConfig) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    run(async move {
        let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
        let mut builder = Server::builder().tls_config(tls).unwrap();
        let server = builder.add_service(AdminServer::new(Service(script)));
        server.serve_with_incoming(incoming).await.unwrap();
    });
    port
}

fn run(server: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(server);
    });
}

/// What a run of `hactl` left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `hactl` against a socket.
pub(crate) fn hactl(socket: &Path, line: &str) -> Ran {
    command(&["--socket", socket.to_str().unwrap()], line)
}

/// Runs `hactl` with options of the test's own.
pub(crate) fn command(options: &[&str], line: &str) -> Ran {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hactl"))
        .env_remove("HAD_SOCKET")
        .env("TZ", "UTC")
        .args(options)
        .args(line.split(' '))
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
