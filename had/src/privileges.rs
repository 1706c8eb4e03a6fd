//! What a node that carries addresses must be allowed to do.

/// By their number in capabilities(7), and what for.
const CAPABILITIES: [(u8, &str, &str); 2] = [
    (12, "CAP_NET_ADMIN", "to put addresses on and the gate up"),
    (13, "CAP_NET_RAW", "to announce addresses"),
];

/// Whether this process has them.
///
/// # Errors
/// What is missing, what it is for, and what to do.
pub fn needed() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    // Where /proc does not say, the kernel will.
    let held = held.unwrap_or(u64::MAX);
    let missing = CAPABILITIES
        .iter()
        .filter(|(number, _, _)| held & (1 << number) == 0);
    let missing: Vec<_> = missing
        .map(|(_, name, purpose)| format!("{name} is missing {purpose}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join("; ");
    Err(format!(
        "{missing}: run this as root, or as the service does (examples/systemd/had.service)"
    ))
}
