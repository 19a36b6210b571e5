//! Two recordings: every category, noise, and what one of them could not see.

use super::*;
use crate::common::*;
use crypto_trace_format::record::{ApiMeaning, FileOpen, LossCause};

/// nginx serves with TLS 1.2 and reads its key; curl talks to it; python hashes.
fn before(first_pid: u32) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let nginx = process(first_pid, "/usr/sbin/nginx", &mut records);
    let curl = process(first_pid + 1, "/usr/bin/curl", &mut records);
    let python = process(first_pid + 2, "/usr/bin/python3", &mut records);
    records.push(library(about_capture(5), LIBRARY, b"/usr/lib/libssl.so.3", 1, b""));
    records.push(load(python.header(2_000), b"/usr/lib/libssl.so.3"));
    records.push(nginx.opens(3_000, "/etc/ssl/private/site.key", 0o600));
    records.push(nginx.opens(3_100, "/etc/ssl/site.crt", 0o644));
    records.push(python.opens(3_200, "/tmp/tmpab3_9xqz/test.key", 0o600));
    records.push(call(python.header(4_000), b"EVP_DigestInit_ex", ApiMeaning::DIGEST, b"SHA256", 1, 0));
    records.extend(handshake(curl.header(5_000), "openssl12", 7, ("127.0.0.1:40001", "127.0.0.1:443"), true));
    records
}

/// The same a day later: openssl 3.0.18 is there, another reader of the key, TLS 1.3, MD5, a key that others may read.
fn after() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let nginx = process(900, "/usr/sbin/nginx", &mut records);
    let curl = process(901, "/usr/bin/curl", &mut records);
    let python = process(902, "/usr/bin/python3", &mut records);
    let tar = process(903, "/usr/bin/tar", &mut records);
    records.push(library(about_capture(5), LIBRARY, b"/usr/lib/libssl.so.3", 1, b""));
    records.push(load(python.header(2_000), b"/usr/lib/libssl.so.3"));
    records.push(nginx.opens(3_000, "/etc/ssl/private/site.key", 0o644));
    records.push(tar.opens(3_050, "/etc/ssl/private/site.key", 0o644));
    records.push(nginx.opens(3_150, "/etc/ssl/private/new.key", 0o600));
    records.push(open(tar.header(3_160), b"/etc/ssl/private/other.key", -13));
    records.push(call(python.header(4_000), b"EVP_DigestInit_ex", ApiMeaning::DIGEST, b"MD5", 1, 0));
    records.extend(handshake(curl.header(5_000), "chrome_mlkem", 7, ("127.0.0.1:40009", "127.0.0.1:8443"), true));
    records
}

#[test]
fn what_appeared_vanished_and_changed_is_told_for_every_category() {
    let (old, new) = (recording(1, &before(500)), recording(2, &after()));
    let document = diff_of(&old.path, &new.path, &[]);
    assert_eq!((&document["differ"], &document["complete"]), (&Value::from(true), &Value::from(false)));
    let appeared = names(&document, "appeared");
    for expected in [
        "program /usr/bin/tar",
        "key_file /etc/ssl/private/new.key",
        "tls_version TLS 1.3",
        "group X25519MLKEM768",
        "peer 127.0.0.1:8443",
        "algorithm MD5",
        "failure open /etc/ssl/private/other.key: EACCES",
    ] {
        assert!(appeared.contains(&expected.to_owned()), "{expected}: {appeared:#?}");
    }
    assert!(appeared.iter().any(|name| name.starts_with("cipher_suite ")), "{appeared:#?}");
    let vanished = names(&document, "vanished");
    for expected in ["key_file /tmp/tmp*/test.key", "certificate_file /etc/ssl/site.crt", "tls_version TLS 1.2"] {
        assert!(vanished.contains(&expected.to_owned()), "{expected}: {vanished:#?}");
    }
    let seen_as = &row(&document, "vanished", "/tmp/tmp*/test.key")["seen_as"];
    assert_eq!(seen_as, &serde_json::json!(["/tmp/tmpab3_9xqz/test.key"]));
    let key = row(&document, "changed", "/etc/ssl/private/site.key");
    assert_eq!(changes(key), ["mode: -0600 +0644", "readers: +/usr/bin/tar"]);
    let curl = row(&document, "changed", "/usr/bin/curl");
    assert!(changes(curl).contains(&"tls_versions: -TLS 1.2 +TLS 1.3".to_owned()), "{curl:#}");
    // The new server may present the same certificate: TLS 1.3 hides it.
    let unknown = names(&document, "unknown");
    assert!(unknown.iter().any(|name| name.starts_with("certificate ")), "{document:#}");
    let text = told(&["diff", old.path.to_str().unwrap(), new.path.to_str().unwrap()]);
    for expected in ["Appeared", "Vanished", "Changed", "mode: 0600, now 0644", "readers: + /usr/bin/tar"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_version_of_a_library_that_changed_is_a_change_and_one_that_is_not_recorded_is_not_known() {
    let records = |path: &'static [u8], state: u32| {
        let mut records = Vec::new();
        let python = process(500, "/usr/bin/python3", &mut records);
        records.push(library(about_capture(5), LIBRARY, path, state, b""));
        records.push(load(python.header(2_000), path));
        records
    };
    let old = recording(1, &records(b"/usr/lib/libssl.so.1.1", 1));
    let new = recording(2, &records(b"/usr/lib/libssl.so.3", 1));
    let document = diff_of(&old.path, &new.path, &[]);
    assert_eq!(names(&document, "changed"), ["library /usr/lib/libssl.so"]);
    assert_eq!(changes(row(&document, "changed", "/usr/lib/libssl.so")), ["soname_version: -1.1 +3"]);
    // Of what both have, the side that lacks a value is the one that could not see it.
    let told_of =
        |old: &Recording, new: &Recording| told(&["diff", old.path.to_str().unwrap(), new.path.to_str().unwrap()]);
    // Nobody looked into the other one.
    let unprobed = recording(3, &records(b"/usr/lib/libssl.so.3", 2));
    let document = diff_of(&unprobed.path, &new.path, &[]);
    assert!(names(&document, "changed").is_empty(), "{document:#}");
    let unknown = row(&document, "unknown", "/usr/lib/libssl.so");
    let why = &unknown["changes"][0]["why"][0];
    assert_eq!(why, "it is not recorded there", "{unknown:#}");
    let text = told_of(&unprobed, &new);
    assert!(text.contains("Not known: only the new one has it, but the old one could not see it"), "{text}");
    let text = told_of(&new, &unprobed);
    assert!(text.contains("Not known: only the old one has it, but the new one could not see it"), "{text}");
}

#[test]
fn the_same_recording_twice_is_no_difference() {
    for name in ["answers", "tls-nginx", "algorithms", "failed-opens", "python-https"] {
        let path = testdata(name);
        let document = diff_of(&path, &path, &[]);
        assert!(is_same(&document) && document["complete"] == true, "{name}: {document:#}");
        assert_ne!(document["counts"]["same"], 0, "{name}");
        let path = path.to_str().unwrap();
        assert_eq!(run(&["diff", path, path, "--exit-code"]).status.code(), Some(0), "{name}");
    }
}

/// Process ids, temporary names, ports, order and times differ from run to run.
#[test]
fn what_differs_from_run_to_run_is_no_difference() {
    let run = |pid: u32, temporary: &str, port: u16, later: u64| {
        let mut records = Vec::new();
        let server = process(pid, "/usr/bin/server", &mut records);
        let client = process(pid + 9, "/usr/bin/client", &mut records);
        records.push(server.opens(3_000 + later, &format!("/tmp/{temporary}/server.key"), 0o600));
        let (local, remote) = (format!("127.0.0.1:{}", port - 1), format!("127.0.0.1:{port}"));
        let hellos = handshake(client.header(5_000 + later), "openssl13", u64::from(pid), (&local, &remote), true);
        records.extend(hellos);
        records
    };
    let old = recording(1, &run(500, "tmp.k3QzR81xYb", 40_001, 0));
    let mut other = run(7_000, "tmp.Zz9aB3cD4e", 51_234, 90_000);
    let events = other.split_off(2);
    other.extend(events.into_iter().rev());
    let new = recording_of(&with_api(meta("web2", 2, 0)), &[watched(), other].concat());
    let document = diff_of(&old.path, &new.path, &[]);
    assert!(is_same(&document) && document["complete"] == true, "{document:#}");
    let exact = diff_of(&old.path, &new.path, &["--exact-names"]);
    assert_eq!(names(&exact, "appeared"), ["key_file /tmp/tmp.Zz9aB3cD4e/server.key", "peer 127.0.0.1:51234"]);
}

/// Whether an item is unknown for a reason, and nothing is said to have appeared.
#[track_caller]
fn assert_unknown(document: &Value, name: &str, reason: &str) {
    assert!(document["appeared"].as_array().unwrap().is_empty(), "{document:#}");
    let why = row(document, "unknown", name)["why"].to_string();
    assert!(why.contains(reason), "{why}");
    assert_eq!((&document["differ"], &document["complete"]), (&Value::from(false), &Value::from(false)));
}

#[test]
fn what_one_side_could_not_see_is_not_known_and_its_exit_code_says_so() {
    let key = |records: &mut Vec<Vec<u8>>| {
        let nginx = process(500, "/usr/sbin/nginx", records);
        records.push(nginx.opens(3_000, "/etc/ssl/private/site.key", 0o600));
        records.push(nginx.opens(3_100, "/etc/ssl/site.crt", 0o644));
    };
    let mut records = Vec::new();
    key(&mut records);
    let new = recording(2, &records);
    let some = vec![records[0].clone(), records[2].clone()];
    // Lost.
    let lossy = recording(1, &[some.clone(), vec![loss(9_000, FileOpen::KIND, LossCause::RING_FULL.0, 3)]].concat());
    let document = diff_of(&lossy.path, &new.path, &[]);
    assert_unknown(&document, "/etc/ssl/private/site.key", "3 file_open lost");
    let both = [lossy.path.to_str().unwrap(), new.path.to_str().unwrap()];
    assert_eq!(run(&["diff", both[0], both[1], "--exit-code"]).status.code(), Some(9));
    // What the lossy one has and the whole one has not is gone.
    let document = diff_of(&new.path, &lossy.path, &[]);
    assert_unknown(&document, "/etc/ssl/private/site.key", "3 file_open lost");
    // Recorded in part.
    let options = vec!["--api --api-budget 1%".to_owned(), "-n curl".to_owned()];
    let filtered =
        recording_of(&with_options(options.clone(), meta("web1", 1, 0)), &[watched(), some.clone()].concat());
    let document = diff_of(&filtered.path, &new.path, &[]);
    assert_unknown(&document, "/etc/ssl/private/site.key", "-n curl");
    // Both in the same part: that explains nothing.
    let alike = recording_of(&with_options(options, meta("web1", 3, 0)), &[watched(), records.clone()].concat());
    let document = diff_of(&filtered.path, &alike.path, &[]);
    assert_eq!(names(&document, "appeared"), ["key_file /etc/ssl/private/site.key"]);
    // A kind that was not watched.
    let watched: Vec<Vec<u8>> = watched().into_iter().skip(1).collect();
    let blind = recording_of(&with_api(meta("web1", 1, 0)), &[watched, vec![records[0].clone()]].concat());
    let document = diff_of(&blind.path, &new.path, &[]);
    assert_unknown(&document, "/etc/ssl/private/site.key", "file_open");
}

#[test]
fn names_that_were_taken_out_cannot_be_compared() {
    let records = |name: &str| {
        let mut records = Vec::new();
        let curl = process(500, "/usr/bin/curl", &mut records);
        records.extend(handshake(curl.header(5_000), name, 7, ("10.0.0.1:40001", "10.0.0.2:443"), true));
        [watched(), records].concat()
    };
    let options = vec!["--api --api-budget 1%".to_owned(), "--privacy hash".to_owned()];
    let private = |id| recording_of(&with_options(options.clone(), meta("web1", id, 0)), &records("openssl12"));
    let plain = recording_of(&with_api(meta("web1", 1, 0)), &records("gnutls12"));
    let (one, other) = (private(2), private(3));
    for (old, new) in [(&plain, &one), (&one, &plain)] {
        let document = diff_of(&old.path, &new.path, &[]);
        let known = [names(&document, "appeared"), names(&document, "vanished")].concat();
        let of_names = |name: &&String| name.starts_with("server_name ") || name.starts_with("peer ");
        assert_eq!(known.iter().find(of_names), None);
        assert!(document["unknown"].to_string().contains("--privacy"), "{document:#}");
    }
    // Pseudonyms of two recordings have nothing to do with each other.
    let document = diff_of(&one.path, &other.path, &[]);
    assert_eq!((&document["differ"], &document["complete"]), (&Value::from(false), &Value::from(false)));
}

#[test]
fn nothing_recorded_is_not_nothing_different() {
    let (empty, other) = (recording_of(&meta("web1", 1, 0), &[]), recording_of(&meta("web1", 2, 0), &[]));
    let document = diff_of(&empty.path, &other.path, &[]);
    assert_eq!((&document["differ"], &document["complete"]), (&Value::from(false), &Value::from(false)));
    let new = recording(3, &before(500));
    let document = diff_of(&empty.path, &new.path, &[]);
    assert!(document["appeared"].as_array().unwrap().is_empty() && document["differ"] == false, "{document:#}");
    let args = ["diff", empty.path.to_str().unwrap(), other.path.to_str().unwrap()];
    assert!(told(&args).contains("no difference is known, but not everything was seen"));
    assert_eq!(run(&[&args[..], &["--exit-code"]].concat()).status.code(), Some(9));
}

/// A certificate that is renewed is another one of the same, and its time is what changed.
#[test]
fn real_recordings_of_yesterday_and_today_differ_in_what_was_done_between_them() {
    let document = diff_of(&testdata("answers-before"), &testdata("answers"), &[]);
    assert_eq!(changes(row(&document, "changed", "/srv/db/tls/db.key")), ["readers: +/usr/bin/tar"]);
    assert!(names(&document, "appeared").contains(&"tls_version TLS 1.1".to_owned()));
    let renewed = changes(row(&document, "changed", "CN=legacy.test")).join("\n");
    assert!(renewed.contains("sha256: -") && renewed.contains("valid_to: -"), "{renewed}");
    // What rules say of it, of both on the same day.
    assert!(names(&document, "appeared").contains(&"finding TLS 1.1: disallowed, RFC 8996".to_owned()));
    let shares = document["shares"].as_array().unwrap();
    let tls13 = shares.iter().find(|share| share["name"] == "tls_1_3").unwrap();
    assert_eq!(tls13["changed"], true);
    let all = diff_of(&testdata("answers-before"), &testdata("answers"), &["--share-points", "100"]);
    assert!(all["shares"].as_array().unwrap().iter().all(|share| share["changed"] == false));
    for threads in ["1", "3"] {
        let again = diff_of(&testdata("answers-before"), &testdata("answers"), &["--threads", threads]);
        assert_eq!(again, document);
    }
}

#[test]
fn snapshots_can_be_compared_with_each_other() {
    let look = |id: u8, key: &str| {
        let mut records = vec![inventory_of(about_capture(9_000))];
        let nginx = process(500, "/usr/sbin/nginx", &mut records);
        records.push(nginx.opens(3_000, key, 0o600));
        recording_of(&meta("web1", id, 0), &records)
    };
    let (old, new) = (look(1, "/etc/ssl/private/a.key"), look(2, "/etc/ssl/private/b.key"));
    let document = diff_of(&old.path, &new.path, &[]);
    assert_eq!(names(&document, "appeared"), ["key_file /etc/ssl/private/b.key"]);
    // A recording has seen more than a look.
    let recorded = recording(3, &before(500));
    let document = diff_of(&old.path, &recorded.path, &[]);
    assert!(document["appeared"].as_array().unwrap().is_empty(), "{document:#}");
    assert_eq!(names(&document, "vanished"), ["key_file /etc/ssl/private/a.key"], "{document:#}");
}

/// A look at /proc that saw everything.
fn inventory_of(header: Header) -> Vec<u8> {
    use crypto_trace_format::record::{Inventory, InventoryFixed};
    let mut out = Vec::new();
    let fixed = InventoryFixed { began_ns: BOOT_NS, processes: 40, ..Default::default() };
    Inventory { fixed, ..Default::default() }.encode(header, &mut out);
    out
}
