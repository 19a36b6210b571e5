//! `crypto-trace-capture snapshot`: what is found in /proc is what is there, and what may not be seen is said.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crypto_trace_tests::{
    Finished, Process, Trace, analyze_binary, capture_binary, large, libssl, put_program, run, skip, workload,
};
use serde_json::Value;

/// Nobody on every Linux distribution.
const NOBODY: u32 = 65_534;

struct Scene {
    directory: tempfile::TempDir,
    library: PathBuf,
    key: PathBuf,
    process: Process,
}

impl Scene {
    /// A process that has a library mapped and a key open, and waits.
    fn new() -> Option<Self> {
        let Some(library) = libssl() else {
            skip("there is no openssl, or it is not linked to a libssl.so");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
        let [key, text] = ["open.key", "open.txt"].map(|name| directory.path().join(name));
        [&key, &text].into_iter().for_each(|file| std::fs::write(file, "").unwrap());
        let script = "exec 8< \"$1\" 9>> \"$2\"; exec \"$3\" dlopen \"$4\" complain ready wait";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args([&key, &text]).arg(workload()).arg(&library).stdin(Stdio::piped());
        let process = Process::spawn(&mut command);
        process.wait_for("ready");
        Some(Self { directory, library: library.canonicalize().unwrap(), key, process })
    }

    fn snapshot(&self, options: &[&str]) -> Finished {
        let pid = self.process.pid().to_string();
        run(Command::new(capture_binary()).args(["snapshot", "--no-redact", "-p", &pid]).args(options))
    }
}

fn json(done: &Finished) -> Value {
    assert_eq!(done.code(), 0, "{}", done.stderr);
    serde_json::from_str(&done.text()).unwrap()
}

#[test]
fn libraries_and_open_files_of_a_process() {
    let Some(scene) = Scene::new() else { return };
    let found = json(&scene.snapshot(&["-v"]));
    let [row] = &found["processes"].as_array().unwrap()[..] else { panic!("one process: {found:#}") };
    assert_eq!(row["pid"], scene.process.pid());
    assert_eq!(row["open_crypto_files"], serde_json::json!([scene.key]), "the text file is no crypto file");
    let libraries: Vec<&str> = row["libraries"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(libraries.contains(&scene.library.to_str().unwrap()), "{libraries:?}");
    assert_eq!(row["opened_crypto_files"], serde_json::json!([]));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(found["kernel"], kernel.trim());
    assert_eq!(found["summary"]["total_processes"], 1);
    assert_eq!(found["summary"]["total_files"], 1);

    // With filters of its own.
    let of = |options: &[&str]| json(&scene.snapshot(options))["processes"][0].clone();
    let text = of(&["-F", "*.txt"]);
    assert!(text["open_crypto_files"][0].as_str().unwrap().ends_with("/open.txt"), "{text:#}");
    assert_eq!(text["libraries"], serde_json::json!([]));
    let library = of(&["-l", "libssl"]);
    assert_eq!(library["libraries"].as_array().unwrap().len(), 1, "{library:#}");
    assert_eq!(of(&["-n", "nosuchname"]), Value::Null);
    assert_eq!(of(&["--uid", "4711"]), Value::Null);
}

#[test]
fn formats_and_a_recording_tell_the_same() {
    let Some(scene) = Scene::new() else { return };
    let without_time = |mut value: Value| {
        value["generated_at"].take();
        value
    };
    let pretty = without_time(json(&scene.snapshot(&[])));
    assert_eq!(without_time(json(&scene.snapshot(&["-f", "json-stream"]))), pretty);
    let array = json(&scene.snapshot(&["-f", "json-array"]));
    assert_eq!(without_time(array[0].clone()), pretty);
    assert!(scene.snapshot(&["-f", "summary"]).text().contains("open.key"));

    let recording = scene.directory.path().join("archived.ctseg");
    let saved = scene.snapshot(&["-o", recording.to_str().unwrap()]);
    assert_eq!((saved.code(), saved.stdout.len()), (0, 0), "{}", saved.stderr);
    let analyze = |args: &[&str]| run(Command::new(analyze_binary()).args(args).arg(&recording));
    assert_eq!(analyze(&["verify"]).code(), 0);
    assert_eq!(without_time(json(&analyze(&["snapshot", "--no-redact"]))), pretty);
    let events = analyze(&["events", "--type", "file_open,inventory", "--no-redact"]);
    let events: Vec<Value> = events.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [open, look] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((&open["source"], &open["result"], &open["tier"]), (&"already open".into(), &8.into(), &"proc".into()));
    assert_eq!((&look["processes"], &look["maps_denied"]), (&1.into(), &0.into()));
    let again = scene.snapshot(&["-o", recording.to_str().unwrap()]);
    assert_eq!(again.code(), 1, "an archive is not overwritten: {}", again.stderr);

    let file = scene.directory.path().join("shown.json");
    assert_eq!(scene.snapshot(&["-o", file.to_str().unwrap()]).code(), 0);
    let shown: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(without_time(shown), pretty);
}

/// Anybody may look; what is not theirs is counted, and said wherever the snapshot is shown.
#[test]
fn what_may_not_be_seen_is_said() {
    if !rustix::process::geteuid().is_root() {
        return skip("another user is needed to look as");
    }
    let Some(scene) = Scene::new() else { return };
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    // Where nobody can get at it.
    for (program, name) in [(capture_binary(), "crypto-trace-capture"), (analyze_binary(), "crypto-trace-analyze")] {
        put_program(&program, &directory.path().join(name));
    }
    std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let pid = scene.process.pid().to_string();
    let as_nobody = |options: &[&str]| {
        let nobody = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        run(command.arg(directory.path().join("crypto-trace-capture")).args(["snapshot", "-p", &pid]).args(options))
    };
    let done = as_nobody(&[]);
    let found = json(&done);
    assert_eq!(found["processes"], serde_json::json!([]));
    let told = format!(
        "not allowed to see the libraries of 1 process and the open files of 1 process (of 1 in /proc; process {pid} is one of them)"
    );
    assert_eq!(found["missing"], serde_json::json!([told]));
    assert!(done.stderr.contains(&told), "{}", done.stderr);
    let recording = directory.path().join("denied.ctseg");
    let done = as_nobody(&["-o", recording.to_str().unwrap()]);
    let why = format!("of 1 processes, such as {pid}: run it as root, or with CAP_SYS_PTRACE");
    assert!(done.stderr.contains(&why), "{}", done.stderr);
    // `-q` said it all the same, and cron sent a mail each night. It stands in what is written.
    let quiet = as_nobody(&["-q"]);
    assert_eq!((quiet.code(), quiet.stderr.as_str()), (0, ""));
    assert_eq!(json(&quiet)["missing"], serde_json::json!([told]));
    let quiet = as_nobody(&["-q", "--force", "-o", recording.to_str().unwrap()]);
    assert_eq!((quiet.code(), quiet.stderr.as_str()), (0, ""));
    let info = run(Command::new(analyze_binary()).args(["events", "-f", "summary"]).arg(&recording));
    assert!(info.text().contains(&told) || info.stderr.contains(&told), "{}{}", info.text(), info.stderr);
}

/// With hidepid not even names of others' processes are seen; they are counted, and so is a /proc that is not there an error.
#[test]
fn hidden_processes_are_counted_and_a_missing_proc_is_an_error() {
    if !rustix::process::geteuid().is_root() {
        return skip("mounting needs root");
    }
    let Some(_permit) = crypto_trace_tests::live() else { return };
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    for (program, name) in [(capture_binary(), "crypto-trace-capture"), (analyze_binary(), "crypto-trace-analyze")] {
        put_program(&program, &directory.path().join(name));
    }
    std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "sh", "-c", script]).current_dir(directory.path());
        run(&mut command)
    };
    let as_nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups ./crypto-trace-capture snapshot";
    let hidden = inside(&format!("mount -t proc -o hidepid=1 proc /proc && sleep 5 & sleep 0.3; {as_nobody}; wait"));
    let found = json(&hidden);
    assert!(found["missing"][0].as_str().is_some_and(|told| told.starts_with("not allowed to see")), "{found:#}");
    let absent = inside("mount -t tmpfs none /proc && exec ./crypto-trace-capture snapshot");
    assert_eq!(absent.code(), 1, "{}", absent.stderr);
    assert!(absent.stderr.contains("/proc cannot be read"), "{}", absent.stderr);
}

/// Processes come and go all the time while /proc is read.
#[test]
fn processes_that_vanish_meanwhile_are_no_error() {
    let directory = tempfile::Builder::new().prefix("crypto-trace-test-").tempdir().unwrap();
    let program = directory.path().join("ct-vanishing");
    put_program(Path::new("/bin/sleep"), &program);
    let script = "while :; do \"$0\" 0.001 & \"$0\" 0.002 & \"$0\" 0.001; done";
    let mut command = Command::new("sh");
    let churn = Process::spawn(command.args(["-c", script]).arg(&program).stdin(Stdio::null()));
    let mut seen = 0;
    for _ in 0..20 {
        let done = run(Command::new(capture_binary()).args(["snapshot", "-v", "-n", "ct-vanishing"]));
        let found = json(&done);
        assert_eq!(found["missing"], serde_json::json!([]), "gone is not denied");
        seen += found["processes"].as_array().unwrap().len();
        assert!(done.stderr.contains(" processes looked at in "), "{}", done.stderr);
    }
    assert_eq!(seen, 0, "they use no crypto");
    drop(churn);
}

/// What it writes is of who runs what on a host: anybody could read it, and the same command failed the next day.
#[test]
fn a_file_is_for_its_owner_and_group_and_is_replaced_when_asked_for() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let Some(scene) = Scene::new() else { return };
    let path = |name: &str| scene.directory.path().join(name);
    let snapshot = |name: &str, more: &[&str]| {
        let path = path(name);
        scene.snapshot(&[&["-q", "-o", path.to_str().unwrap()], more].concat())
    };
    let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    for name in ["shown.json", "kept.ctseg"] {
        assert_eq!(snapshot(name, &[]).code(), 0);
        assert_eq!(mode(name) & !0o640, 0, "{name}: {:o}", mode(name));
    }
    let shown =
        run(Command::new(analyze_binary()).args(["snapshot", "-o"]).arg(path("again.json")).arg(path("kept.ctseg")));
    assert_eq!((shown.code(), mode("again.json") & !0o640), (0, 0), "{}", shown.stderr);
    let kept = || std::fs::metadata(path("kept.ctseg")).unwrap().ino();
    let before = kept();
    assert_eq!(snapshot("kept.ctseg", &[]).code(), 1);
    assert_eq!(kept(), before);
    let replaced = snapshot("kept.ctseg", &["--force"]);
    assert_eq!((replaced.code(), replaced.stderr.as_str()), (0, ""));
    assert_ne!(kept(), before);
    assert_eq!(snapshot("first.ctseg", &["--force"]).code(), 0, "there is none yet");
    std::fs::create_dir(path("directory.ctseg")).unwrap();
    assert_eq!(snapshot("directory.ctseg", &["--force"]).code(), 1);
    assert_eq!(scene.snapshot(&["--force"]).code(), 2, "replace what?");
    let hidden = std::fs::read_dir(scene.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(hidden.filter(|name| name.to_string_lossy().starts_with('.')).count(), 0);
}

/// A user is known by name.
#[test]
fn users_are_selected_by_name_too() {
    let Some(scene) = Scene::new() else { return };
    let uid = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let is_ours = |line: &&str| line.split(':').nth(2) == Some(&uid);
    let Some(name) = passwd.lines().find(is_ours).and_then(|line| line.split(':').next()) else {
        return skip("this user has no name in /etc/passwd");
    };
    for user in [name, &uid] {
        assert_eq!(json(&scene.snapshot(&["--uid", user]))["summary"]["total_processes"], 1, "{user}");
    }
    let unknown = scene.snapshot(&["--uid", "surely-no-such-user"]);
    assert_eq!(unknown.code(), 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("there is no user `surely-no-such-user` on this host"), "{}", unknown.stderr);
}

/// A process that takes much room in /proc, and what a snapshot of it and of one beside it tells and takes.
struct Beside {
    /// The rows of the two.
    large: Value,
    victim: Value,
    inventory: Value,
    stderr: String,
    /// Most memory that the snapshot took.
    rss_bytes: u64,
    pid: u32,
}

/// Bytes that a snapshot may take whatever there is: docs/operations.md.
const SNAPSHOT_BYTES: u64 = 48 << 20;

fn beside(scene: &Scene, steps: &[&OsStr]) -> Beside {
    let large = Process::spawn(Command::new(large()).args(steps).arg("ready").stdin(Stdio::piped()));
    large.wait_for("ready");
    let pids = [large.pid(), scene.process.pid()];
    let recording = scene.directory.path().join("beside.ctseg");
    // What its children took at most: in KiB, getrusage(2).
    let script = "import resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(code)";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(capture_binary()).args(["snapshot", "--force", "-o"]).arg(&recording);
    pids.iter().for_each(|pid| _ = command.args(["-p", &pid.to_string()]));
    let done = run(&mut command);
    assert_eq!(done.code(), 0, "{}", done.stderr);
    let analyze = |args: &[&str]| run(Command::new(analyze_binary()).args(args).arg("--no-redact").arg(&recording));
    let lines = analyze(&["events", "--type", "inventory,process_info,lib_load,file_open"]);
    let events: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |pid: u32| -> Value { events.iter().filter(|event| event["pid"] == pid).cloned().collect() };
    let inventory = events.iter().find(|event| event["event_type"] == "inventory").unwrap().clone();
    Beside {
        large: of(pids[0]),
        victim: of(pids[1]),
        inventory,
        stderr: done.stderr.clone(),
        rss_bytes: done.text().trim().parse::<u64>().unwrap() << 10,
        pid: pids[0],
    }
}

fn of_type<'a>(rows: &'a Value, kind: &str) -> Vec<&'a Value> {
    rows.as_array().unwrap().iter().filter(|row| row["event_type"] == kind).collect()
}

/// Checks that the process beside is told as it is, whatever the other one does, and that all of it costs little.
fn check_victim(scene: &Scene, found: &Beside) {
    let open = of_type(&found.victim, "file_open");
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["file"], scene.key.to_str().unwrap());
    let libraries = of_type(&found.victim, "lib_load");
    assert!(libraries.iter().any(|row| row["library"] == scene.library.to_str().unwrap()), "{libraries:#?}");
    assert_eq!(of_type(&found.victim, "process_info").len(), 1);
    assert_eq!(of_type(&found.large, "process_info").len(), 1, "it is there, and is no one that ended");
    assert_eq!((&found.inventory["processes"], &found.inventory["vanished"]), (&2.into(), &0.into()));
    assert!(found.rss_bytes < SNAPSHOT_BYTES, "{} bytes", found.rss_bytes);
}

/// That not all of the large one was told is told.
fn check_cut(found: &Beside, cut: bool) {
    let expected = if cut { (1.into(), found.pid.into()) } else { (0.into(), Value::Null) };
    assert_eq!((found.inventory["cut"].clone(), found.inventory["cut_pid"].clone()), expected);
    let said = format!("1 of 2 processes, such as {}, have more arguments, libraries or open files", found.pid);
    assert_eq!(found.stderr.contains(&said), cut, "{}", found.stderr);
}

/// A process that claimed a gigabyte of arguments, of memory that it never touched, made a snapshot take a gigabyte.
#[test]
fn arguments_of_any_length_cost_four_kilobytes() {
    let Some(scene) = Scene::new() else { return };
    let claimed = 1_u64 << 30;
    let found = beside(&scene, &["claim", &claimed.to_string()].map(OsStr::new));
    check_victim(&scene, &found);
    check_cut(&found, false);
    let info = of_type(&found.large, "process_info")[0];
    assert_eq!(info["notes"], serde_json::json!(["truncated", "cmdline_truncated"]));
    assert_eq!(info["argv"].as_array().unwrap().len(), 4096, "each of them is empty");
    let trace = Trace::read(&[scene.directory.path().join("beside.ctseg")]);
    let infos = trace.infos();
    let (_, info) = infos.iter().find(|(event, _)| event.header.tgid == found.pid).unwrap();
    assert_eq!(u64::from(info.fixed.argv_full_len), claimed);
}

/// 65,000 mappings of a file with a long path took 228 MiB; of those that are libraries, each was told.
#[test]
fn mappings_of_any_number_cost_what_is_stated() {
    let Some(scene) = Scene::new() else { return };
    let directory = scene.directory.path();
    let steps = |bytes: &str, name: &str| {
        ["map-deep".into(), "65000".into(), bytes.into(), directory.as_os_str().to_owned(), name.into()]
    };
    for (bytes, name, rows) in [("3500", "neutral.dat", 0), ("3500", "libssl.so.3", 140), ("300", "libssl.so.3", 1024)]
    {
        let steps: [OsString; 5] = steps(bytes, name);
        let found = beside(&scene, &steps.each_ref().map(OsString::as_os_str));
        check_victim(&scene, &found);
        // 32 MiB of text are looked at, and 512 KiB of records are kept, or 1,024 of them.
        check_cut(&found, true);
        let loads = of_type(&found.large, "lib_load")
            .into_iter()
            .filter(|load| load["library"].as_str().unwrap().contains("/ddd"));
        let count = loads.count();
        assert!((rows..=1024).contains(&count) && (rows > 0 || count == 0), "{name}: {count}");
    }
}

/// More open keys than anybody needs.
#[test]
fn descriptors_of_any_number_cost_what_is_stated() {
    let Some(scene) = Scene::new() else { return };
    let found = beside(&scene, &[OsStr::new("open"), OsStr::new("2000"), scene.key.as_os_str()]);
    check_victim(&scene, &found);
    check_cut(&found, true);
    assert_eq!(of_type(&found.large, "file_open").len(), 1024);
}

/// A name that is no text made a process one that had ended, and a file whose name is none hid the libraries of its process.
#[test]
fn names_that_are_no_text_hide_nothing() {
    let Some(scene) = Scene::new() else { return };
    let odd = scene.directory.path().join(OsString::from_vec(b"\xff\xfe.dat".to_vec()));
    std::fs::write(&odd, vec![0; 4096]).unwrap();
    let name = OsStr::from_bytes(b"x\xffy");
    let steps = [
        OsStr::new("name"),
        name,
        OsStr::new("map"),
        OsStr::new("1"),
        odd.as_os_str(),
        OsStr::new("map"),
        OsStr::new("1"),
    ];
    let found = beside(&scene, &[&steps[..], &[scene.library.as_os_str()]].concat());
    check_victim(&scene, &found);
    check_cut(&found, false);
    let libraries = of_type(&found.large, "lib_load");
    assert!(libraries.iter().any(|row| row["library"] == scene.library.to_str().unwrap()), "{libraries:#?}");
}

#[test]
fn bad_arguments_are_refused() {
    let refused = |options: &[&str], code: i32, why: &str| {
        let done = run(Command::new(capture_binary()).arg("snapshot").args(options));
        assert_eq!(done.code(), code, "{options:?}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{options:?}: {}", done.stderr);
    };
    refused(&["-p", "4194305"], 1, "there is no process 4194305");
    refused(&["-F", "["], 2, "-F [");
    refused(&["-p", "1", "-f", "summary", "-o", "/tmp/x.ctseg"], 2, "leave -f out");
    refused(&["-n", ""], 2, "empty name");
    refused(&["-p", "1", "-o", "/nonexistent/x.json"], 1, "/nonexistent/x.json: cannot be written");
    refused(&["-p", "1", "-o", "/nonexistent/x.ctseg"], 1, "cannot write to /nonexistent/x.ctseg");
    refused(&["-d", "5"], 2, "unexpected argument");
}
