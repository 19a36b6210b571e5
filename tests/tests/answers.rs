//! docs/answers.md: each command that it shows, run on the recordings that it names, prints what the page says it prints.
//!
//! `make goldens` writes what they print into the page.
#![allow(clippy::unwrap_used, reason = "tests")]

use crypto_trace_tests::{analyze_binary, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Before a command and what it prints; a line of three back quotes ends it.
const OPEN: &str = "```console\n$ ";
const CLOSE: &str = "\n```\n";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a command prints, on both outputs, in the directory at the top.
fn printed(line: &str) -> String {
    let mut path = vec![analyze_binary().parent().unwrap().to_path_buf()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(top());
    command.env("PATH", std::env::join_paths(path).unwrap());
    String::from_utf8(run(&mut command).stdout).unwrap()
}

#[test]
fn each_command_prints_what_the_page_says() {
    let place = top().join("docs/answers.md");
    let page = std::fs::read_to_string(&place).unwrap();
    let mut parts = page.split(OPEN);
    let mut made = parts.next().unwrap().to_owned();
    let mut commands = 0;
    for part in parts {
        let (shown, after) = part.split_once(CLOSE).expect("a console that ends");
        let line = shown.lines().next().unwrap();
        made.push_str(&format!("{OPEN}{line}\n{}{CLOSE}{after}", printed(line).trim_end_matches('\n')));
        commands += 1;
    }
    assert!(commands >= 10, "{commands} commands: the page has lost some");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&place, &made).unwrap();
        return;
    }
    for (number, (found, expected)) in made.lines().zip(page.lines()).enumerate() {
        assert_eq!(found, expected, "docs/answers.md, line {}; if that is as it should be: make goldens", number + 1);
    }
    assert_eq!(made.len(), page.len(), "docs/answers.md; if that is as it should be: make goldens");
}
