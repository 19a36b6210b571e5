//! The command lines of both programs as people mistype them: exit codes, and messages that say what to do.
//!
//! What the analyzer does with bad input is in crates/analyze/tests/cli.rs; here it reads real captures.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{
    Capture, Finished, Process, analyze_binary, capture_binary, live, put_program, run, skip, workload,
};

/// Runs `crypto-trace-capture` with the words of `line`.
fn capture(line: &str) -> Finished {
    run(Command::new(capture_binary()).args(line.split_whitespace()).stdin(Stdio::null()))
}

/// The command line is refused with exit code 2 (125 where it names a command, whose own code 2 could be), `message` on standard error and nothing on standard output.
#[track_caller]
fn refused(line: &str, message: &str) {
    let done = capture(line);
    let code = if line.contains(" -- ") { 125 } else { 2 };
    assert_eq!(done.code(), code, "{line}: {}", done.stderr);
    assert!(done.stderr.contains(message), "{line} should say `{message}`: {}", done.stderr);
    assert!(!done.stderr.contains("panicked") && done.stdout.is_empty(), "{line}: {}", done.stderr);
}

#[test]
fn both_programs_say_what_they_are_and_can_do() {
    for (binary, command) in [(capture_binary(), "record"), (analyze_binary(), "events")] {
        let name = binary.file_name().unwrap().to_str().unwrap().to_owned();
        let help = run(Command::new(&binary).arg("--help"));
        assert_eq!((help.code(), help.stderr.as_str()), (0, ""));
        assert!(help.text().contains("Usage:") && help.text().contains(command), "{}", help.text());
        assert!(!help.text().contains("__gate"), "an inner command is shown");
        let version = run(Command::new(&binary).arg("--version"));
        assert_eq!((version.code(), version.text()), (0, format!("{name} {}\n", env!("CARGO_PKG_VERSION"))));
        let command_of_its_own = run(Command::new(&binary).arg("version"));
        assert_eq!((command_of_its_own.code(), command_of_its_own.text()), (0, version.text()));
        let more = run(Command::new(&binary).args([command, "--help"]));
        assert_eq!(more.code(), 0);
        let nothing = run(&mut Command::new(&binary));
        assert_eq!((nothing.code(), nothing.stdout.len()), (2, 0));
        assert!(nothing.stderr.contains("Usage:"), "{}", nothing.stderr);
    }
}

#[test]
fn the_help_of_record_tells_the_exit_codes() {
    let help = capture("record --help").text();
    for code in ["0 ok", "1 failure", "2 usage", "3 privileges missing", "4 the kernel lacks", "5 the BPF programs"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    let words: Vec<_> = help.split_whitespace().collect();
    for code in ["125 for any failure", "126 when the command cannot be run", "127 when it is not found"] {
        assert!(words.join(" ").contains(code), "{code}: {help}");
    }
}

/// A script could not tell a recording that failed from a command that did: both ended with 1, 2, 3…
#[test]
fn a_failure_of_the_recording_is_told_apart_from_the_commands_own_codes() {
    let Some(_permit) = live() else { return };
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    std::fs::write(dir.join("not-executable"), "").unwrap();
    std::fs::write(dir.join("file"), "").unwrap();
    let ends = |output: &str, options: &[&str], command: &[&str]| {
        let mut capture = Command::new(capture_binary());
        capture.current_dir(dir).args(["record", "-q", "-o", output]).args(options);
        if !command.is_empty() {
            capture.arg("--").args(command);
        }
        run(capture.stdin(Stdio::null())).code()
    };
    // The command's own, whatever they are.
    for own in ["0", "1", "2", "5", "125", "126", "255"] {
        assert_eq!(ends("own", &[], &["sh", "-c", &format!("exit {own}")]).to_string(), own);
    }
    assert_eq!(ends("own", &[], &["sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(ends("own", &[], &["./not-executable"]), 126);
    assert_eq!(ends("own", &[], &["./nowhere"]), 127);
    assert_eq!(ends("own", &[], &["surely-no-such-program"]), 127);
    // The recording's; without a command, as ever.
    for (output, options, alone) in [
        ("file/below", &["-d", "1"][..], 1),
        ("own", &["--ring-size", "5000"], 2),
        ("own", &["--no-such-option"], 2),
        ("own", &["--config", "nowhere.toml"], 1),
        ("own", &["--metrics-file", "."], 1),
    ] {
        assert_eq!(ends(output, options, &["true"]), 125, "{options:?}");
        assert_eq!(ends(output, options, &[]), alone, "{options:?}");
    }
    // What asks for no command has none.
    assert_eq!(capture("doctor -- true").code(), 2);
    assert_eq!(capture("record --help -- true").code(), 0);
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_with_what_to_change() {
    refused("bogus", "bogus");
    refused("record", "--output");
    refused("record -o x --bogus", "--bogus");
    refused("record -o x stray", "stray");
    refused("record -o x -v -q", "--quiet");
    refused("record -o x -p 1 -- true", "-p and -n");
    refused("record -o x -n nginx -- true", "-p and -n");
    refused("record -o x --follow-children", "-p or -n");
    refused("record -o x -p nginx", "nginx");
    refused("record -o x -p -1", "-1");
    refused("record -o x --uid surely-no-such-user", "there is no user `surely-no-such-user` on this host");
    refused("record -o x -F a{", "-F a{");
    refused("record -o x -n a-name-of-more-than-15-bytes", "-n");
}

#[test]
fn sizes_and_times_that_are_none_are_refused() {
    refused("record -o x -d soon", "`soon` is not a whole number with a unit: give one such as 60 (seconds), 100ms");
    refused("record -o x -d 1.5h", "such as 60 (seconds)");
    refused("record -o x -d 0", "--duration");
    refused("record -o x -d 5parsec", "ms, s, m, h, d");
    refused("record -o x -d -5", "-5");
    refused("record -o x --flush-interval 0s", "--flush-interval");
    refused("record -o x --segment-size 64Mio", "KiB, MiB");
    refused("record -o x --segment-size 1KiB", "64KiB");
    refused("record -o x --segment-size 99999999999TiB", "99999999999TiB");
    refused("record -o x --ring-size 3000", "power of two");
    refused("record -o x --ring-size 1024", "power of two");
    refused("record -o x --ring-size 64GiB", "power of two");
    refused("record -o x --retain-segments 0", "0");
    refused("record -o x --retain-bytes much", "much");
    refused("record -o x --compression-level 20", "20");
}

#[test]
fn an_empty_name_is_refused() {
    for option in ["-n", "-l"] {
        let done = run(Command::new(capture_binary()).args(["record", "-o", "x", option, ""]));
        assert_eq!(done.code(), 2, "{}", done.stderr);
        assert!(done.stderr.contains("matches nothing"), "{}", done.stderr);
    }
}

/// A directory that anyone may enter, with the capture in it.
fn for_anyone() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = directory.path().join("crypto-trace-capture");
    put_program(&capture_binary(), &program);
    (directory, program)
}

/// Runs as nobody, with these capabilities (as setpriv names them) and no others.
fn as_nobody(capabilities: &[&str]) -> Option<Command> {
    if capabilities.is_empty() && !rustix::process::geteuid().is_root() {
        return Some(Command::new("env"));
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let mut set = "-all".to_owned();
    capabilities.iter().for_each(|capability| set += &format!(",+{capability}"));
    setpriv.arg(format!("--inh-caps={set}")).arg(format!("--ambient-caps={set}"));
    let mut probe = Command::new("setpriv");
    let works = probe.args(setpriv.get_args()).arg("true").output().is_ok_and(|output| output.status.success());
    if !works {
        skip("setpriv (util-linux) cannot change the user here");
    }
    works.then_some(setpriv)
}

#[test]
fn without_privileges_it_says_which_are_missing_and_writes_nothing() {
    let (directory, program) = for_anyone();
    for (held, missing) in [(vec![], "missing: CAP_BPF and CAP_PERFMON"), (vec!["bpf"], "missing: CAP_PERFMON")] {
        let Some(mut command) = as_nobody(&held) else { return };
        let out = directory.path().join("out");
        let made = directory.path().join("made");
        command.arg(&program).args(["record", "-o"]).arg(&out);
        let without = run(&mut command);
        let with_command = run(command.args(["--", "touch"]).arg(&made));
        for (done, code) in [(without, 3), (with_command, 125)] {
            assert_eq!(done.code(), code, "{}", done.stderr);
            assert!(done.stderr.contains("needs CAP_BPF and CAP_PERFMON, or root"), "{}", done.stderr);
            assert!(done.stderr.contains(missing) && done.stderr.contains("sudo"), "{}", done.stderr);
            assert!(!out.exists() && !made.exists() && done.stdout.is_empty());
        }
    }
}

/// Segments are bytes: on a terminal they would do harm.
#[test]
fn a_terminal_is_no_place_for_segments() {
    let line = format!("{} record -o -", capture_binary().display());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
    if Command::new("script").arg("--version").output().is_err() {
        return skip("script (bsdutils), which makes a terminal, is not installed");
    }
    let done = run(&mut command);
    // Standard error is the same terminal.
    assert_eq!(done.code(), 2, "{}{}", done.text(), done.stderr);
    assert!(done.text().contains("is a terminal") && done.text().contains("crypto-trace-analyze"), "{}", done.text());
}

/// There the ids the kernel tells are not those the user gave.
/// Whether this kernel has them or not; what they record is tested by tests/kernels/matrix.
#[test]
fn a_tier_that_is_asked_for_is_had_or_refused() {
    let Some(_permit) = live() else { return };
    for (tier, lacking) in [
        ("tracepoint", None),
        ("kprobe", Some("lacks kprobes")),
        ("fentry", Some("lacks programs on kernel functions")),
    ] {
        let done = Capture::new().options(["--tier", tier, "-d", "300ms"]).run();
        let attached = "file_open, lib_load: attached (raw_tracepoint, ";
        match (done.code(), lacking) {
            (0, _) if tier == "tracepoint" => assert!(done.stderr.contains(attached), "{}", done.stderr),
            (0, _) => assert!(done.stderr.contains(&format!("file_open: attached ({tier}, ")), "{}", done.stderr),
            (4, Some(lacking)) => {
                assert!(done.stderr.contains(lacking) && done.stderr.contains("--tier auto"), "{}", done.stderr);
            }
            (code, _) => panic!("{tier}: exit code {code}: {}", done.stderr),
        }
    }
}

#[test]
fn in_a_pid_namespace_selection_by_process_is_refused() {
    let Some(_permit) = live() else { return };
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    for (what, code) in [(["-p", "1"], 4), (["--", "true"], 125)] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork"]).arg(capture_binary()).args(["record", "-o"]).arg(&out).args(what);
        let done = run(&mut command);
        assert_eq!(done.code(), code, "{}", done.stderr);
        assert!(done.stderr.contains("PID namespace") && done.stderr.contains("--cgroup"), "{}", done.stderr);
        assert!(!out.exists());
    }
}

/// A command line that makes no sense is that for everybody.
#[test]
fn usage_is_checked_before_privileges() {
    let (_directory, program) = for_anyone();
    let Some(mut command) = as_nobody(&[]) else { return };
    assert_eq!(run(command.arg(&program).args(["record", "-o", "x", "-d", "0"])).code(), 2);
}

#[test]
fn what_is_to_be_traced_and_is_not_there_is_a_failure() {
    let Some(_permit) = live() else { return };
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out").to_str().unwrap().to_owned();
    // Above the highest possible process id.
    let done = capture(&format!("record -o {out} -p 4194305"));
    assert_eq!(done.code(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("no process 4194305"), "{}", done.stderr);
    let done = capture(&format!("record -o {out} --cgroup /no/such/cgroup"));
    // 4: without cgroup v2.
    assert!(matches!(done.code(), 1 | 4), "{}", done.stderr);
    assert!(done.stderr.contains("cgroup"), "{}", done.stderr);
    assert!(!Path::new(&out).exists(), "nothing to record, nothing to write");
}

/// `record -o - | head`: whoever reads has seen enough. One that left before the first byte was told as a failure to write.
#[test]
fn a_reader_that_leaves_ends_the_recording_quietly() {
    let Some(_permit) = live() else { return };
    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let mut command = Command::new(capture_binary());
    command.args(["record", "-q", "-o", "-", "-p", &traced.pid().to_string()]);
    let (capture, output) = Process::spawn_with_output(&mut command);
    drop(output);
    let done = capture.finish();
    assert_eq!((done.code(), done.stderr.as_str()), (0, ""));
    traced.finish().expect_success();
}

fn real_capture() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/openssl-loopback/capture.ctseg")).unwrap()
}

fn analyze(words: &[OsString]) -> Finished {
    run(Command::new(analyze_binary()).args(words))
}

/// A bit in any part of a real capture is found, located, and costs no other block.
#[test]
fn a_damaged_real_capture_is_located_and_read_around() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.ctseg");
    let whole = real_capture();
    std::fs::write(&path, &whole).unwrap();
    let events = |path: &Path| analyze(&["events".into(), path.into()]);
    let all = events(&path).text().lines().count();
    assert!(all > 10);
    for at in (100..whole.len()).step_by(whole.len() / 12) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let done = analyze(&["verify".into(), path.clone().into()]);
        assert_eq!(done.code(), 6, "byte {at}: {}{}", done.text(), done.stderr);
        assert!(done.text().contains("DAMAGED") && done.text().contains("at byte"), "byte {at}: {}", done.text());
        let done = events(&path);
        assert_eq!(done.code(), 0, "what is whole is shown: {}", done.stderr);
        assert!(done.text().lines().count() <= all && !done.stderr.is_empty(), "byte {at}: {}", done.stderr);
    }
}

#[test]
fn a_real_capture_without_its_end_is_damaged_unless_it_was_still_open() {
    let directory = tempfile::tempdir().unwrap();
    let whole = real_capture();
    for (name, code) in [("cut.ctseg", 6), ("cut.ctseg.open", 0)] {
        let path = directory.path().join(name);
        std::fs::write(&path, &whole[..whole.len() * 2 / 3]).unwrap();
        let done = analyze(&["verify".into(), path.into()]);
        assert_eq!(done.code(), code, "{name}: {}{}", done.text(), done.stderr);
        assert!(done.text().contains("at byte"), "{name}: {}", done.text());
    }
}

/// The analyzer is for workstations: it needs no privileges at all.
#[test]
fn the_analyzer_works_as_nobody() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(mut command) = as_nobody(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let [program, segment] = ["crypto-trace-analyze", "a.ctseg"].map(|name| directory.path().join(name));
    put_program(&analyze_binary(), &program);
    std::fs::write(&segment, real_capture()).unwrap();
    let done = run(command.arg(&program).arg("verify").arg(&segment));
    assert_eq!(done.code(), 0, "{}{}", done.text(), done.stderr);
}
