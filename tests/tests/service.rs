//! Recording as a service: what the unit, the manifest and the configuration promise is true of the program.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crypto_trace_tests::{Faults, Finished, Process, capture_binary, live, run, skip, workload};
use rustix::process::Signal;
use serde_json::Value;

const UNIT: &str = include_str!("../../packaging/systemd/crypto-trace-capture.service");
const DAEMON_SET: &str = include_str!("../../packaging/kubernetes/daemonset.yaml");
const EXAMPLE: &str = include_str!("../../packaging/capture.toml");

/// Capabilities that the unit leaves, in setpriv's words: `bpf`.
fn of_unit() -> BTreeSet<String> {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    line.split_whitespace().map(|name| name.strip_prefix("CAP_").unwrap().to_lowercase()).collect()
}

/// Root with these capabilities and no others, without new privileges, as the service runs.
fn with(capabilities: &BTreeSet<String>) -> Command {
    let set = capabilities.iter().fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--bounding-set", &set, "--inh-caps=-all"]).arg(capture_binary());
    command
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap()
}

#[test]
fn the_capabilities_of_the_unit_are_all_that_is_needed() {
    let Some(_permit) = live() else { return };
    let keep = directory();
    let doctor = |capabilities: &BTreeSet<String>| -> (Finished, Value) {
        let done = run(with(capabilities).args(["doctor", "-f", "json", "-o", "/tmp"]));
        let report = serde_json::from_str(&done.text()).unwrap();
        (done, report)
    };
    let bad = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter();
        let bad = findings.filter(|finding| ["degraded", "unusable"].contains(&finding["state"].as_str().unwrap()));
        bad.map(|finding| finding["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = of_unit();
    let (_, whole) = doctor(&all);
    assert!(bad(&whole).iter().all(|name| name.starts_with("library ")), "{whole:#}");
    let output = keep.path().join("rec");
    let recorded = run(with(&all).args(["record", "-o"]).arg(&output).arg("--").arg(workload()));
    assert_eq!(recorded.code(), 0, "{}", recorded.stderr);
    assert!(!recorded.stderr.contains("WARNING"), "{}", recorded.stderr);
    // And each of them is needed.
    for name in &all {
        let mut fewer = all.clone();
        fewer.remove(name);
        let (done, report) = doctor(&fewer);
        let expected = if ["bpf", "perfmon"].contains(&name.as_str()) { 3 } else { 8 };
        assert_eq!(done.code(), expected, "without {name}: {report:#}");
        assert!(bad(&report).contains(&format!("CAP_{}", name.to_uppercase())), "without {name}: {report:#}");
    }
}

#[test]
fn the_manifest_has_the_capabilities_of_the_unit_and_is_not_privileged() {
    let line = DAEMON_SET.lines().find_map(|line| line.trim().strip_prefix("add: [")).unwrap();
    let listed: BTreeSet<String> =
        line.trim_end_matches(']').split(", ").map(|name| name.trim_matches('"').to_lowercase()).collect();
    assert_eq!(listed, of_unit());
    assert!(DAEMON_SET.contains("privileged: false") && DAEMON_SET.contains("drop: [\"ALL\"]"));
    let parse = "import sys, yaml; print(yaml.safe_load(sys.stdin)['kind'])";
    let mut command = Command::new("python3");
    let python = command.args(["-c", parse]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), DAEMON_SET.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    if String::from_utf8_lossy(&done.stderr).contains("No module named") {
        return skip("python3 has no yaml module");
    }
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "DaemonSet", "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let directory = directory();
    let unit = directory.path().join("crypto-trace-capture.service");
    // The program is not installed where tests run.
    let text = UNIT.replace("/usr/bin/crypto-trace-capture", capture_binary().to_str().unwrap());
    std::fs::write(&unit, text).unwrap();
    let Ok(_) = Command::new("systemd-analyze").arg("--version").output() else {
        return skip("there is no systemd-analyze");
    };
    let done = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    let about = |line: &&str| line.contains("crypto-trace-capture.service");
    let said: Vec<&str> = done.stderr.lines().filter(about).collect();
    assert!(said.is_empty(), "{said:#?}");
}

/// A recording of a process as a service manager starts it, with its watchdog in microseconds, and the manager's socket.
fn managed(directory: &Path, pid: u32, watchdog_us: &str) -> (UnixDatagram, Command) {
    let path = directory.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut command = Command::new(capture_binary());
    command.args(["record", "-q", "-p", &pid.to_string(), "-o"]).arg(directory.join("rec"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", watchdog_us).env_remove("WATCHDOG_PID");
    (socket, command)
}

/// What the manager is told next.
fn message(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).expect("a message within 10 s");
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// What systemd is told, in its own protocol: sd_notify(3).
#[test]
fn a_service_manager_is_told_of_begin_life_and_end() {
    let Some(_permit) = live() else { return };
    let directory = directory();
    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let (socket, mut command) = managed(directory.path(), traced.pid(), "400000");
    let receive = || message(&socket);
    let capture = Process::spawn(&mut command);
    let ready = receive();
    assert!(ready.lines().any(|line| line == "READY=1") && ready.contains("STATUS=recording"), "{ready}");
    let begun = Instant::now();
    let mut beats = 0;
    while begun.elapsed() < Duration::from_millis(1_500) {
        beats += u32::from(receive().contains("WATCHDOG=1"));
    }
    assert!((5..=12).contains(&beats), "{beats} signs of life in 1.5 s, one is due every 200 ms");
    // SIGHUP begins a segment, and nothing ends.
    capture.signal(Signal::HUP);
    receive();
    capture.signal(Signal::TERM);
    let ending = std::iter::repeat_with(receive).find(|message| !message.contains("WATCHDOG=1")).unwrap();
    assert_eq!(ending.trim(), "STOPPING=1");
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(std::fs::read_dir(directory.path().join("rec")).unwrap().count(), 2, "one more by SIGHUP");
    drop(traced);
}

/// Only the thread that drains the rings was watched: with a disk that hangs a service went on as "recording".
#[test]
fn a_writer_that_does_not_get_on_stops_the_signs_of_life_and_is_told() {
    let Some(_permit) = live() else { return };
    let directory = directory();
    let traced = Process::spawn(Command::new(workload()).arg("wait").stdin(Stdio::piped()));
    let (socket, mut command) = managed(directory.path(), traced.pid(), "1000000");
    let receive = || message(&socket);
    // Sealing a segment takes three seconds, once.
    let mut patience = Some(Duration::from_secs(3));
    Faults::new([libc::SYS_renameat2], move |_| {
        if let Some(patience) = patience.take() {
            std::thread::sleep(patience);
        }
        None
    })
    .give_to(&mut command);
    let capture = Process::spawn(&mut command);
    assert!(receive().contains("READY=1"));
    capture.signal(Signal::HUP);
    let told = std::iter::repeat_with(receive).find(|message| message.contains("STATUS=the writer")).unwrap();
    assert!(told.contains("has made no progress for"), "{told}");
    let begun = Instant::now();
    while !receive().contains("WATCHDOG=1") {}
    assert!(begun.elapsed() > Duration::from_millis(1_200), "silent for {:?} only", begun.elapsed());
    capture.signal(Signal::TERM);
    let done = capture.finish();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    for told in ["the writer has made no progress for", "the writer makes progress again"] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    drop(traced);
}

#[test]
fn a_configuration_records_as_the_same_options_do() {
    let Some(_permit) = live() else { return };
    let directory = directory();
    let [config, output] = ["capture.toml", "rec"].map(|name| directory.path().join(name));
    let text = format!("output = {output:?}\nfile = [\"*.pem\"]\nsegment-age = \"10m\"\nquiet = true\n");
    std::fs::write(&config, text).unwrap();
    let pem = directory.path().join("some.pem");
    std::fs::write(&pem, "").unwrap();
    let record = |options: &[&str]| {
        let mut command = Command::new(capture_binary());
        run(command.args(["record", "--config"]).arg(&config).args(options).args(["--", "cat"]).arg(&pem))
    };
    let done = record(&[]);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let shown = run(Command::new(crypto_trace_tests::analyze_binary()).args(["info", "-f", "json"]).arg(&output));
    let info: Value = serde_json::from_str(&shown.text()).unwrap();
    assert!(info.to_string().contains("--file *.pem"), "{info:#}");
    let other = directory.path().join("other");
    assert_eq!(record(&["-o", other.to_str().unwrap()]).code(), 0);
    assert!(other.is_dir(), "the command line comes first");
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_line_and_key() {
    let directory = directory();
    let config = directory.path().join("capture.toml");
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        run(Command::new(capture_binary()).args(["record", "--check", "--config"]).arg(&config))
    };
    // As large as the disk of this machine may be.
    let right = check(&EXAMPLE.replace("10GiB", "100MiB"));
    assert_eq!(right.code(), 0, "{}", right.stderr);
    assert!(right.stderr.contains(": ok"), "{}", right.stderr);
    // Each key of the example, as it would be without its comment sign.
    for line in EXAMPLE.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' ')) {
        let key = line.split_once(' ').unwrap().0;
        let with = match key {
            "follow-children" => "pid = [1]\n",
            "api-budget" => "api = true\n",
            "on-seal-user" => "on-seal = \"true\"\n",
            _ => "",
        };
        let done = check(&format!("output = \"x\"\n{with}{line}\n"));
        // These name what may not be on this machine, and then that is said.
        let named = matches!(key, "metrics-file" | "cgroup");
        let absent = named && done.code() == 1 && done.stderr.contains(&format!("capture.toml: {key}: "));
        assert!(done.code() == 0 || absent, "{line}: {}", done.stderr);
    }
    for (text, told) in [
        (
            "output = \"x\"\nsegmnt-age = \"1h\"\n",
            ":2: segmnt-age: is not an option of record; did you mean segment-age?",
        ),
        ("output = \"x\"\nfile = [\"[\"]\n", "-F ["),
        ("quiet = true\n", "no output given: use -o"),
        ("output = \n", "TOML parse error"),
    ] {
        let done = check(text);
        assert_eq!(done.code(), 2, "{text}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{text}: {}", done.stderr);
    }
    let absent = run(Command::new(capture_binary()).args(["record", "--config", "/nonexistent.toml"]));
    assert_eq!(absent.code(), 1, "{}", absent.stderr);
    assert!(absent.stderr.contains("/nonexistent.toml: cannot be read"), "{}", absent.stderr);
    assert!(Path::new(&config).exists());
}

/// A configuration with a directory that is not there was `ok`, and the service failed at its start.
#[test]
fn a_check_finds_paths_and_cgroups_that_are_not_there_and_sizes_that_cannot_be() {
    let directory = directory();
    let dir = directory.path();
    let config = dir.join("capture.toml");
    std::fs::write(dir.join("file"), "").unwrap();
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(capture_binary());
        run(command.current_dir(dir).args(["record", "--check", "--config"]).arg(&config))
    };
    let cgroup_root = ["cgroup", "cgroup/unified"].map(|path| Path::new("/sys/fs").join(path).join("cgroup.procs"));
    for (text, told) in [
        ("output = \"file\"", "output: file exists and is not a directory"),
        ("output = \"file/below\"", "output: file/below: file is not a directory"),
        ("output = \"none/x.ctseg\"", "output: none/x.ctseg: there is no directory none"),
        ("output = \"x\"\nmetrics-file = \"none/x.prom\"", "metrics-file: there is no directory none"),
        ("output = \"x\"\nmetrics-file = \"/\"", "metrics-file: / is a directory: name a file in it"),
        ("output = \"x\"\ncgroup = [\"/surely/not\"]", "cgroup: "),
        ("output = \"x\"\nretain-bytes = \"1MiB\"", "retain-bytes: 1.0 MiB is less than one segment"),
        ("output = \"x\"\nretain-bytes = \"9999TiB\"", "retain-bytes: 9999.0 TiB is more than the whole file system"),
    ] {
        let done = check(text);
        assert_eq!(done.code(), 1, "{text}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("capture.toml: {told}")), "{text}: {}", done.stderr);
        assert!(!done.stderr.contains(": ok"), "{text}: {}", done.stderr);
    }
    for text in
        ["output = \"a/b/c\"", "output = \".\"", "output = \"x.ctseg\"\nmetrics-file = \"x.prom\"", "output = \"-\""]
    {
        let done = check(text);
        assert_eq!(done.code(), 0, "{text}: {}", done.stderr);
    }
    if cgroup_root.iter().any(|file| file.exists()) {
        assert_eq!(check("output = \"x\"\ncgroup = [\"/\"]").code(), 0);
    }
    let names: BTreeSet<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["capture.toml", "file"].map(Into::into).into(), "nothing is made");
}

/// The example's metrics file was below a directory that the unit may not write to.
#[test]
fn the_paths_of_the_example_are_those_the_unit_may_write_to() {
    let of = |key: &str| UNIT.lines().filter_map(|line| line.strip_prefix(key)).collect::<Vec<_>>();
    assert_eq!(of("ProtectSystem="), ["strict"]);
    let mut writable: Vec<_> =
        of("ReadWritePaths=").iter().map(|path| path.trim_start_matches('-').to_owned()).collect();
    writable.extend(of("LogsDirectory=").iter().map(|name| format!("/var/log/{name}")));
    writable.extend(of("RuntimeDirectory=").iter().map(|name| format!("/run/{name}")));
    let keys = |key: &str| {
        let line = EXAMPLE.lines().find_map(|line| line.trim_start_matches('#').strip_prefix(&format!("{key} = \"")));
        line.unwrap().trim_end_matches('"').to_owned()
    };
    for key in ["output", "metrics-file"] {
        let path = keys(key);
        assert!(writable.iter().any(|directory| Path::new(&path).starts_with(directory)), "{key}: {path} {writable:?}");
    }
    assert!(
        of("ReadWritePaths=").iter().all(|path| path.starts_with('-')),
        "a host without it has a service all the same"
    );
}

/// Numbers that the service alone may read are of no use to node_exporter; and its umask is 0027.
#[test]
fn the_metrics_file_is_for_whoever_collects_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(_permit) = live() else { return };
    let directory = directory();
    let [metrics, rec] = ["x.prom", "rec"].map(|name| directory.path().join(name));
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0027; exec \"$@\"", "sh"]).arg(capture_binary()).args(["record", "-q", "-o"]).arg(&rec);
    let done = run(command.arg("--metrics-file").arg(&metrics).args(["--", "true"]));
    assert_eq!(done.code(), 0, "{}", done.stderr);
    assert_eq!(std::fs::metadata(&metrics).unwrap().permissions().mode() & 0o777, 0o644);
}

/// After an upgrade the old program recorded on, until the next boot.
#[test]
fn an_upgrade_restarts_a_service_that_runs_and_starts_none() {
    let directory = directory();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").canonicalize().unwrap();
    let calls = directory.path().join("calls");
    // In a mount namespace where systemd seems to run, and where what the scripts call says that it was called, and does nothing.
    let inside = "mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/stub || exit 99
        for name in systemctl systemd-sysusers getent groupadd; do
            printf '#!/bin/sh\\necho \"%s $*\" >>\"$CALLS\"\\n' $name >/run/stub/$name
            chmod +x /run/stub/$name
        done
        PATH=/run/stub:$PATH exec /bin/sh -e \"$@\"";
    let calls_of = |script: &str, arguments: &[&str]| {
        let _ = std::fs::remove_file(&calls);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", inside, "sh"]).arg(packaging.join(script)).args(arguments);
        let done = run(command.env("CALLS", &calls));
        if done.code() == 99 || done.stderr.contains("unshare failed") {
            return None;
        }
        assert_eq!(done.code(), 0, "{script} {arguments:?}: {}", done.stderr);
        let said = std::fs::read_to_string(&calls).unwrap_or_default();
        Some(said.lines().filter(|line| line.starts_with("systemctl")).map(str::to_owned).collect::<Vec<_>>())
    };
    let reload = "systemctl daemon-reload";
    let restart = "systemctl try-restart crypto-trace-capture.service";
    let stop = "systemctl --no-reload disable --now crypto-trace-capture.service";
    for (script, arguments, expected) in [
        ("deb/postinst", &["configure", ""][..], &[reload][..]),
        ("deb/postinst", &["configure"], &[reload]),
        ("deb/postinst", &["configure", "0.1.0"], &[reload, restart]),
        ("deb/postinst", &["abort-upgrade", "0.1.0"], &[]),
        ("deb/prerm", &["upgrade", "0.2.0"], &[]),
        ("deb/prerm", &["remove"], &[stop]),
        ("rpm/post", &["1"], &[reload]),
        ("rpm/post", &["2"], &[reload, restart]),
        ("rpm/preun", &["1"], &[]),
        ("rpm/preun", &["0"], &[stop]),
    ] {
        let Some(called) = calls_of(script, arguments) else { return skip("cannot mount in a mount namespace") };
        assert_eq!(called, expected, "{script} {arguments:?}");
    }
}
