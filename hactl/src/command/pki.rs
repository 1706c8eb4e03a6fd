//! `hactl pki`: a small authority for one cluster, and what it certifies.
//!
//! A node's certificate names the node (DNS name in its subject alternative names) and is good for both ends of a
//! connection; an operator's names nobody's host and is good for clients alone, so that no operator passes for a node.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{ToSpan as _, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::out;

/// Whoever has the file may read it.
const PUBLIC: u32 = 0o644;
/// Only its owner may.
const SECRET: u32 = 0o600;
const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

/// Whose certificate it is.
pub(crate) enum Holder {
    Node(String),
    Operator(String),
}

impl Holder {
    fn name(&self) -> &str {
        match self {
            Self::Node(name) | Self::Operator(name) => name,
        }
    }
}

/// What was written, under `--json`.
#[derive(Serialize)]
struct Document<'a> {
    written: &'a [PathBuf],
}

/// Makes the authority.
pub(crate) fn init(folder: &Path, days: u32, json: bool) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let mut params = valid_for(CertificateParams::default(), days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = Zoned::now().date();
    let name = format!("had authority of {today}");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| unusable(&error))?;
    let written = write_both(
        (folder.join(CA_CERTIFICATE), &certificate.pem()),
        (folder.join(CA_KEY), &key.serialize_pem()),
    )?;
    let advice = format!(
        "{} goes to every node; {} stays here: whoever has it can join the cluster.\n",
        written[0].display(),
        written[1].display()
    );
    told(&written, &advice, json)
}

/// Makes a certificate and its key.
pub(crate) fn issue(holder: &Holder, folder: &Path, days: u32, json: bool) -> Result<(), Failure> {
    let name = holder.name();
    let is_file_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_file_name) {
        return Err(Failure::Usage {
            text: format!("{name:?} is no name for a certificate"),
            hint: "letters, digits, hyphens and dots, as in the cluster file".to_owned(),
        });
    }
    let issuer = authority(folder)?;
    let names = match holder {
        Holder::Node(node) => vec![node.clone()],
        Holder::Operator(_) => Vec::new(),
    };
    let params = CertificateParams::new(names).map_err(|error| unusable(&error))?;
    let mut params = valid_for(params, days)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if let Holder::Node(_) = holder {
        let serves = ExtendedKeyUsagePurpose::ServerAuth;
        params.extended_key_usages.push(serves);
    }
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let certificate = params
        .signed_by(&key, &issuer)
        .map_err(|error| unusable(&error))?;
    let written = write_both(
        (folder.join(format!("{name}.pem")), &certificate.pem()),
        (folder.join(format!("{name}.key")), &key.serialize_pem()),
    )?;
    let (cert, key) = (written[0].display(), written[1].display());
    let ca = folder.join(CA_CERTIFICATE);
    let ca = ca.display();
    let advice = match holder {
        Holder::Node(node) => format!(
            "On {node}: {ca} as /etc/had/ca.pem, {cert} as /etc/had/node.pem, {key} as /etc/had/node.key.\n"
        ),
        Holder::Operator(_) => format!(
            "hactl --endpoint https://HOST:PORT --server-name NODE --ca {ca} --cert {cert} --key {key} status\n"
        ),
    };
    told(&written, &advice, json)
}

fn told(written: &[PathBuf], advice: &str, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(out::document(&Document { written })?);
    }
    let mut text = String::new();
    for path in written {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(out::text(&(text + advice))?)
}

fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>, Failure> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| {
            Failure::Refused(format!(
                "cannot read {}: {error}; `hactl pki init` makes an authority, --dir names another folder",
                path.display()
            ))
        })
    };
    let (certificate, key) = (read(CA_CERTIFICATE)?, read(CA_KEY)?);
    let key = KeyPair::from_pem(&key).map_err(|error| unusable(&error))?;
    Issuer::from_ca_cert_pem(&certificate, key).map_err(|error| unusable(&error))
}

/// From yesterday, for clocks that are behind.
fn valid_for(mut params: CertificateParams, days: u32) -> Result<CertificateParams, Failure> {
    let today = Zoned::now().date();
    let last = today.checked_add(i64::from(days).days());
    let last = last.map_err(|error| Failure::Refused(error.to_string()))?;
    let first = today.yesterday().unwrap_or(today);
    let part = |value: i8| u8::try_from(value).unwrap_or(1);
    let midnight =
        |date: Date| date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()));
    params.not_before = midnight(first);
    params.not_after = midnight(last);
    Ok(params)
}

fn unusable(error: &rcgen::Error) -> Failure {
    Failure::Refused(error.to_string())
}

/// Both files, or neither; none is written over.
fn write_both(certificate: (PathBuf, &str), key: (PathBuf, &str)) -> Result<[PathBuf; 2], Failure> {
    // The key first: where it cannot be written, no certificate is left that nobody can use.
    create(&key.0, SECRET, key.1)?;
    if let Err(failure) = create(&certificate.0, PUBLIC, certificate.1) {
        std::fs::remove_file(&key.0)?;
        return Err(failure);
    }
    Ok([certificate.0, key.0])
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        let whole = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        // Half a key is worse than none: the next attempt would find it there.
        whole.inspect_err(|_| drop(std::fs::remove_file(path)))
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Refused(format!(
            "{} is there already and is not written over; move it away, or name another folder with --dir",
            path.display()
        )),
        _ => Failure::Refused(format!("cannot write {}: {error}", path.display())),
    })
}
