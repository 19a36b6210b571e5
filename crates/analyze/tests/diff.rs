//! `diff` through the built program: what differs, what does not, and what nobody can know.
#![allow(clippy::unwrap_used)]

mod common;

mod diff {
    mod cbom;
    mod recordings;
    mod rules;

    use crate::common::*;
    use crypto_trace_format::record::{FileOpen, FileOpenFixed, Header, ProbeStatus, ProbeStatusFixed};
    use crypto_trace_format::segment::SegmentMeta;
    use serde_json::Value;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    fn run(args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
        command.args(args).env_remove("COLUMNS").stdin(Stdio::null()).output().unwrap()
    }

    fn told(args: &[&str]) -> String {
        let output = run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn failure(args: &[&str], code: i32) -> String {
        let output = run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        stderr
    }

    /// The document, which keeps to its schema.
    fn diff_of(old: &Path, new: &Path, args: &[&str]) -> Value {
        let files = ["diff", old.to_str().unwrap(), new.to_str().unwrap(), "-f", "json"];
        let document: Value = serde_json::from_str(&told(&[&files, args].concat())).unwrap();
        let schema: Value = serde_json::from_str(&told(&["schema", "diff"])).unwrap();
        let errors: Vec<String> =
            jsonschema::validator_for(&schema).unwrap().iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for part in ["appeared", "vanished", "changed", "unknown"] {
            assert_eq!(document["counts"][part], document[part].as_array().unwrap().len(), "{part}");
        }
        document
    }

    /// What a part holds: `category name`.
    fn names(document: &Value, part: &str) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = document[part].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", word(&row["category"]), word(&row["name"]))).collect()
    }

    fn row<'a>(document: &'a Value, part: &str, name: &str) -> &'a Value {
        let mut rows = document[part].as_array().unwrap().iter().filter(|row| row["name"] == name);
        rows.next().unwrap_or_else(|| panic!("no {name} in {part}: {document:#}"))
    }

    /// `attribute: -old +new`, of what is known.
    fn changes(row: &Value) -> Vec<String> {
        let texts = |of: &Value, sign: &str| -> String {
            let all = of.as_array().unwrap().iter();
            all.map(|value| format!(" {sign}{}", value.as_str().unwrap())).collect()
        };
        let changes = row["changes"].as_array().unwrap().iter().filter(|change| change["why"].is_null());
        let one = |change: &Value| {
            let attribute = change["attribute"].as_str().unwrap();
            format!("{attribute}:{}{}", texts(&change["old"], "-"), texts(&change["new"], "+"))
        };
        changes.map(one).collect()
    }

    fn is_same(document: &Value) -> bool {
        let none = |part: &str| document[part].as_array().unwrap().is_empty();
        ["appeared", "vanished", "changed", "unknown"].into_iter().all(none) && document["differ"] == false
    }

    /// A recording, its own directory.
    struct Recording {
        _dir: tempfile::TempDir,
        path: PathBuf,
    }

    fn recording_of(meta: &SegmentMeta, records: &[Vec<u8>]) -> Recording {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ctseg");
        write_segment(&path, meta, records, 5);
        Recording { path, _dir: dir }
    }

    /// One that watched everything.
    fn recording(id: u8, records: &[Vec<u8>]) -> Recording {
        recording_of(&with_api(meta("web1", id, 0)), &[watched(), records.to_vec()].concat())
    }

    fn with_api(meta: SegmentMeta) -> SegmentMeta {
        with_options(vec!["--api --api-budget 1%".to_owned()], meta)
    }

    /// What says that everything was watched.
    fn watched() -> Vec<Vec<u8>> {
        let probe = |name: &[u8], target: &[u8]| {
            let mut out = Vec::new();
            let fixed = ProbeStatusFixed { state: 1, tier: 3, ..Default::default() };
            let status = ProbeStatus { fixed, probe: name, target, ..Default::default() };
            status.encode(about_capture(1), &mut out);
            out
        };
        let names = [&b"file_open"[..], b"file_change", b"api_call", b"lib_load", b"kernel_crypto"];
        let probes = names.into_iter().map(|name| probe(name, b"raw_tp:sys_exit"));
        probes.chain([probe(b"tls_hello", b"cgroup_skb:ingress")]).collect()
    }

    /// A process that runs this from `at` on.
    struct Process {
        tgid: u32,
        comm: &'static str,
    }

    impl Process {
        fn header(&self, at: u64) -> Header {
            header(self.tgid, self.comm, at)
        }

        fn opens(&self, at: u64, path: &str, mode: u32) -> Vec<u8> {
            let mut out = Vec::new();
            let fixed = FileOpenFixed {
                result: 5,
                dfd: -100,
                dev: 8 << 20,
                ino: path.bytes().map(u64::from).sum::<u64>() * 1_000 + path.len() as u64,
                inode_mode: 0o100_000 | mode,
                tier: 3,
                ..Default::default()
            };
            FileOpen { fixed, path: path.as_bytes(), ..Default::default() }.encode(self.header(at), &mut out);
            out
        }
    }

    /// A program as this process.
    fn process(tgid: u32, exe: &'static str, records: &mut Vec<Vec<u8>>) -> Process {
        let comm = exe.rsplit('/').next().unwrap();
        let process = Process { tgid, comm };
        records.push(exec(process.header(1_000), exe.as_bytes(), comm.as_bytes(), 1));
        process
    }

    fn testdata(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
    }
}
