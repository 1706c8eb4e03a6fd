//! The unix socket: for root and the group `had`.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use had_proto::v1::admin_server::AdminServer;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::{Forward, Operator, Service};

/// Read and write for owner and group, nothing for others.
const MODE: u32 = 0o660;
/// The group whose members may use the socket, where it exists.
const GROUP: &str = "had";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon listens there.
    #[error("another daemon listens on {0}")]
    InUse(PathBuf),
    /// Something else lies there.
    #[error("{0} is there and is no socket")]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A served socket; dropped, it takes no more callers and its file is gone.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    server: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.server.abort();
        // Where it cannot be removed, the next daemon finds that nobody listens.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves operators on a unix socket. Its directory is made where it is missing; a file that a former life left behind is
/// replaced, but only if nobody listens there.
///
/// # Errors
/// Where the socket cannot be made, or another daemon has it.
pub async fn serve_socket(
    path: &Path,
    operator: Arc<dyn Operator>,
    forward: Arc<dyn Forward>,
) -> Result<Socket, SocketError> {
    let listener = listen(path)?;
    let service = AdminServer::new(Service::new(operator, forward));
    let server = Server::builder()
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(listener));
    let server = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!("the operators' socket ended: {error}");
        }
    });
    Ok(Socket {
        path: path.into(),
        server,
    })
}

fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(problem("create the directory", directory))?;
    }
    refuse_if_taken(path)?;
    // Made under another name and renamed, so that nobody can connect before the permissions stand.
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    remove(&draft)?;
    let listener = UnixListener::bind(&draft).map_err(problem("listen on", path))?;
    let finish = || {
        if let Ok(Some(group)) = nix::unistd::Group::from_name(GROUP)
            && let Err(error) = std::os::unix::fs::chown(&draft, None, Some(group.gid.as_raw()))
        {
            let path = path.display();
            tracing::warn!(
                "members of the group {GROUP} cannot use {path}: giving it to them: {error}"
            );
        }
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(MODE))
            .map_err(problem("set the permissions of", path))?;
        std::fs::rename(&draft, path).map_err(problem("create", path))
    };
    finish().inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
    Ok(listener)
}

fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(problem("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.into()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(problem("replace", path)(error)),
    }
}

fn remove(path: &Path) -> Result<(), SocketError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(problem("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn problem(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io {
        doing,
        path,
        source,
    }
}
