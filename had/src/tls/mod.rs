//! Mutual TLS: who this node is, and whose word it takes.
//!
//! TLS 1.3 alone, rustls with one provider. Both sides show a certificate of the cluster's authority; a node's certificate
//! names it (a DNS name in its subject alternative names that equals the name in the cluster file).

mod error;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use had_core::ids::NodeName;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem};

pub use error::TlsError;

/// The only application protocol: HTTP/2.
const ALPN: &[u8] = b"h2";

/// Where the certificates of one node lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The authority's certificates, PEM.
    pub ca: PathBuf,
    /// This node's certificate and what leads from it to the authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// A node's certificate and key, ready for both directions.
#[derive(Clone, Debug)]
pub struct Identity {
    /// For accepted connections: demands a certificate of the authority.
    pub server: Arc<ServerConfig>,
    /// For connections that this node opens.
    pub client: Arc<ClientConfig>,
}

impl Identity {
    /// Reads the files and checks what peers will check: signature, time, name, and that the key fits.
    ///
    /// # Errors
    /// A sentence for the first problem found.
    pub fn load(files: &Files, node: &NodeName) -> Result<Self, TlsError> {
        install_provider();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots(&files.ca)?);
        let chain = certificates("certificate", &files.cert)?;
        warn_of_readers(&files.key);
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| pem_error("private key", &files.key, error))?;
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch {
                    cert: files.cert.clone(),
                    key: files.key.clone(),
                },
                other => unusable(files, &other),
            })?;
        check_own(files, node, &certified, &roots, &provider)?;
        Self::build(certified, roots, &provider).map_err(|error| unusable(files, &error))
    }

    fn build(
        certified: CertifiedKey,
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let versions = &[&rustls::version::TLS13];
        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&resolver) as _);
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Every connection shows its certificate anew; tickets would only cost bytes.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_client_cert_resolver(resolver);
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// Whoever reads the key passes for this node.
fn warn_of_readers(key: &Path) {
    if std::fs::metadata(key).is_ok_and(|found| found.permissions().mode() & 0o004 != 0) {
        let key = key.display();
        tracing::warn!("every user of this host can read the private key {key}: chmod 600 {key}");
    }
}

/// Makes aws-lc-rs the process' provider. Harmless when done before.
pub fn install_provider() {
    // An error says that a provider is installed already; there is only one to choose from.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The DNS names of a certificate; none where it cannot be read.
#[must_use]
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    webpki::EndEntityCert::try_from(certificate)
        .map(|parsed| parsed.valid_dns_names().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Whether a certificate with these names is this node's. Patterns do not count.
#[must_use]
pub fn names_node(names: &[String], node: &NodeName) -> bool {
    names
        .iter()
        .any(|name| name.eq_ignore_ascii_case(node.as_str()))
}

/// The name that a peer's certificate must carry.
///
/// # Errors
/// Where it cannot stand in a certificate.
pub fn server_name(node: &NodeName) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(node.as_str().to_owned()).map_err(|_| TlsError::NameUnusable(node.clone()))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("certificate of an authority", path)? {
        store
            .add(certificate)
            .map_err(|error| TlsError::BadAuthority {
                path: path.into(),
                reason: error.to_string(),
            })?;
    }
    Ok(store)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem_error(what, path, error))?;
    if found.is_empty() {
        return Err(pem_error(what, path, pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn pem_error(what: &'static str, path: &Path, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::Unreadable {
            what,
            path: path.into(),
            source,
        },
        pem::Error::NoItemsFound => TlsError::NotPem {
            what,
            path: path.into(),
            reason: "there is none in it".into(),
        },
        other => TlsError::NotPem {
            what,
            path: path.into(),
            reason: other.to_string(),
        },
    }
}

fn check_own(
    files: &Files,
    node: &NodeName,
    certified: &CertifiedKey,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<(), TlsError> {
    let [own, intermediates @ ..] = certified.cert.as_slice() else {
        return Err(pem_error(
            "certificate",
            &files.cert,
            pem::Error::NoItemsFound,
        ));
    };
    let expected = server_name(node)?;
    let found = names(own);
    if !names_node(&found, node) {
        let names = if found.is_empty() {
            "nobody".into()
        } else {
            found.join(", ")
        };
        return Err(TlsError::OtherName {
            cert: files.cert.clone(),
            names,
            node: node.clone(),
        });
    }
    let bad_authority = |error: rustls::server::VerifierBuilderError| TlsError::BadAuthority {
        path: files.ca.clone(),
        reason: error.to_string(),
    };
    let now = UnixTime::now();
    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(bad_authority)?
        .verify_server_cert(own, intermediates, &expected, &[], now)
        .map_err(|error| verdict(files, &error))?;
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(bad_authority)?
        .verify_client_cert(own, intermediates, now)
        .map_err(|error| verdict(files, &error))?;
    Ok(())
}

fn verdict(files: &Files, error: &rustls::Error) -> TlsError {
    let cert = files.cert.clone();
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => TlsError::Expired {
            cert,
            problem: "has expired: issue a new one".into(),
        },
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => TlsError::Expired {
            cert,
            problem: "is not valid yet: is this host's clock right?".into(),
        },
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => TlsError::OtherAuthority {
            cert,
            ca: files.ca.clone(),
        },
        other => unusable(files, other),
    }
}

fn unusable(files: &Files, error: &rustls::Error) -> TlsError {
    TlsError::Unusable {
        cert: files.cert.clone(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
