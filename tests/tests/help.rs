//! The help of every command, as it was looked at and committed: tests/help/. `UPDATE_GOLDENS=1` writes it anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_trace_tests::{analyze_binary, capture_binary, run};

fn help(program: &Path, words: &[&str]) -> String {
    // Not as wide as some terminal.
    let done = run(Command::new(program).args(words).arg("--help").env_remove("COLUMNS"));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done.text()
}

/// Commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_help_is_as_committed_and_has_examples() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("help");
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut written: Vec<PathBuf> = Vec::new();
    let mut check = |name: &str, text: &str| {
        let golden = goldens.join(format!("{name}.txt"));
        if update {
            std::fs::create_dir_all(&goldens).unwrap();
            std::fs::write(&golden, text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            text == expected,
            "{}: the help is another; if that is as it should be: make goldens\n{text}",
            golden.display()
        );
        written.push(golden);
    };
    for program in [capture_binary(), analyze_binary()] {
        let name = program.file_name().unwrap().to_str().unwrap().to_owned();
        let overview = help(&program, &[]);
        check(&name, &overview);
        let commands = commands(&overview);
        assert!(commands.len() > 5, "{commands:?}");
        for command in commands {
            let text = help(&program, &[&command]);
            assert!(text.contains("Examples:\n") || command == "version", "{name} {command} has no examples");
            assert!(text.lines().all(|line| line.chars().count() <= 130), "{name} {command}: a line is too long");
            check(&format!("{name}-{command}"), &text);
        }
    }
    for entry in goldens.read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert!(written.contains(&path), "{}: of no command", path.display());
    }
}
