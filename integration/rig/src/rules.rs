//! What the switch loses: frames of a host at random, and all that one host says to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::switch::Switch;

/// Rules of a switch. The client's own cable is never among them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Of so many in a thousand frames on this host's cable none arrives, either way.
    pub loss_per_mille: BTreeMap<String, u16>,
    /// Of so many in a thousand frames that this host sends none arrives; what it is sent does.
    pub sent_loss_per_mille: BTreeMap<String, u16>,
    /// The second does not hear the first.
    pub unheard: BTreeSet<(String, String)>,
}

impl Rules {
    /// Puts them in force instead of those before, in one transaction.
    pub(crate) fn apply(&self, switch: &Switch) -> Result<()> {
        let text = self.text();
        switch.namespace().call(move || {
            let mut nft = Command::new("nft")
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .context("starting nft")?;
            let mut input = nft.stdin.take().context("it has an input")?;
            input.write_all(text.as_bytes()).context("writing to nft")?;
            drop(input);
            let output = nft.wait_with_output().context("waiting for nft")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "nft: {said}\n{text}");
            Ok(())
        })
    }

    /// As `nft` reads it. The bridge asks at its entrance what comes from a host, and at each port what goes to one.
    fn text(&self) -> String {
        let (mut from, mut to) = (String::new(), String::new());
        for (host, per_mille) in &self.loss_per_mille {
            let often = format!("numgen random mod 1000 < {per_mille} drop");
            let _ = writeln!(from, "iifname \"{host}\" {often}");
            let _ = writeln!(to, "oifname \"{host}\" {often}");
        }
        for (host, per_mille) in &self.sent_loss_per_mille {
            let _ = writeln!(
                from,
                "iifname \"{host}\" numgen random mod 1000 < {per_mille} drop"
            );
        }
        for (speaker, hearer) in &self.unheard {
            let _ = writeln!(to, "iifname \"{speaker}\" oifname \"{hearer}\" drop");
        }
        format!(
            "table bridge faults {{}}\ndelete table bridge faults\ntable bridge faults {{\nchain from {{\n\
             type filter hook prerouting priority 0; policy accept;\n{from}}}\nchain to {{\n\
             type filter hook forward priority 0; policy accept;\n{to}}}\n}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_nft_reads_them() {
        let mut rules = Rules::default();
        rules.loss_per_mille.insert("h2".into(), 50);
        rules.unheard.insert(("h1".into(), "h3".into()));
        let text = rules.text();
        assert!(
            text.contains("iifname \"h2\" numgen random mod 1000 < 50 drop"),
            "{text}"
        );
        assert!(
            text.contains("iifname \"h1\" oifname \"h3\" drop"),
            "{text}"
        );
    }
}
