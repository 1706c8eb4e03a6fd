//! One table of the file: its keys looked up, its values of the type that was meant.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Findings, Span};
use crate::similar;
use crate::values::Problem;

/// A value with its place in the file.
pub(crate) type At<T> = Spanned<T>;

/// What to write for keys whose type alone would be a poor answer.
const EXAMPLES: &[(&str, &str)] = &[
    ("heartbeat", "heartbeat = \"100ms\""),
    ("lease", "lease = \"300ms\""),
    (
        "failback",
        "failback = \"auto\", \"manual\" or a duration, such as \"30s\"",
    ),
    ("http", "http = \"0.0.0.0:9400\""),
    ("realtime", "realtime = true or false"),
    ("address", "address = \"10.77.0.100/24\""),
    ("policy", "policy = \"idle-standby\""),
    ("on_quorum_loss", "on_quorum_loss = \"stop\" or \"keep\""),
    ("primary", "primary = \"h1\""),
    ("backup", "backup = \"h2\""),
    ("home", "home = \"h1\""),
    ("partners", "partners = [\"h2\", \"h3\"]"),
    ("displaces", "displaces = [\"reports\"]"),
    ("with", "with = [\"web\"]"),
    ("apart_from", "apart_from = [\"web\"]"),
    ("load", "a whole number, such as load = 4"),
    ("capacity", "a whole number, such as capacity = 10"),
];

/// What to write for a key, or else what is said of its type.
pub(crate) fn example<'a>(key: &str, otherwise: &'a str) -> &'a str {
    let known = EXAMPLES.iter().find(|(known, _)| *known == key);
    known.map_or(otherwise, |(_, example)| example)
}

/// The keys of a kind of table.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    /// Those that work.
    pub(crate) known: &'static [&'static str],
    /// Those that are refused as "not supported yet".
    pub(crate) later: &'static [&'static str],
    /// Those that stand in other tables, or in tables of this kind that say something else.
    pub(crate) misplaced: &'static [Misplaced],
}

impl Keys {
    /// No key at all.
    pub(crate) const NONE: Self = Self {
        known: &[],
        later: &[],
        misplaced: &[],
    };
}

/// A key that has a meaning, but not here.
pub(crate) struct Misplaced {
    pub(crate) key: &'static str,
    /// Why not here.
    pub(crate) message: &'static str,
    /// What to write instead.
    pub(crate) help: &'static str,
    /// The keys that say here what was meant: nobody says that they are missing.
    pub(crate) instead: &'static [&'static str],
}

/// One table.
pub(crate) struct Section<'a> {
    /// As the file spells it: "[cluster]".
    name: &'static str,
    table: &'a DeTable<'a>,
    span: Span,
    keys: Keys,
    /// Keys that were probably meant by unknown ones: nobody says that they are missing.
    meant: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Looks at a table and refuses the keys that are not known there.
    pub(crate) fn open(
        name: &'static str,
        table: &'a DeTable<'a>,
        span: Span,
        keys: Keys,
        findings: &mut Findings,
    ) -> Self {
        let misplaced = || keys.misplaced.iter();
        let all = || keys.known.iter().chain(keys.later).copied();
        let mut meant = Vec::new();
        for key in table.keys() {
            let word: &str = key.get_ref();
            if all().any(|known| known == word) {
                continue;
            }
            if let Some(found) = misplaced().find(|one| one.key == word) {
                findings.error(key.span(), found.message, found.help);
                meant.extend(found.instead);
                continue;
            }
            let elsewhere = misplaced().map(|one| one.key);
            let nearest = similar::nearest(word, all().chain(elsewhere));
            let found = nearest.and_then(|key| misplaced().find(|one| one.key == key));
            let help = match (nearest, found) {
                (
                    _,
                    Some(Misplaced {
                        key, message, help, ..
                    }),
                ) => {
                    format!("did you mean `{key}`? But {message}; {help}")
                }
                (Some(nearest), None) => format!("did you mean `{nearest}`?"),
                (None, None) => format!("{name} may have: {}", keys.known.join(", ")),
            };
            findings.error(key.span(), format!("unknown key `{word}` in {name}"), help);
            meant.extend(nearest);
            meant.extend(found.iter().flat_map(|one| one.instead));
        }
        Self {
            name,
            table,
            span,
            keys,
            meant,
        }
    }

    /// A table whose keys are names of something.
    pub(crate) fn named(name: &'static str, table: &'a DeTable<'a>, span: Span) -> Self {
        Self {
            name,
            table,
            span,
            keys: Keys::NONE,
            meant: Vec::new(),
        }
    }

    /// Refuses the keys that are not supported yet.
    pub(crate) fn refuse_later(&self, findings: &mut Findings) {
        for key in self.table.keys() {
            if self.keys.later.contains(&key.get_ref().as_ref()) {
                let message = format!("`{}` is not supported yet", key.get_ref());
                findings.error(key.span(), message, "remove it");
            }
        }
    }

    /// Whether a key is there, if only misspelt.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key) || self.meant.contains(&key)
    }

    /// Where it begins.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// A value, whatever its type.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// All keys, in the order of the file.
    pub(crate) fn keys(&self) -> impl Iterator<Item = At<&'a str>> {
        self.table
            .keys()
            .map(|key| At::new(key.span(), key.get_ref().as_ref()))
    }

    /// Refuses the section where a key is missing; `example` is what to write.
    pub(crate) fn require(&self, key: &str, example: &str, findings: &mut Findings) {
        if !self.has(key) {
            let message = format!("{} has no `{key}`", self.name);
            findings.error(self.span(), message, format!("write {example}"));
        }
    }

    /// A text.
    pub(crate) fn text(&self, key: &str, findings: &mut Findings) -> Option<At<&'a str>> {
        let value = self.get(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(At::new(value.span(), text)),
            None => mismatch(key, example(key, "text in quotes"), value, findings),
        }
    }

    /// A text that means something.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<At<T>> {
        let text = self.text(key, findings)?;
        match read(text.get_ref()) {
            Ok(value) => Some(At::new(text.span(), value)),
            Err(problem) => {
                findings.error(text.span(), problem.message, problem.help);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, key: &str, findings: &mut Findings) -> Option<At<bool>> {
        let value = self.get(key)?;
        match value.get_ref().as_bool() {
            Some(flag) => Some(At::new(value.span(), flag)),
            None => mismatch(key, "true or false", value, findings),
        }
    }

    /// A whole number.
    pub(crate) fn integer(&self, key: &str, findings: &mut Findings) -> Option<At<i64>> {
        let value = self.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            return mismatch(key, "a whole number", value, findings);
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(At::new(value.span(), number)),
            Err(_) => {
                let message = format!("`{key}` is out of range");
                findings.error(value.span(), message, "write a number of at most 18 digits");
                None
            }
        }
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn count(&self, key: &str, most: u32, findings: &mut Findings) -> Option<At<u32>> {
        let value = self.get(key)?;
        let example = example(key, "a whole number");
        let Some(integer) = value.get_ref().as_integer() else {
            return mismatch(key, example, value, findings);
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (1..=most).contains(&number) => Some(At::new(value.span(), number)),
            Ok(_) | Err(_) => {
                let message = format!("`{key}` is {integer}: it goes from 1 to {most}");
                findings.error(value.span(), message, format!("write {example}"));
                None
            }
        }
    }

    /// A list; `None` where it is missing or none. `meant` is what to write.
    pub(crate) fn list(
        &self,
        key: &str,
        meant: &str,
        findings: &mut Findings,
    ) -> Option<At<Vec<&'a Spanned<DeValue<'a>>>>> {
        let value = self.get(key)?;
        match value.get_ref().as_array() {
            Some(list) => Some(At::new(value.span(), list.iter().collect())),
            None => mismatch(key, meant, value, findings),
        }
    }

    /// The tables under `[[key]]`, with the place of each.
    pub(crate) fn tables(
        &self,
        key: &str,
        header: &str,
        findings: &mut Findings,
    ) -> Vec<At<&'a DeTable<'a>>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let items = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![],
        };
        let tables: Vec<_> = items
            .iter()
            .filter_map(|item| Some(At::new(item.span(), item.get_ref().as_table()?)))
            .collect();
        if items.is_empty() || tables.len() < items.len() {
            let message = format!("`{key}` must be a list of tables");
            findings.error(
                value.span(),
                message,
                format!("write {header} above each of them"),
            );
        }
        tables
    }
}

/// A value has another type than was meant.
pub(crate) fn mismatch<T>(
    key: &str,
    meant: &str,
    value: &Spanned<DeValue<'_>>,
    findings: &mut Findings,
) -> Option<T> {
    let is = match value.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    findings.error(
        value.span(),
        format!("`{key}` is {is}"),
        format!("write {meant}"),
    );
    None
}
