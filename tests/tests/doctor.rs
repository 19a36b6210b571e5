//! `crypto-trace-capture doctor`: what it finds is what a recording then finds, and its exit code says so.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use crypto_trace_tests::{Capture, Finished, capture_binary, live, put_program, run, skip};
use serde_json::{Value, json};

fn doctor(command: &mut Command, options: &[&str]) -> (Finished, Value) {
    let options = if options.is_empty() { &["-o", "/tmp"] } else { options };
    let done = run(command.args(["doctor", "-f", "json"]).args(options));
    let report: Value = serde_json::from_str(&done.text()).unwrap_or_else(|error| panic!("{error}: {}", done.stderr));
    let schema = json!({
        "type": "object",
        "required": ["doctor_version", "result", "exit_code", "findings"],
        "additionalProperties": false,
        "properties": {
            "doctor_version": {"const": "1.0"},
            "result": {"enum": ["usable", "degraded", "unusable"]},
            "exit_code": {"enum": [0, 3, 4, 5, 8]},
            "findings": {"type": "array", "items": {
                "type": "object",
                "required": ["name", "state", "found", "advice"],
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "state": {"enum": ["ok", "info", "degraded", "unusable"]},
                    "found": {"type": "string", "minLength": 1},
                    "advice": {"type": ["string", "null"]},
                },
            }},
        },
    });
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!(report["exit_code"], done.code(), "the document and the exit code agree");
    for finding in report["findings"].as_array().unwrap() {
        let bad = ["degraded", "unusable"].contains(&finding["state"].as_str().unwrap());
        assert!(!bad || finding["advice"].is_string(), "each bad finding says what to do: {finding:#}");
    }
    (done, report)
}

fn state<'a>(report: &'a Value, name: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["name"] == name).map(|finding| finding["state"].as_str().unwrap()).collect()
}

/// Copies of the program where anybody can get at it, and how to run it there as nobody.
fn as_nobody(directory: &Path) -> Command {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.join("crypto-trace-capture");
    if !program.exists() {
        put_program(&capture_binary(), &program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
    command
}

#[test]
fn where_recording_works_it_says_so_and_attaches_what_a_recording_attaches() {
    let Some(_permit) = live() else { return };
    let (done, report) = doctor(&mut Command::new(capture_binary()), &[]);
    assert!([0, 8].contains(&done.code()), "{report:#}");
    for name in ["probe process_exec", "probe process_fork", "probe process_exit", "probe file_open, lib_load"] {
        assert_eq!(state(&report, name), ["ok"], "{report:#}");
    }
    let recorded = Capture::new().command(["true"]).run();
    assert_eq!(recorded.code(), 0, "{}", recorded.stderr);
    let trace = recorded.trace();
    let attached = |probe: &str| {
        let of = trace.probes();
        of.iter().filter(|(_, status)| status.probe == probe && status.fixed.state == 1).count()
    };
    for probe in ["process_exec", "tls_hello", "kernel_crypto"] {
        let told = state(&report, &format!("probe {probe}")).iter().filter(|state| **state == "ok").count();
        assert_eq!(told, attached(probe), "{probe}: {report:#}");
    }
    let text = run(Command::new(capture_binary()).args(["doctor", "-o", "/tmp"]));
    assert_eq!(text.code(), done.code());
    assert!(text.text().contains("raw_tracepoint on tp_btf:sched_process_exec"), "{}", text.text());
    assert!(text.text().contains("\nUsable"), "{}", text.text());
}

#[test]
fn without_privileges_it_says_which_are_missing_and_a_recording_points_at_it() {
    if !rustix::process::geteuid().is_root() {
        return skip("another user is needed to look as");
    }
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let (done, report) = doctor(&mut as_nobody(directory.path()), &[]);
    assert_eq!(done.code(), 3, "{report:#}");
    for name in ["CAP_BPF", "CAP_PERFMON"] {
        assert_eq!(state(&report, name), ["unusable"], "{report:#}");
    }
    assert_eq!(state(&report, "CAP_NET_ADMIN"), ["degraded"]);
    assert_eq!(state(&report, "analyzer"), ["degraded"], "it is not beside this copy");
    for command in ["record", "monitor", "files"] {
        let mut refused = as_nobody(directory.path());
        refused.arg(command);
        if command == "record" {
            refused.arg("-o").arg(directory.path().join("never"));
        }
        let refused = run(&mut refused);
        assert_eq!(refused.code(), 3, "{}", refused.stderr);
        assert!(refused.stderr.contains("run crypto-trace-capture doctor to see"), "{}", refused.stderr);
    }
}

#[test]
fn in_namespaces_of_its_own_it_says_what_that_costs() {
    let Some(_permit) = live() else { return };
    let unshared = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).arg(capture_binary());
        doctor(&mut command, &[])
    };
    let (done, report) = unshared(&["--pid", "--fork", "--mount-proc"]);
    assert_eq!((done.code(), state(&report, "pid namespace")), (8, vec!["degraded"]), "{report:#}");
    let (done, report) = unshared(&["--user", "--map-root-user"]);
    assert_eq!((done.code(), state(&report, "user namespace")), (3, vec!["unusable"]), "{report:#}");
    // Without what is mounted below /sys there is no BTF.
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /sys && exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(capture_binary());
    let (done, report) = doctor(&mut command, &[]);
    assert_eq!(state(&report, "btf"), ["unusable"], "{report:#}");
    assert_eq!(done.code(), 4, "{report:#}");
}

#[test]
fn little_room_and_few_descriptors_are_told() {
    let Some(_permit) = live() else { return };
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 200; exec \"$0\" \"$@\""]).arg(capture_binary());
    let (done, report) = doctor(&mut command, &[]);
    assert_eq!((done.code(), state(&report, "open files")), (8, vec!["degraded"]), "{report:#}");
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=1m none /mnt && exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(capture_binary());
    let (_, report) = doctor(&mut command, &["-o", "/mnt/recordings"]);
    assert_eq!(state(&report, "disk"), ["degraded"], "{report:#}");
}
