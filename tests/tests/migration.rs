//! docs/from-crypto-tracer.md: every line of it is run, and every field it names is there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Stdio};

use crypto_trace_tests::{
    Finished, Process, analyze_binary, capture_binary, libssl, live, put_program, run, skip, workload,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/from-crypto-tracer.md");

/// Stands for the name `nginx`: processes of that name may be there, and are not ours.
const NAME: &str = "ct-migrated";

/// Commands that record or look at processes.
const OF_PROCESSES: &[&str] = &["monitor", "profile", "files", "libs", "snapshot"];

/// Rows of the table below this heading, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let table = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<Vec<String>> = table.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() > 2, "{heading}: {rows:?}");
    rows
}

/// Cells of a line; in code, a backslash before a `|` is Markdown's.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim_start_matches("| ").trim_end_matches('|').replace("\\|", "\0");
    line.split('|').map(|cell| cell.trim().trim_matches('`').replace('\0', "|")).collect()
}

/// What the commands are tried on: a process that has a crypto library and opens crypto files again and again.
struct Subject {
    directory: tempfile::TempDir,
    process: Process,
}

impl Subject {
    fn start() -> Option<Self> {
        let Some(library) = libssl() else {
            skip("there is no openssl, or it is not linked to a libssl.so");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        let program = directory.path().join(NAME);
        put_program(&workload(), &program);
        let files = ["server.pem", "server.crt"].map(|name| directory.path().join(name));
        files.iter().for_each(|file| std::fs::write(file, "").unwrap());
        let mut command = Command::new(program);
        command.args(["quiet", "dlopen"]).arg(library).stdin(Stdio::null());
        // Ten minutes of it, far more than the test takes; it is ended with the test.
        for _ in 0..6_000 {
            files.iter().for_each(|file| {
                command.args(["openat", "0", "0"]).arg(file);
            });
            command.args(["getrandom", "16", "0", "pause", "100"]);
        }
        Some(Self { directory, process: Process::spawn(&mut command) })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The line as it is run: of our process, and for a second.
    fn line(&self, line: &str) -> String {
        let pid = self.process.pid().to_string();
        let line = &line.replace("1234", &pid).replace("nginx", NAME);
        let words: Vec<&str> = line.split_whitespace().collect();
        let (program, command) = (words[0], words[1]);
        if program != "crypto-trace-capture" || !OF_PROCESSES.contains(&command) {
            return line.clone();
        }
        let mut added = String::new();
        let selects = words.iter().any(|word| ["-p", "--pid", "-n", "--name"].contains(word));
        if !selects {
            added.push_str(&format!(" -p {pid}"));
        }
        let given = words.iter().position(|word| ["-d", "--duration"].contains(word));
        if given.is_none() && command != "snapshot" {
            added.push_str(" -d 1");
        }
        let line = line.replacen(command, &format!("{command}{added}"), 1);
        match given {
            Some(at) => line.replacen(&format!("{} {}", words[at], words[at + 1]), &format!("{} 1", words[at]), 1),
            None => line,
        }
    }

    fn run(&self, line: &str) -> Finished {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", capture_binary().parent().unwrap().display());
        run(Command::new("sh").args(["-ec", line]).current_dir(self.path()).env("PATH", path))
    }
}

/// What a line shows, from where it writes it.
fn shown(subject: &Subject, line: &str) -> String {
    let line = subject.line(line);
    let done = subject.run(&line);
    assert_eq!(done.code(), 0, "{line}\n{}{}", done.text(), done.stderr);
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.iter().position(|word| ["-o", "--output"].contains(word)) {
        Some(at) if words[1] != "record" => {
            let file = subject.path().join(words[at + 1]);
            assert!(done.stdout.is_empty(), "{line}: the output is in the file");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(file).unwrap();
            text
        }
        _ => done.text(),
    }
}

/// What is shown is of the form that the line asks for, and tells something unless its filters leave nothing.
fn check(line: &str, text: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    if !OF_PROCESSES.contains(&words[1]) && words[1] != "events" {
        assert!(text.contains("crypto-trace"), "{line}: {text}");
        return;
    }
    let format = words.iter().position(|word| ["-f", "--format"].contains(word)).map(|at| words[at + 1]);
    let streams = words[0] == "crypto-trace-capture" || words[1] == "events";
    let default = match (words[1], streams) {
        ("profile" | "snapshot", _) => "json-pretty",
        (_, true) => "json-stream",
        (_, false) => "summary",
    };
    let may_be_empty = line.contains("/etc/ssl") || (line.contains("libssl") && words[0] == "crypto-trace-capture");
    match (words.contains(&"uniq"), format.unwrap_or(default)) {
        (true, _) => assert!(text.contains("server.crt"), "{line}: {text}"),
        (_, "summary") => assert!(may_be_empty || text.lines().count() > 1, "{line}: {text}"),
        (_, "json-stream") => {
            let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert!(may_be_empty || !events.is_empty(), "{line} shows nothing");
            assert!(events.iter().all(Value::is_object), "{line}");
        }
        _ => {
            let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
            assert!(
                may_be_empty || !matches!(&value, Value::Array(events) if events.is_empty()),
                "{line} shows nothing"
            );
        }
    }
}

/// Whether `value` has this field, `a.b` or `a[].b`: in each element of an array that must have some.
fn has(value: &Value, field: &str) -> bool {
    let (name, rest) = field.split_once('.').map_or((field, None), |(name, rest)| (name, Some(rest)));
    let (name, each) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let Some(inner) = value.get(name) else { return false };
    let has = |inner: &Value| rest.is_none_or(|rest| has(inner, rest));
    if each { inner.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(has)) } else { has(inner) }
}

#[test]
fn every_line_of_the_page_runs() {
    let Some(_permit) = live() else { return };
    let Some(subject) = Subject::start() else { return };
    let pid = subject.process.pid().to_string();
    let recorded = subject.run(&format!("crypto-trace-capture record -q -o rec -d 1 -p {pid}"));
    assert_eq!(recorded.code(), 0, "{}", recorded.stderr);
    for heading in ["monitor", "profile", "snapshot", "files", "libs", "help and version"] {
        for row in rows(heading) {
            let [theirs, here, from_recording] = &row[..] else { panic!("three cells: {row:?}") };
            let same = theirs.replacen("crypto-tracer", "crypto-trace-capture", 1);
            assert_eq!(*here, same, "the words are the same");
            for line in [here, from_recording] {
                check(line, &shown(&subject, line));
            }
        }
    }
    let one = |line: &str| -> Value { serde_json::from_str(&shown(&subject, line)).unwrap() };
    for (heading, value) in [
        ("Fields of a profile", one("crypto-trace-capture profile --pid 1234")),
        ("Fields of a profile", one("crypto-trace-analyze profile rec --pid 1234")),
        ("Fields of a snapshot", one("crypto-trace-capture snapshot")),
        ("Fields of a snapshot", one("crypto-trace-analyze snapshot rec")),
    ] {
        for row in rows(heading) {
            assert_eq!(row[0], row[1], "the same fields");
            assert!(has(&value, &row[1]), "{heading}: no {} in {value:#}", row[1]);
        }
    }
}

#[test]
fn every_field_of_an_event_is_one_of_the_schema() {
    let schema = run(Command::new(analyze_binary()).arg("schema"));
    let schema: Value = serde_json::from_str(&schema.text()).unwrap();
    let text = schema.to_string();
    for row in rows("Fields of events") {
        let there = if row[0] == "library_name" { "library_file" } else { &row[0] };
        assert_eq!(row[1], there, "names are kept");
        assert!(text.contains(&format!("\"{}\":", row[1])), "no {} in the schema", row[1]);
    }
}

/// The page gave a name that is longer than what the kernel keeps, and a `grep` that always matches.
#[test]
fn what_scripts_are_told_to_look_for_is_found() {
    let quoted = |begins: &str| {
        let at = PAGE.find(&format!("`{begins}")).unwrap_or_else(|| panic!("no {begins}"));
        PAGE[at + 1..].split('`').next().unwrap().to_owned()
    };
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let program = directory.path().join("crypto-trace-capture");
    put_program(&workload(), &program);
    let process = Process::spawn(Command::new(&program).args(["complain", "ready", "wait"]).stdin(Stdio::piped()));
    process.wait_for("ready");
    for (line, found) in
        [(quoted("pgrep -x "), true), (quoted("pgrep -f "), true), (quoted("pgrep crypto-trace-capture"), false)]
    {
        let done = run(Command::new("sh").args(["-c", &line]));
        let pids = done.text();
        assert_eq!(pids.lines().any(|pid| pid == process.pid().to_string()), found, "{line}: {pids}");
    }
    drop(process);
    let line = quoted("grep -E ");
    let ends = [("lost: 0, dropped: 0", false), ("lost: 12, dropped: 0", true), ("lost: 0, dropped: 3", true)];
    for (numbers, matches) in ends {
        let script = format!("echo 'Events recorded: 5, {numbers}, bytes: 1.0 KiB, segments: 1' | {line}");
        assert_eq!(run(Command::new("sh").args(["-c", &script])).code() == 0, matches, "{numbers}");
    }
}
