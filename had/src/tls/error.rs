//! What can be wrong with certificates.

use std::path::PathBuf;

use had_core::ids::NodeName;

/// Why a node cannot speak TLS: one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or not ours to read.
    #[error("cannot read the {what} {path}: {source}")]
    Unreadable {
        /// Which file.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM form: {reason}")]
    NotPem {
        /// What should be in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The authority's certificate is unusable.
    #[error("{path} is no usable certificate of an authority: {reason}")]
    BadAuthority {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error("the key {key} does not belong to the certificate {cert}")]
    KeyMismatch {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate is signed by somebody else.
    #[error("the certificate {cert} is not signed by the authority in {ca}")]
    OtherAuthority {
        /// The certificate.
        cert: PathBuf,
        /// The authority.
        ca: PathBuf,
    },
    /// The certificate's time is over, or has not come.
    #[error("the certificate {cert} {problem}")]
    Expired {
        /// The certificate.
        cert: PathBuf,
        /// Since or until when.
        problem: String,
    },
    /// The certificate names another node.
    #[error("the certificate {cert} is for {names}, not for the node {node}")]
    OtherName {
        /// The certificate.
        cert: PathBuf,
        /// Whom it names.
        names: String,
        /// Who runs here.
        node: NodeName,
    },
    /// The node's name cannot stand in a certificate.
    #[error("the node name {0} cannot be used with TLS: it is no DNS name")]
    NameUnusable(NodeName),
    /// Anything else that peers would refuse.
    #[error("the certificate {cert} cannot be used: {reason}")]
    Unusable {
        /// The certificate.
        cert: PathBuf,
        /// Why.
        reason: String,
    },
}
