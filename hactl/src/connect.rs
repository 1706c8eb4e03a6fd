//! The way to a daemon: the socket of this host, or another host with mutual TLS.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::args::Target;
use crate::failure::Failure;

/// A daemon on the same LAN answers in milliseconds; this is for a host that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects to the daemon that the user named.
pub(crate) async fn connect(target: &Target) -> Result<Channel, Failure> {
    let connecting = async {
        match &target.endpoint {
            Some(endpoint) => remote(target, endpoint).await,
            None => local(&target.socket).await,
        }
    };
    // A host whose daemon hangs accepts, and shakes no hands.
    let hangs = |_| Failure::NoDaemon {
        text: format!(
            "no daemon answers at {} within {} s",
            target.name(),
            CONNECT_TIMEOUT.as_secs()
        ),
        hint: "is its host up, does its daemon hang? Ask another node".to_owned(),
    };
    timeout(CONNECT_TIMEOUT, connecting).await.map_err(hangs)?
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
        .map_err(|error| Failure::Usage {
            text: format!("cannot use the certificates: {}", cause(&error)),
            hint: "does the key of --key belong to the certificate of --cert?".to_owned(),
        })?
        .connect()
        .await
        .map_err(|error| {
            let why = cause(&error);
            let strange = ["BadSignature", "UnknownIssuer"];
            if strange.iter().any(|word| why.contains(word)) {
                return Failure::NoDaemon {
                    text: format!("the daemon at {endpoint} is not of the authority in --ca"),
                    hint: "name the ca.pem of its cluster".to_owned(),
                };
            }
            Failure::NoDaemon {
                text: format!("no daemon reached on {endpoint}: {why}"),
                hint: "is the port that of its peers? If HOST is not the name in the node's certificate: --server-name NODE"
                    .to_owned(),
            }
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
