//! The pure crates: they know no runtime, clock, file, socket, thread, environment or random order.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::rust::{self, Token};
use crate::step::{Failure, Job};
use crate::untouched::files;

use super::below;
use super::metadata::{Metadata, Package};

/// The pure crates.
const PURE: [&str; 2] = ["had-policies", "had-core"];

/// All that may stand below them.
const ALLOWED: [&str; 18] = [
    "had-core",
    "had-policies",
    // serialised forms of entries and plans
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "itoa",
    "memchr",
    "ryu",
    "zmij",
    // times as people write them (RFC 3339), without its features for zones; its clock is `::now`, refused below
    "jiff",
    "jiff-core",
    // errors
    "thiserror",
    "thiserror-impl",
    // what the derive macros are built with
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Words that must not stand in their source, and why.
const WORDS: [(&str, &str); 15] = [
    ("tokio", "it knows no runtime"),
    ("Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("UNIX_EPOCH", "time is an argument"),
    ("HashMap", "its order differs from run to run: BTreeMap"),
    ("HashSet", "its order differs from run to run: BTreeSet"),
    ("RandomState", "it draws random numbers"),
    ("TcpStream", "it opens no socket"),
    ("TcpListener", "it opens no socket"),
    ("UdpSocket", "it opens no socket"),
    ("UnixStream", "it opens no socket"),
    ("UnixListener", "it opens no socket"),
    ("UnixDatagram", "it opens no socket"),
    ("ToSocketAddrs", "it asks the resolver"),
    ("thread_local", "its state is one value"),
];

/// `Type::now` asks a clock, whatever the type.
const CLOCK: &str = "now";

/// Modules of `std` that they must not use, and why.
const MODULES: [(&str, &str); 5] = [
    ("fs", "it opens no file"),
    ("env", "it reads no environment"),
    ("thread", "it starts no thread"),
    ("process", "it starts and ends no process"),
    ("os", "it knows no operating system"),
];

/// Checks the pure crates.
///
/// # Errors
/// Cargo does not answer, or a source cannot be read.
pub(super) fn check(job: &mut Job<'_>, metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    for name in PURE {
        let package = metadata
            .ours()
            .find(|package| package.name == name)
            .with_context(|| format!("the rules name {name}, which is no crate of ours"))?;
        wrong.extend(strangers(name, &below(job, name)?));
        wrong.extend(sources(package)?);
    }
    Ok(wrong)
}

fn strangers(package: &str, below: &[String]) -> Vec<String> {
    below
        .iter()
        .filter(|name| !ALLOWED.contains(&name.as_str()))
        .map(|name| format!("purity: {package} draws in {name}, which the list in purity.rs lacks"))
        .collect()
}

fn sources(package: &Package) -> Result<Vec<String>> {
    let folder = package
        .manifest_path
        .parent()
        .context("a manifest lies in a folder")?;
    let mut wrong = Vec::new();
    if folder.join("build.rs").exists() {
        wrong.push(format!(
            "purity: {} has a build script, which may do anything",
            package.name
        ));
    }
    for path in files(&folder.join("src"))? {
        let full = folder.join("src").join(&path);
        let text =
            fs::read_to_string(&full).with_context(|| format!("cannot read {}", full.display()))?;
        wrong.extend(words(&package.name, &path, &text));
    }
    Ok(wrong)
}

/// What one file says that it must not.
fn words(package: &str, path: &Path, source: &str) -> Vec<String> {
    let code = rust::code(source, false);
    let tokens = rust::tokens(&code);
    let plain = tokens.iter().filter_map(|token| {
        let (_, why) = WORDS.iter().find(|(word, _)| *word == token.text)?;
        Some((token.line, token.text, *why))
    });
    let modules = std_modules(&tokens).into_iter().filter_map(|token| {
        let (_, why) = MODULES.iter().find(|(module, _)| *module == token.text)?;
        Some((token.line, token.text, *why))
    });
    let clocks = tokens
        .windows(2)
        .filter(|pair| pair[0].text == "::" && pair[1].text == CLOCK)
        .map(|pair| (pair[1].line, "::now", "time is an argument"));
    plain
        .chain(modules)
        .chain(clocks)
        .map(|(line, word, why)| {
            format!(
                "purity: {package}/src/{}:{line}: `{word}`: {why}",
                path.display()
            )
        })
        .collect()
}

/// The modules that follow `std::`, alone or in braces.
fn std_modules<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].text != "std" || pair[1].text != "::" {
            continue;
        }
        match tokens.get(at + 2) {
            Some(token) if token.text == "{" => found.extend(first_in_braces(&tokens[at + 2..])),
            Some(token) => found.push(*token),
            None => {}
        }
    }
    found
}

/// In `{fs, net::{self, IpAddr}}`: `fs` and `net`. `tokens` begins with the brace.
fn first_in_braces<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let (mut depth, mut found, mut fresh) = (0_usize, Vec::new(), false);
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && fresh => found.push(*token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        fresh = depth == 1 && matches!(token.text, "{" | ",");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complain(source: &str) -> Vec<String> {
        words("had-core", Path::new("a.rs"), source)
    }

    #[test]
    fn every_forbidden_word_is_found() {
        for (word, why) in WORDS {
            let found = complain(&format!("fn f() {{\n    let x: {word} = y;\n}}"));
            assert_eq!(
                found,
                [format!("purity: had-core/src/a.rs:2: `{word}`: {why}")]
            );
        }
    }

    #[test]
    fn every_forbidden_module_is_found_however_it_is_written() {
        for (module, _) in MODULES {
            for source in [
                format!("use std::{module};"),
                format!("use std::{{fmt, {module}}};"),
                format!("use ::std::{{net::{{self, IpAddr}}, {module}::x}};"),
                format!("fn f() {{ std :: {module}::x() }}"),
            ] {
                assert_eq!(complain(&source).len(), 1, "{source}");
            }
        }
    }

    #[test]
    fn grouped_imports_do_not_hide_a_clock() {
        assert_eq!(complain("use std::time::{Duration, Instant};").len(), 1);
    }

    #[test]
    fn a_clock_under_another_name_is_found() {
        assert_eq!(complain("let at = jiff::Timestamp::now();").len(), 1);
        assert_eq!(complain("fn f(now: Now) { g(self.now, now) }"), [""; 0]);
    }

    #[test]
    fn addresses_comments_and_texts_are_no_violation() {
        assert_eq!(
            complain("use std::net::{IpAddr, SocketAddr}; // tokio\n"),
            [""; 0]
        );
        assert_eq!(
            complain("/// Unlike `Instant`.\nlet env = \"std::fs tokio\";"),
            [""; 0]
        );
        assert_eq!(complain("use std::{fmt::{self, thread}};"), [""; 0]);
    }

    #[test]
    fn a_crate_that_is_not_on_the_list_is_found() {
        let below = ["serde".to_owned(), "tokio".to_owned()];
        let found = strangers("had-core", &below);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("had-core draws in tokio"), "{found:?}");
    }

    #[test]
    fn a_build_script_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        let package = Package {
            name: "had-core".into(),
            version: "0.1.0".into(),
            license: None,
            source: None,
            manifest_path: dir.path().join("Cargo.toml"),
            dependencies: Vec::new(),
        };
        assert!(sources(&package).unwrap().is_empty());
        fs::write(dir.path().join("build.rs"), "fn main() {}").unwrap();
        fs::write(dir.path().join("src/a.rs"), "use std::fs;").unwrap();
        assert_eq!(sources(&package).unwrap().len(), 2);
    }
}
