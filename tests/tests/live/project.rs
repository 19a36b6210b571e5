//! A CI job of a sample project: it is recorded, and rules are held against that.

use crypto_trace_tests::{Capture, analyze_binary, live, run, software};
use serde_json::Value;
use std::process::Command;

use crate::support::directory;

/// Records the project's tests after somebody made a change, and holds its rules against that: the exit code, and what fails.
fn job(change: &str) -> (i32, Vec<String>) {
    let (_keep, dir) = directory();
    let project = software::directory().join("project");
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout server.key -out server.crt 2>/dev/null";
    assert_eq!(run(Command::new("sh").args(["-c", make]).current_dir(&dir)).code(), 0);
    let script = project.join("test.sh");
    let done = Capture::new()
        .options(["--api"])
        .command(["sh", "-c", &format!("cd {} && sh {} {change}", dir.display(), script.display())])
        .run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let rules = project.join("rules.toml");
    let mut command = Command::new(analyze_binary());
    let judged = run(command.args(["check", "-f", "json", "--rules"]).arg(rules).arg(&done.output));
    let report: Value = serde_json::from_str(&judged.text()).unwrap();
    let rules = report["packs"][0]["rules"].as_array().unwrap();
    let failed = rules.iter().filter(|rule| rule["verdict"] == "fail");
    (judged.code(), failed.map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_project_s_job_fails_by_an_old_version_a_new_key_and_md5_and_not_otherwise() {
    let Some(_permit) = live() else { return };
    assert_eq!(job(""), (0, vec![]));
    assert_eq!(job("tls1.1"), (7, vec!["project/versions".to_owned()]));
    assert_eq!(job("key"), (7, vec!["project/keys".to_owned()]));
    assert_eq!(job("md5"), (7, vec!["project/no-md5".to_owned()]));
}
