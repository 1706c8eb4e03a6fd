//! Recorded situations: a folder each with `description.md`, `view.toml` and `expected.txt`.
//!
//! `HAD_REWRITE=1 cargo test -p had-policies` writes the expectations anew; read the difference before you commit it.

#![allow(missing_docs, clippy::unwrap_used)]

mod situation;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use situation::render::render;

/// Fewer folders than this mean that the runner looks in the wrong place.
const AT_LEAST: usize = 100;

#[test]
fn every_recorded_situation_is_decided_as_expected() {
    let folders = folders();
    assert!(
        folders.len() >= AT_LEAST,
        "only {} situations found",
        folders.len()
    );
    let rewrite = std::env::var_os("HAD_REWRITE").is_some();
    let mut wrong = String::new();
    for folder in folders {
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            !read("description.md").trim().is_empty(),
            "{} is not told",
            folder.display()
        );
        let actual = render(&situation::parse(&read("view.toml")));
        if rewrite {
            std::fs::write(folder.join("expected.txt"), actual).unwrap();
        } else if read("expected.txt") != actual {
            let expected = read("expected.txt");
            writeln!(
                wrong,
                "{}\n--- expected\n{expected}--- decided\n{actual}",
                folder.display()
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations");
    let list = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let mut folders: Vec<PathBuf> = list(&root).iter().flat_map(|scheme| list(scheme)).collect();
    folders.sort();
    folders
}
