//! `check` through the built program: verdicts of rules with their evidence, and that a recording which shows little never passes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod common;

mod check {
    mod catalog;
    mod imported;
    mod own;
    mod ssh;

    use crate::common::*;
    use crypto_trace_format::record::{ApiMeaning, Header, Kind};
    use crypto_trace_format::segment::SegmentMeta;
    use serde_json::Value;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    fn run(args: &[&str], stdin: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-trace-analyze"));
        let mut child =
            command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    /// What a run writes, which has to end with this code.
    fn shown(path: &Path, args: &[&str], code: i32) -> String {
        let output = run(&[&["check", path.to_str().unwrap()], args].concat(), b"");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The document, which keeps to its schema and adds up.
    fn report(path: &Path, args: &[&str], code: i32) -> Value {
        let report: Value = serde_json::from_str(&shown(path, &[&["-f", "json"], args].concat(), code)).unwrap();
        let schema: Value = serde_json::from_slice(&run(&["schema", "check"], b"").stdout).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for pack in report["packs"].as_array().unwrap() {
            let counts = pack["counts"].as_object().unwrap();
            let sum: u64 = counts.values().map(|count| count.as_u64().unwrap()).sum();
            assert_eq!(sum as usize, pack["rules"].as_array().unwrap().len());
            for rule in pack["rules"].as_array().unwrap() {
                let (verdict, open) = (rule["verdict"].as_str().unwrap(), rule["open"].as_array().unwrap());
                assert_eq!(rule["against"].as_u64() > Some(0), ["fail", "warn"].contains(&verdict), "{rule:#}");
                assert!(verdict != "pass" || open.is_empty(), "{rule:#}");
                assert!(verdict != "unknown" || !open.is_empty(), "{rule:#}");
                assert!(!rule["says"].as_str().unwrap().is_empty() && !rule["document"].as_str().unwrap().is_empty());
            }
        }
        report
    }

    fn rules(report: &Value) -> Vec<&Value> {
        report["packs"].as_array().unwrap().iter().flat_map(|pack| pack["rules"].as_array().unwrap()).collect()
    }

    fn rule<'a>(report: &'a Value, id: &str) -> &'a Value {
        let found: Vec<&Value> = rules(report).into_iter().filter(|rule| rule["rule"] == id).collect();
        assert_eq!(found.len(), 1, "{id}: {report:#}");
        found[0]
    }

    /// Why a rule is left open, joined.
    fn open(rule: &Value) -> String {
        rule["open"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect::<Vec<_>>().join("; ")
    }

    fn write(dir: &tempfile::TempDir, meta: &SegmentMeta, records: &[Vec<u8>]) -> PathBuf {
        let path = dir.path().join(format!("{}-{}.ctseg", meta.host, meta.capture_id[0]));
        write_segment(&path, meta, records, 7);
        path
    }

    /// A recording that watched all it was asked to, of these programs.
    fn watched() -> Vec<Vec<u8>> {
        vec![
            attached(b"tls_hello", b"cgroup_skb/egress"),
            attached(b"file_open, lib_load", b"tp_btf:sys_exit"),
            attached(b"api_call", b"uprobe_multi"),
            attached(b"kernel_crypto", b"tp_btf:sys_exit"),
            exec(curl(1_000), b"/usr/bin/curl", b"curl\0", 1),
            exec(make(1_100), b"/usr/bin/make", b"make\0", 1),
        ]
    }

    fn attached(name: &[u8], target: &[u8]) -> Vec<u8> {
        use crypto_trace_format::record::{ProbeStatus, ProbeStatusFixed};
        let mut out = Vec::new();
        let fixed = ProbeStatusFixed { state: 1, tier: 3, ..Default::default() };
        ProbeStatus { fixed, probe: name, target, ..Default::default() }.encode(about_capture(1), &mut out);
        out
    }

    fn curl(at: u64) -> Header {
        header(600, "curl", at)
    }

    fn make(at: u64) -> Header {
        header(700, "make", at)
    }

    const ENDS: (&str, &str) = ("10.0.0.8:4000", "10.0.0.1:443");

    /// Handshakes of TLS 1.2 in which nothing is hidden and nothing speaks against the IETF's rules on versions.
    fn good() -> Vec<Vec<u8>> {
        let mut records = watched();
        records.extend(handshake(curl(10_000), "openssl12", 1, ENDS, true));
        records
    }

    fn old() -> Vec<Vec<u8>> {
        let mut records = good();
        records.extend(handshake(curl(20_000), "openssl10", 2, ENDS, true));
        records
    }

    const OLD: &str = "ietf/rfc-8996/4/tls-1.0";
}
