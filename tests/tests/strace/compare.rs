//! Both sides of a run, thread by thread: the same calls in the same order.

use std::collections::BTreeMap;

use crate::calls::Seen;

/// What is not the same; nothing when all is well.
pub fn differences(strace: &[Seen], recorded: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    let (mut theirs, mut ours) = (by_thread(strace), by_thread(recorded));
    let threads: std::collections::BTreeSet<u32> = theirs.keys().chain(ours.keys()).copied().collect();
    for tid in threads {
        compare(theirs.remove(&tid).unwrap_or_default(), ours.remove(&tid).unwrap_or_default(), &mut found);
    }
    found
}

fn by_thread(calls: &[Seen]) -> BTreeMap<u32, Vec<&Seen>> {
    let mut threads: BTreeMap<u32, Vec<&Seen>> = BTreeMap::new();
    for call in calls {
        threads.entry(call.tid).or_default().push(call);
    }
    threads
}

fn compare(theirs: Vec<&Seen>, ours: Vec<&Seen>, found: &mut Vec<String>) {
    let mut rest = &ours[..];
    for call in theirs {
        let same = |other: &&Seen| (other.call, &other.paths) == (call.call, &call.paths);
        let Some(at) = rest.iter().position(same) else {
            found.push(format!("missing: {}", call.text()));
            continue;
        };
        let (before, from) = rest.split_at(at);
        found.extend(before.iter().map(|other| format!("invented, or in another order: {}", other.text())));
        let differ = from[0].differences(call);
        if !differ.is_empty() {
            found.push(format!("{differ:?}: {}", call.text()));
        }
        rest = &from[1..];
    }
    found.extend(rest.iter().map(|other| format!("invented: {}", other.text())));
}

#[test]
fn what_is_missing_invented_or_different_is_told() {
    let call = |tid, path: &str, result: i32| Seen {
        tid,
        call: "openat",
        paths: vec![path.into()],
        fields: BTreeMap::from([("result", result.to_string())]),
    };
    let strace = [call(1, "a.pem", 3), call(1, "b.pem", 4), call(2, "a.pem", 3)];
    assert_eq!(differences(&strace, &strace), [""; 0]);
    let check = |recorded: &[Seen], beginning: &str| {
        let found = differences(&strace, recorded);
        assert!(found.len() == 1 && found[0].starts_with(beginning), "{found:?}");
    };
    check(&strace[..2], "missing: 2 openat(a.pem)");
    check(&[&strace[..], &[call(1, "c.pem", 5)]].concat(), "invented: 1 openat(c.pem)");
    check(&[call(1, "c.pem", 5), call(1, "a.pem", 3), call(1, "b.pem", 4), call(2, "a.pem", 3)], "invented, or");
    check(&[call(1, "a.pem", 3), call(1, "b.pem", -2), call(2, "a.pem", 3)], "[\"result: -2 recorded, 4 by strace\"]");
}
