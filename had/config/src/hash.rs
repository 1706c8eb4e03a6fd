//! A short name for what a configuration means.

use std::fmt::Write;

use had_core::spec::ClusterSpec;
use sha2::{Digest, Sha256};

/// Bytes of the digest that are kept: 64 bits tell the few configurations of one cluster apart and fit on a line.
const BYTES: usize = 8;

/// Of the meaning: files that differ in comments, spaces or the order of keys have equal hashes.
///
/// # Panics
/// Never: every map in a spec has text keys.
pub(crate) fn of(spec: &ClusterSpec) -> String {
    let meaning = serde_json::to_vec(spec).expect("a spec has only text keys");
    let digest = Sha256::digest(meaning);
    digest
        .iter()
        .take(BYTES)
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes every write");
            text
        })
}
