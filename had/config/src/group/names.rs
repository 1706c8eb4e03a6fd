//! Lists of names.

use had_core::ids::{GroupName, NodeName};
use toml::Spanned;
use toml::de::DeValue;

use crate::finding::Findings;
use crate::section::{At, Section, example, mismatch};
use crate::values;

/// The groups that a key lists. None where one could not be read, or where the key is missing.
pub(super) fn groups(
    section: &Section<'_>,
    key: &str,
    findings: &mut Findings,
) -> Vec<At<GroupName>> {
    list(section, key, findings).map_or_else(Vec::new, At::into_inner)
}

/// The nodes that a key lists, in the order of the file: all of them, or none where one could not be read.
pub(super) fn nodes(
    section: &Section<'_>,
    key: &str,
    findings: &mut Findings,
) -> Option<At<Vec<At<NodeName>>>> {
    list(section, key, findings)
}

/// One name.
pub(super) fn name<T: From<String>>(
    item: &Spanned<DeValue<'_>>,
    text: &str,
    findings: &mut Findings,
) -> Option<At<T>> {
    match values::name(text) {
        Ok(name) => Some(At::new(item.span(), T::from(name))),
        Err(problem) => {
            findings.error(item.span(), problem.message, problem.help);
            None
        }
    }
}

/// What to write for a list of names that was spelt otherwise; `None` where it cannot be told which are meant.
pub(super) fn rewritten(key: &str, value: &DeValue<'_>) -> Option<String> {
    let names: Vec<String> = match value.as_array() {
        Some(items) => items.iter().map(|item| meant(item.get_ref())).collect(),
        None => meant(value).map(|name| vec![name]),
    }?;
    (!names.is_empty()).then(|| format!("{key} = [{}]", names.join(", ")))
}

/// The name that an item means: a text, or a table with a name.
fn meant(item: &DeValue<'_>) -> Option<String> {
    let name = match item.as_table() {
        Some(table) => table.get("name")?.get_ref().as_str()?,
        None => item.as_str()?,
    };
    Some(format!("\"{name}\""))
}

fn list<T: From<String>>(
    section: &Section<'_>,
    key: &str,
    findings: &mut Findings,
) -> Option<At<Vec<At<T>>>> {
    let rewritten = rewritten(key, section.get(key)?.get_ref());
    let help = rewritten.as_deref();
    let help = help.unwrap_or(example(key, "names in quotes, in [brackets]"));
    let list = section.list(key, help, findings)?;
    let mut names = Vec::new();
    for item in list.get_ref() {
        let Some(text) = item.get_ref().as_str() else {
            mismatch::<()>(key, help, item, findings);
            continue;
        };
        names.extend(name(item, text, findings));
    }
    (names.len() == list.get_ref().len()).then(|| At::new(list.span(), names))
}
