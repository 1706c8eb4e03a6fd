//! What single values may be.

use std::net::{IpAddr, SocketAddr};

use crate::similar;

/// Why a value is refused.
#[derive(Debug)]
pub(crate) struct Problem {
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: String,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// A name is part of certificates and of labels in metrics: as long as one label of a host name may be (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 63;
/// `IFNAMSIZ` of Linux without the closing zero.
const LONGEST_INTERFACE: usize = 15;

/// Names of the cluster, of nodes, groups and resources.
pub(crate) fn name(text: &str) -> Result<String, Problem> {
    let letter = |c: char| c.is_ascii_alphanumeric();
    let allowed = |c: char| letter(c) || matches!(c, '-' | '_' | '.');
    if text.starts_with(letter) && text.chars().all(allowed) && text.len() <= LONGEST_NAME {
        return Ok(text.to_owned());
    }
    let message = if text.is_empty() {
        "a name must not be empty".to_owned()
    } else if text.len() > LONGEST_NAME {
        format!("the name is longer than {LONGEST_NAME} characters")
    } else {
        format!("`{text}` is no name")
    };
    let help = "write letters, digits, `-`, `_` and `.`, beginning with a letter or a digit";
    Err(Problem::new(message, help))
}

/// The name of a network interface.
pub(crate) fn interface(text: &str) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    if !text.is_empty() && text.len() <= LONGEST_INTERFACE && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    let help =
        format!("write a name as `ip link` shows it, at most {LONGEST_INTERFACE} characters");
    Err(Problem::new(
        format!("`{text}` is no name of an interface"),
        help,
    ))
}

/// Where peers reach a node.
pub(crate) fn peer(text: &str) -> Result<SocketAddr, Problem> {
    let address = socket(text, "10.77.0.1", 7400)?;
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_multicast() {
        let help = "write the address on which the other nodes reach this one";
        return Err(Problem::new(
            format!("`{ip}` is no address of a node"),
            help,
        ));
    }
    Ok(address)
}

/// Where something listens.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Problem> {
    socket(text, "0.0.0.0", 9400)
}

fn socket(text: &str, example: &str, port: u16) -> Result<SocketAddr, Problem> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return Err(Problem::new(
                "port 0 is no port",
                "write a port from 1 to 65535",
            ));
        }
        return Ok(address);
    }
    let help = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => format!("add the port: \"{ip}:{port}\""),
        Ok(IpAddr::V6(ip)) => format!("add the port: \"[{ip}]:{port}\""),
        Err(_) => format!(
            "write IP:port, such as \"{example}:{port}\" or \"[fd00::1]:{port}\"; names of hosts are not looked up"
        ),
    };
    Err(Problem::new(format!("`{text}` is not IP:port"), help))
}

/// An address with its prefix length.
pub(crate) fn virtual_ip(text: &str) -> Result<(IpAddr, u8), Problem> {
    let example = "write address/prefix length, such as \"10.77.0.100/24\" or \"fd00::100/64\"";
    let refused = || {
        Problem::new(
            format!("`{text}` is no address with a prefix length"),
            example,
        )
    };
    let Some((ip, prefix)) = text.split_once('/') else {
        let help = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => format!("add the prefix length of the subnet: \"{text}/24\""),
            Ok(IpAddr::V6(_)) => format!("add the prefix length of the subnet: \"{text}/64\""),
            Err(_) => example.to_owned(),
        };
        return Err(Problem::new(format!("`{text}` has no prefix length"), help));
    };
    let ip: IpAddr = ip.parse().map_err(|_| refused())?;
    let prefix: u8 = prefix.parse().map_err(|_| refused())?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    if prefix == 0 || prefix > longest {
        let message = format!("/{prefix} is no prefix length here");
        return Err(Problem::new(
            message,
            format!("write a length from /1 to /{longest}"),
        ));
    }
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || names_the_subnet(ip, prefix)
    {
        let help = "write an address of the subnet that no host has";
        return Err(Problem::new(format!("{ip} cannot be a virtual IP"), help));
    }
    Ok((ip, prefix))
}

/// The first and the last address of an IPv4 subnet are no host's (RFC 1122 §3.2.1.3); under /31 both are (RFC 3021).
fn names_the_subnet(ip: IpAddr, prefix: u8) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    if prefix >= 31 {
        return false;
    }
    let host = u32::MAX >> prefix;
    let part = u32::from(ip) & host;
    part == 0 || part == host
}

/// One of a few words; `later` are those that are not supported yet.
pub(crate) fn word<T: Copy>(
    key: &str,
    text: &str,
    known: &[(&str, T)],
    later: &[&str],
) -> Result<T, Problem> {
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<String> = known
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    if later.contains(&text) {
        let message = format!("{key} = \"{text}\" is not supported yet");
        return Err(Problem::new(message, format!("write {}", either(&words))));
    }
    let all = known
        .iter()
        .map(|(word, _)| *word)
        .chain(later.iter().copied());
    let help = match similar::nearest(text, all) {
        Some(meant) if later.contains(&meant) => {
            let words = either(&words);
            format!("did you mean \"{meant}\"? It is not supported yet: write {words}")
        }
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("write {}", either(&words)),
    };
    Err(Problem::new(format!("`{text}` is no {key}"), help))
}

/// One of them: "a, b or c".
pub(crate) fn either(words: &[String]) -> String {
    match words {
        [first @ .., before, last] => {
            let mut all = first.to_vec();
            all.push(format!("{before} or {last}"));
            all.join(", ")
        }
        _ => words.join(", "),
    }
}
