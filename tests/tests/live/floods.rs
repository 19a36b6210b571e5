//! Fair share: one process that floods costs neither another's events nor the past, and what is withheld of it is told, exactly.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use crypto_trace_format::record::{FileChange, FileOpen, SuppressionReason, TlsHello};
use crypto_trace_tests::{Capture, Done, Trace, alone, flood, workload};

use crate::support::{directory, touch};
use crate::words;

/// How many opens the victim makes, in as many batches with a pause between them as make more than a second.
const BATCHES: usize = 100;
const BATCH: usize = 100;

/// A user that nothing else is run as.
const OTHER: u32 = 54_321;

/// Floods, each with its user, beside a victim. `$0` is the flood, `$1` the workload, `$2` the victim's file.
fn beside(floods: &[(&str, u32)], more: &Path, options: &[&str], victim: &Path) -> Done {
    let flood_of = |(kind, user): &(&str, u32)| {
        format!("setpriv --reuid {user} --clear-groups \"$0\" {kind} 2.5 '{}' & ", more.display())
    };
    let floods: String = floods.iter().map(flood_of).collect();
    let script = format!(
        "{floods} sleep 0.3; for i in $(seq {BATCHES}); do \"$1\" quiet repeat {BATCH} openat 0 0 \"$2\"; sleep 0.01; done; wait"
    );
    let command: Vec<OsString> = words!["sh", "-c", script, flood(), workload(), victim].into();
    let done = Capture::new().options(options).command(command).run();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    done
}

/// All that the victim did is there, and what is missing of others is told as withheld.
fn judge(trace: &Trace, name: &str) {
    assert_eq!(trace.opens_of(name).len(), BATCHES * BATCH, "{:?}", trace.stats());
    assert!(trace.losses().is_empty(), "{:?}", trace.losses());
    let told: u64 = trace.suppressed().iter().map(|(_, suppressed)| suppressed.count).sum();
    assert_eq!(told, trace.stats().suppressed);
    for (event, suppressed) in trace.suppressed() {
        assert!(suppressed.count > 0 && suppressed.from_ns <= suppressed.to_ns, "{suppressed:?}");
        assert!(event.header.tgid != 0 && event.header.time_ns == suppressed.to_ns);
        assert_ne!(SuppressionReason(suppressed.reason).name(), "unknown");
    }
}

/// 31 of a victim's 100 opens were lost beside a process that opened names of 4,000 random bytes.
#[test]
fn a_flood_of_made_up_names_costs_no_other_process_an_event() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let victim = touch(&dir.join("victim.key"));
    let done = beside(&[("failed", OTHER), ("failed", OTHER), ("failed", 0)], &dir, &["--tls", "off"], &victim);
    judge(&done.trace(), "victim.key");
}

/// The same by what succeeds, by changes, by connections, and by processes; with the smallest ring that is sensible.
#[test]
fn floods_of_every_kind_cost_no_other_process_an_event() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let victim = touch(&dir.join("victim.key"));
    // As deep as it goes.
    let deep = (0..15).fold(dir.clone(), |path, n| path.join(format!("{n:0200}")));
    std::fs::create_dir_all(&deep).unwrap();
    let deep = touch(&deep.join("deep.pem"));
    for (kind, flooded) in [
        ("opened", Some(FileOpen::KIND.0)),
        ("changed", Some(FileChange::KIND.0)),
        ("hellos", Some(TlsHello::KIND.0)),
        ("processes", None),
    ] {
        // What the ring takes of it depends on how busy the machine is; what the rate does not.
        let options = ["--ring-size", "1MiB", "--process-rate", "1MiB"];
        let done = beside(&[(kind, 0), (kind, 0)], &deep, &options, &victim);
        let trace = done.trace();
        judge(&trace, "victim.key");
        // This test tests nothing where nothing is withheld; forks and execs have a ring of their own, and no share.
        let withheld: BTreeSet<u16> = trace.suppressed().iter().map(|(_, it)| it.suppressed_kind).collect();
        assert_eq!(withheld, flooded.into_iter().collect(), "{kind}: {}", done.text());
    }
}

/// What a process or a user may have recorded over longer is bounded too: the history is not washed away.
#[test]
fn what_is_beyond_the_rate_is_withheld_and_told_by_process_and_user() {
    let Some(_permit) = alone() else { return };
    let (_keep, dir) = directory();
    let victim = touch(&dir.join("victim.key"));
    for (options, reason) in [
        (["--process-rate", "64KiB", "--user-rate", "0"], SuppressionReason::PROCESS_RATE),
        (["--process-rate", "0", "--user-rate", "128KiB"], SuppressionReason::USER_RATE),
    ] {
        let done =
            beside(&[("failed", OTHER), ("failed", OTHER)], &dir, &[&options[..], &["--tls", "off"]].concat(), &victim);
        let trace = done.trace();
        let withheld = trace.suppressed();
        assert!(!withheld.is_empty() && done.stderr.contains("were withheld"), "{}", done.stderr);
        assert!(
            withheld.iter().all(|(event, it)| event.header.uid == OTHER && it.reason == reason.0),
            "{}",
            withheld.len()
        );
        // Both of them, and each by itself.
        let mut processes: Vec<u32> = withheld.iter().map(|(event, _)| event.header.tgid).collect();
        processes.sort_unstable();
        processes.dedup();
        assert_eq!(processes.len(), 2, "{processes:?}");
        // Recorded and withheld is what was done.
        let recorded = trace.opens().iter().filter(|(event, _)| event.header.uid == OTHER).count();
        let told: u64 = withheld.iter().map(|(_, it)| it.count).sum();
        let calls: u64 = done.text().lines().map(|line| line.parse::<u64>().unwrap()).sum();
        assert_eq!(recorded as u64 + told, calls);
        judge(&trace, "victim.key");
    }
}
