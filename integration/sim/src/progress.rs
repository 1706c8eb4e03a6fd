//! How far a long range has come, kept in a file: a run that is killed goes on from there.
//!
//! Seeds are told in their order, so that a prefix of the range is all there is to keep, besides what was counted in it. The
//! file is replaced as a whole, every few seconds; seeds that finished since are run again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use had_sim::run::Options;
use serde::{Deserialize, Serialize};

/// What is run again after a kill is worth no more than so much.
const BETWEEN_WRITES: Duration = Duration::from_secs(2);

/// What was asked for; a file of something else is not gone on with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    from: u64,
    to: u64,
    nodes: Option<usize>,
    heartbeats: u64,
    story: String,
    repeat: u32,
    /// Another program draws other histories from the same seeds.
    program: String,
}

impl Asked {
    pub(crate) fn new(seeds: Range<u64>, options: Options, repeat: u32) -> Self {
        Self {
            from: seeds.start,
            to: seeds.end,
            nodes: options.nodes,
            heartbeats: options.heartbeats,
            story: options.story.name(),
            repeat,
            program: program(),
        }
    }

    fn told(&self) -> String {
        let Self {
            from,
            to,
            heartbeats,
            story,
            repeat,
            ..
        } = self;
        let nodes = self
            .nodes
            .map_or_else(String::new, |nodes| format!(" --nodes {nodes}"));
        format!(
            "--seeds {from}..{to}{nodes} --heartbeats {heartbeats} --story {story} --repeat {repeat}"
        )
    }
}

/// Names the build: the length of its executable and when it was made.
fn program() -> String {
    let named = || -> io::Result<String> {
        let file = fs::metadata(std::env::current_exe()?)?;
        let made = file.modified()?.duration_since(std::time::UNIX_EPOCH);
        let made = made.map_or(0, |made| made.as_millis());
        Ok(format!("{} bytes of {made}", file.len()))
    };
    named().unwrap_or_else(|_| "unknown".to_owned())
}

/// What was counted so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Finished, from the first of the range on.
    pub(crate) seeds: u64,
    pub(crate) faults: u64,
    /// The fewest of one seed.
    pub(crate) fewest: Option<u32>,
    pub(crate) leaders: u64,
    pub(crate) moves: u64,
    pub(crate) closest: Option<Duration>,
    /// How long groups were dark under each pair of faults, milliseconds.
    #[serde(default)]
    pub(crate) dark: BTreeMap<String, Vec<u64>>,
    pub(crate) failed: Vec<u64>,
    /// Spent on it.
    pub(crate) took: Duration,
}

#[derive(Serialize, Deserialize)]
struct Content {
    asked: Asked,
    tally: Tally,
}

/// The file.
pub(crate) struct Kept {
    file: PathBuf,
    content: Content,
    written: Instant,
}

impl Kept {
    /// Goes on with a file, or begins one.
    ///
    /// # Errors
    /// Where it belongs to something else, or cannot be read.
    pub(crate) fn open(file: PathBuf, asked: Asked) -> anyhow::Result<Self> {
        let content = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content {
                asked,
                tally: Tally::default(),
            },
            read => Self::checked(&file, &read.with_context(|| named(&file))?, &asked)?,
        };
        Ok(Self {
            file,
            content,
            written: Instant::now(),
        })
    }

    fn checked(file: &Path, read: &[u8], asked: &Asked) -> anyhow::Result<Content> {
        let content: Content = serde_json::from_slice(read)
            .with_context(|| format!("{} is no progress file", file.display()))?;
        if content.asked == *asked {
            return Ok(content);
        }
        if content.asked.told() == asked.told() {
            bail!(
                "the progress file {} was written by another build ({}, this one is {}): its seeds drew other histories. Remove it to begin anew",
                file.display(),
                content.asked.program,
                asked.program
            );
        }
        bail!(
            "the progress file {} belongs to `{}`, and this is `{}`: name another file, or remove it to begin anew",
            file.display(),
            content.asked.told(),
            asked.told()
        )
    }

    /// What was counted before.
    pub(crate) fn tally(&self) -> Tally {
        self.content.tally.clone()
    }

    /// More was counted; written now and then.
    pub(crate) fn note(&mut self, tally: Tally) {
        if self.written.elapsed() < BETWEEN_WRITES {
            return;
        }
        self.written = Instant::now();
        if let Err(error) = self.write(tally) {
            eprintln!("the progress could not be kept: {error}");
        }
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    /// Where it cannot be.
    pub(crate) fn write(&self, tally: Tally) -> anyhow::Result<()> {
        let content = Content {
            asked: self.content.asked.clone(),
            tally,
        };
        let beside = self.file.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&content)?).with_context(|| named(&beside))?;
        fs::rename(&beside, &self.file).with_context(|| named(&self.file))
    }
}

fn named(file: &Path) -> String {
    format!("the progress file {}", file.display())
}

#[cfg(test)]
mod tests {
    use had_sim::story::Story;

    use super::*;

    fn asked(seeds: Range<u64>) -> Asked {
        let options = Options {
            nodes: None,
            heartbeats: 60,
            story: Story::default(),
            planted: None,
        };
        Asked::new(seeds, options, 1)
    }

    #[test]
    fn a_range_goes_on_where_it_was_and_another_range_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("progress");
        let kept = Kept::open(file.clone(), asked(0..9)).unwrap();
        assert_eq!(kept.tally(), Tally::default());
        let tally = Tally {
            seeds: 4,
            failed: vec![2],
            ..Tally::default()
        };
        kept.write(tally.clone()).unwrap();
        assert_eq!(
            Kept::open(file.clone(), asked(0..9)).unwrap().tally(),
            tally
        );
        let refused = Kept::open(file.clone(), asked(0..10)).err().unwrap();
        assert!(refused.to_string().contains("--seeds 0..9"), "{refused}");
        let mut other = asked(0..9);
        other.program = "another".to_owned();
        assert!(Kept::open(file.clone(), other).is_err());
        fs::write(&file, b"anything").unwrap();
        assert!(Kept::open(file, asked(0..9)).is_err());
    }
}
