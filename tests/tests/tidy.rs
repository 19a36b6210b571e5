//! House rules that prose would only ask for: what depends on what, how files begin, and what must not be in them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{Trace, run, skip};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Tracked files, relative to the root; `None` outside of a git checkout, which has been said.
fn tracked() -> Option<Vec<PathBuf>> {
    let done = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let Some(done) = done.ok().filter(|done| done.status.success()) else {
        skip("not a git checkout");
        return None;
    };
    let names = String::from_utf8(done.stdout).unwrap();
    let files: Vec<_> =
        names.split_terminator('\0').map(PathBuf::from).filter(|path| root().join(path).exists()).collect();
    assert!(files.len() > 50, "{files:?}");
    Some(files)
}

/// Tracked files with one of these extensions, and their text.
fn sources(extensions: &[&str]) -> Option<Vec<(PathBuf, String)>> {
    let mut files = tracked()?;
    files.retain(|path| path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)));
    assert!(!files.is_empty());
    let text = |path: &PathBuf| std::fs::read_to_string(root().join(path)).unwrap();
    Some(files.into_iter().map(|path| (path.clone(), text(&path))).collect())
}

/// A workstation builds the analyzer without clang, libelf or root; the format knows nothing of either program.
#[test]
fn crates_depend_on_each_other_as_the_design_says() {
    let arrows = [
        ("crypto-trace-format", vec![]),
        ("crypto-trace-bpf", vec!["crypto-trace-format"]),
        ("crypto-trace-capture", vec!["crypto-trace-bpf", "crypto-trace-format"]),
        ("crypto-trace-analyze", vec!["crypto-trace-format"]),
        ("crypto-trace-tests", vec!["crypto-trace-format"]),
        ("xtask", vec!["crypto-trace-analyze", "crypto-trace-capture"]),
    ];
    let forbidden = [
        ("crypto-trace-format", vec!["libbpf-rs", "libbpf-sys", "procfs", "clap", "anyhow"]),
        ("crypto-trace-analyze", vec!["libbpf-rs", "libbpf-sys", "libbpf-cargo", "procfs"]),
    ];
    let mut cargo = Command::new(env!("CARGO"));
    let done = run(cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root()));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let metadata: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let names =
            package["dependencies"].as_array().unwrap().iter().map(|dependency| dependency["name"].as_str().unwrap());
        found.insert(package["name"].as_str().unwrap(), names.collect::<BTreeSet<_>>());
    }
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), arrows.iter().map(|(name, _)| *name).collect());
    for (name, expected) in arrows {
        let ours: Vec<_> = found[name].iter().copied().filter(|name| name.starts_with("crypto-trace-")).collect();
        assert_eq!(ours, expected, "what {name} depends on");
    }
    for (name, names) in forbidden {
        let bad: Vec<_> = names.into_iter().filter(|dependency| found[name].contains(dependency)).collect();
        assert!(bad.is_empty(), "{name} must not depend on {bad:?}");
    }
}

/// The rooms of the analyzer, in the order of its lib.rs: each uses those before it only.
#[test]
fn rooms_of_the_analyzer_use_those_before_them_only() {
    let src = Path::new("crates/analyze/src");
    let lib = std::fs::read_to_string(root().join(src).join("lib.rs")).unwrap();
    let name = |line: &str| Some(line.split_once("mod ")?.1.strip_suffix(';')?.to_owned());
    let rooms: Vec<String> = lib.lines().filter(|line| !line.starts_with("//")).filter_map(name).collect();
    assert!(rooms.len() > 10, "{rooms:?}");
    let Some(files) = sources(&["rs"]) else { return };
    let mut bad = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        let Some(room) = path.strip_prefix(src).ok().and_then(|path| path.iter().next()) else { continue };
        let room = room.to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = rooms.iter().position(|name| name == room) else { continue };
        // Tests may look anywhere, and so may links of comments.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                match rooms.iter().position(|name| *name == used) {
                    Some(at) if at <= own => {}
                    _ => bad.push(format!("{}: {}", path.display(), line.trim())),
                }
            }
        }
    }
    assert!(bad.is_empty(), "rooms that use what comes after them in lib.rs:\n{}", bad.join("\n"));
}

#[test]
fn every_rust_file_says_first_what_it_owns() {
    let Some(files) = sources(&["rs"]) else { return };
    let bad: Vec<_> = files.iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(bad.is_empty(), "these do not begin with `//! `: {bad:?}");
}

#[test]
fn every_bpf_file_has_its_licence_in_the_first_line() {
    let Some(files) = sources(&["c", "h"]) else { return };
    let has = |text: &str| text.lines().next().is_some_and(|line| line.contains("SPDX-License-Identifier: "));
    let bad: Vec<_> = files.iter().filter(|(_, text)| !has(text)).map(|(path, _)| path).collect();
    assert!(bad.is_empty(), "these have no SPDX line: {bad:?}");
}

#[test]
fn no_source_file_is_too_long_to_be_about_one_thing() {
    const MOST_LINES: usize = 600;
    let Some(files) = sources(&["rs", "c", "h", "sh"]) else { return };
    let long = |text: &str| text.lines().count() > MOST_LINES;
    let bad: Vec<_> = files.iter().filter(|(_, text)| long(text)).map(|(path, _)| path).collect();
    assert!(bad.is_empty(), "over {MOST_LINES} lines: {bad:?}");
}

/// Where the project was made is nobody's business, and of no use elsewhere.
#[test]
fn nothing_tells_of_the_machine_it_was_made_on() {
    let Some(files) = tracked() else { return };
    // Not as literals: this file is looked at as well.
    let workspace = ["", "work", ""].join("/");
    let root_home = ["", "root", ""].join("/");
    let mut bad = Vec::new();
    for path in &files {
        let bytes = std::fs::read(root().join(path)).unwrap();
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            // Examples of private paths are a part of what redaction is about.
            let example = |rest: &str| rest.starts_with(".ssh/") || rest.starts_with('x');
            if line.contains(&workspace) || line.split(&root_home).skip(1).any(|rest| !example(rest)) {
                bad.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(bad.is_empty(), "paths of a machine:\n{}", bad.join("\n"));
}

/// The same for what the real captures recorded; there the text is compressed.
/// CI put what its short run had found in the place of what all tests had.
#[test]
fn ci_writes_no_page_from_less_than_all_tests_on_all_kernels() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    assert!(read(".ci/run").contains("tests/kernels/matrix --quick"));
    let matrix = read("tests/kernels/matrix");
    let published: Vec<_> = matrix.match_indices("kernels.publish(").collect();
    assert_eq!(published.len(), 1);
    assert!(matrix[..published[0].0].trim_end().ends_with("if not args.only and not args.quick:"));
}

/// Comments sent the reader to files that there are none of.
#[test]
fn comments_of_the_bpf_programs_name_files_that_are_there() {
    let Some(sources) = sources(&["h", "c"]) else { return };
    let own: Vec<_> = sources.iter().filter(|(path, _)| path.starts_with("crates/bpf/src/bpf")).collect();
    assert!(own.len() > 10);
    for (path, text) in own {
        for sentence in text.split("see ").skip(1) {
            let word: String =
                sentence.chars().take_while(|c| c.is_ascii_alphanumeric() || "_./-".contains(*c)).collect();
            let word = word.trim_end_matches('.');
            let [here, there] = [root().join(path).with_file_name(word), root().join(word)];
            let is_file = word.ends_with(".rs") || word.ends_with(".h");
            assert!(!is_file || here.exists() || there.exists(), "{}: see {word}", path.display());
        }
    }
}

#[test]
fn the_captures_do_not_tell_where_the_project_was_made() {
    let Some(files) = tracked() else { return };
    let workspace = ["", "work", ""].join("/");
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "ctseg")) {
        let raw = Trace::read(&[root().join(path)]).raw;
        let at = raw.windows(workspace.len()).position(|window| window == workspace.as_bytes());
        let shown = at.map(|at| raw[at..raw.len().min(at + 60)].escape_ascii().to_string());
        assert_eq!(shown, None, "{}: make it anew with testdata/record", path.display());
    }
}

#[test]
fn packages_come_from_the_public_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources: BTreeSet<_> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert_eq!(sources.into_iter().collect::<Vec<_>>(), ["\"registry+https://github.com/rust-lang/crates.io-index\""]);
    let Some(files) = tracked() else { return };
    // Where packages are mirrored is the machine's business: cargo's configuration names commands, and nothing else.
    for path in files.iter().filter(|path| path.starts_with(".cargo")) {
        let config = std::fs::read_to_string(root().join(path)).unwrap();
        let tables: Vec<_> = config.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(tables, ["[alias]"], "{}", path.display());
    }
}

/// What docs/security.md promises has the tests that it names.
#[test]
fn every_test_that_a_promise_names_is_there() {
    let Some(sources) = sources(&["rs"]) else { return };
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    // Names of tests are words of code with some underscores.
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            code.matches('_').count() >= 1 && !code.contains(['(', ' ', '-']) && code.to_lowercase() == **code
        })
        .collect();
    let known = ["suppressed", "file_change", "probe_status", "tls_given_up", "map_full"];
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !known.contains(name) && !sources.iter().any(|(_, text)| text.contains(&format!("fn {name}("))))
        .collect();
    assert!(named.len() > 40 && missing.is_empty(), "{missing:?}");
}

/// The virtual machines take most of an hour to find that a sentence was worded anew.
#[test]
fn what_the_kernel_matrix_looks_for_is_what_the_recorder_says() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let matrix = read("tests/kernels/matrix");
    let looked_for: Vec<&str> = matrix
        .split("\" in log")
        .filter_map(|before| before.rsplit_once('"').map(|(_, text)| text))
        .filter(|text| text.contains("kretprobe"))
        .collect();
    let [sentence] = looked_for[..] else { panic!("the sentence about kretprobes is not looked for: {looked_for:?}") };
    assert!(read("crates/bpf/src/tiers.rs").contains(sentence), "no tier says \"{sentence}\"");
}
