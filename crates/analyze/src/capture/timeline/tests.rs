//! Timelines from records, as a capture would write them.

use super::*;
use crypto_trace_format::record::{
    ProcessExec, ProcessExecFixed, ProcessExit, ProcessFork, ProcessForkFixed, ProcessInfo, ProcessInfoFixed, Records,
};

#[derive(Default)]
struct Log(Vec<u8>);

fn comm(name: &str) -> Comm {
    let mut comm = [0; 16];
    comm.iter_mut().zip(name.bytes().take(15)).for_each(|(to, from)| *to = from);
    comm
}

fn header(tgid: u32, start_ns: u64, time_ns: u64, name: &str) -> Header {
    Header { tgid, tid: tgid, start_ns, time_ns, comm: comm(name), ..Header::default() }
}

impl Log {
    fn exec(mut self, (tgid, start): (u32, u64), time: u64, exe: &str, parent: (u32, u64)) -> Self {
        let fixed = ProcessExecFixed { ppid: parent.0, parent_start_ns: parent.1, ..Default::default() };
        let name = exe.rsplit('/').next().unwrap_or_default();
        let argv = format!("{name}\0-x\0");
        ProcessExec { fixed, exe: exe.as_bytes(), argv: argv.as_bytes(), ..Default::default() }
            .encode(header(tgid, start, time, name), &mut self.0);
        self
    }

    fn fork(mut self, (tgid, start): (u32, u64), name: &str, parent: (u32, u64)) -> Self {
        let fixed = ProcessForkFixed { ppid: parent.0, parent_start_ns: parent.1, ..Default::default() };
        ProcessFork { fixed, ..Default::default() }.encode(header(tgid, start, start, name), &mut self.0);
        self
    }

    fn info(mut self, (tgid, tick): (u32, u64), time: u64, exe: &str, ppid: u32) -> Self {
        let fixed = ProcessInfoFixed { ppid, ..Default::default() };
        let name = exe.rsplit('/').next().unwrap_or_default();
        let header = Header { flags: flags::START_IS_TICK | flags::FROM_PROC, ..header(tgid, tick, time, name) };
        let argv = format!("{name}\0-x\0");
        ProcessInfo { fixed, exe: exe.as_bytes(), argv: argv.as_bytes(), ..Default::default() }
            .encode(header, &mut self.0);
        self
    }

    fn exit(mut self, (tgid, start): (u32, u64), time: u64) -> Self {
        ProcessExit::default().encode(header(tgid, start, time, ""), &mut self.0);
        self
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::default();
        for record in Records::new(&self.0) {
            timeline.apply(&record.expect("well formed")).expect("well formed");
        }
        timeline
    }
}

/// Checks exe and parent's comm of `process` at `time`; "-" is unknown.
fn check(log: &Log, (tgid, start): (u32, u64), time: u64, exe: &str, parent: &str) {
    let timeline = log.timeline();
    let identity = timeline.identity(timeline.image(&header(tgid, start, time, "")));
    let text = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!((text(identity.exe), text(identity.parent)), (exe.to_owned(), parent.to_owned()), "{tgid} at {time}");
}

const MS: u64 = 1_000_000;

#[test]
fn a_child_runs_its_parents_image_until_it_execs() {
    let log = Log::default()
        .exec((1, 0), 5, "/sbin/init", (0, 0))
        .fork((20, 100), "init", (1, 0))
        .exec((20, 100), 200, "/bin/sh", (1, 0))
        .exec((20, 100), 300, "/usr/bin/openssl", (1, 0));
    check(&log, (20, 100), 150, "/sbin/init", "init");
    check(&log, (20, 100), 200, "/bin/sh", "init");
    check(&log, (20, 100), 299, "/bin/sh", "init");
    check(&log, (20, 100), 9_000, "/usr/bin/openssl", "init");
    check(&log, (20, 101), 150, "-", "-");
}

/// A parent that renamed itself by prctl(2) was told by what it had run: its child had the new name from the start.
#[test]
fn the_parents_name_is_the_one_it_had_at_the_fork() {
    let log = Log::default()
        .exec((1, 0), 5, "/sbin/init", (0, 0))
        .fork((20, 100), "renamed", (1, 0))
        .exec((20, 100), 200, "/bin/sh", (1, 0))
        .fork((21, 300), "sh", (20, 100))
        // An orphan: what took it in did not fork it.
        .exec((21, 300), 400, "/bin/cat", (1, 0));
    check(&log, (20, 100), 150, "/sbin/init", "renamed");
    check(&log, (20, 100), 250, "/bin/sh", "renamed");
    check(&log, (21, 300), 350, "/bin/sh", "sh");
    check(&log, (21, 300), 450, "/bin/cat", "init");
}

#[test]
fn a_reused_pid_is_another_process() {
    let log = Log::default().exec((7, 1_000), 1_000, "/bin/a", (1, 5)).exit((7, 1_000), 2_000).exec(
        (7, 3_000),
        3_000,
        "/bin/b",
        (1, 5),
    );
    check(&log, (7, 1_000), 1_500, "/bin/a", "-");
    check(&log, (7, 3_000), 3_500, "/bin/b", "-");
    let timeline = log.timeline();
    let first = timeline.process(&header(7, 1_000, 0, "")).expect("known");
    assert_eq!(timeline.exit_ns(first), Some(2_000));
}

#[test]
fn a_tick_start_is_the_process_that_started_within_that_tick() {
    let log = Log::default().info((9, 50 * MS), 900 * MS, "/usr/sbin/nginx", 1).info((1, 0), 900 * MS, "/sbin/init", 0);
    check(&log, (9, 50 * MS + 123), 100 * MS, "/usr/sbin/nginx", "init");
    check(&log, (9, 60 * MS), 100 * MS, "-", "-");

    // The table of a later segment repeats a process known exactly.
    let log = Log::default()
        .exec((9, 50 * MS + 123), 60 * MS, "/bin/sh", (1, 5))
        .info((9, 50 * MS), 900 * MS, "/bin/sh", 1)
        .info((9, 50 * MS), 950 * MS, "/bin/missed", 1);
    check(&log, (9, 50 * MS + 123), 70 * MS, "/bin/sh", "-");
    check(&log, (9, 50 * MS + 123), 990 * MS, "/bin/missed", "-");
    assert_eq!(log.timeline().images.len(), 2);
}

#[test]
fn exact_starts_within_one_tick_are_different_processes() {
    let log = Log::default().exec((9, 100), 100, "/bin/a", (1, 5)).exec((9, 200), 200, "/bin/b", (1, 5));
    check(&log, (9, 100), 900, "/bin/a", "-");
    check(&log, (9, 200), 900, "/bin/b", "-");
    check(&log, (9, 300), 900, "-", "-");
}

#[test]
fn a_fork_before_its_parents_process_info_inherits_all_the_same() {
    let log = Log::default()
        .fork((30, 500 * MS), "nginx", (10, 20 * MS + 7))
        .fork((31, 501 * MS), "worker", (30, 500 * MS))
        .info((10, 20 * MS), 600 * MS, "/usr/sbin/nginx", 1);
    check(&log, (30, 500 * MS), 510 * MS, "/usr/sbin/nginx", "nginx");
    check(&log, (31, 501 * MS), 510 * MS, "/usr/sbin/nginx", "worker");
}

#[test]
fn a_parent_that_execs_after_the_fork_has_the_name_it_had_then() {
    // sh -c 'child & exec other'
    let log = Log::default()
        .exec((30, 500 * MS), 500 * MS, "/bin/sh", (1, 5))
        .fork((31, 510 * MS), "sh", (30, 500 * MS))
        .exec((30, 500 * MS), 520 * MS, "/bin/other", (1, 5))
        .exec((31, 510 * MS), 530 * MS, "/bin/child", (30, 500 * MS));
    check(&log, (31, 510 * MS), 515 * MS, "/bin/sh", "sh");
    check(&log, (31, 510 * MS), 540 * MS, "/bin/child", "sh");
}

#[test]
fn families_that_cannot_be_end() {
    let log = Log::default().fork((5, 10), "a", (6, 20)).fork((6, 20), "b", (5, 10)).fork((7, 1), "self", (7, 1));
    check(&log, (5, 10), 50, "-", "a");
    check(&log, (6, 20), 50, "-", "b");
    check(&log, (7, 1), 50, "-", "-");
}

#[test]
fn the_cache_says_what_the_timeline_says() {
    let log = Log::default()
        .exec((1, 0), 5, "/sbin/init", (0, 0))
        .fork((257, 100), "init", (1, 0))
        .exec((257, 100), 200, "/bin/sh", (1, 0))
        .exec((257, 100), 200, "/bin/again", (1, 0))
        .exec((257, 100), 300, "/usr/bin/openssl", (1, 0))
        .info((9, 50 * MS), 900 * MS, "/usr/sbin/nginx", 1);
    let timeline = log.timeline();
    let mut cache = ImageCache::new(&timeline);
    for time in [250, 0, 4, 5, 99, 100, 150, 199, 200, 201, 299, 300, 301, u64::MAX, 10, 250] {
        for (tgid, start) in [(1, 0), (257, 100), (257, 101), (9, 50 * MS), (9, 51 * MS)] {
            for flags in [0, flags::START_IS_TICK] {
                let header = Header { flags, ..header(tgid, start, time, "") };
                assert_eq!(cache.image(&header), timeline.image(&header), "{tgid} {start} at {time}");
            }
        }
    }
}

#[test]
fn retired_processes_are_gone_and_the_others_as_before() {
    let log = Log::default()
        .fork((30, 500 * MS), "nginx", (10, 20 * MS + 7))
        .info((10, 20 * MS), 600 * MS, "/usr/sbin/nginx", 1)
        .exec((40, 700 * MS), 700 * MS, "/bin/sh", (10, 20 * MS + 7))
        .exec((41, 710 * MS), 710 * MS, "/bin/cat", (40, 700 * MS))
        .exec((50, 720 * MS), 720 * MS, "/bin/gone", (1, 1))
        .exit((40, 700 * MS), 800 * MS)
        .exit((50, 720 * MS), 800 * MS)
        .exec((50, 900 * MS), 900 * MS, "/bin/reused", (41, 710 * MS));
    let before = log.timeline();
    let mut timeline = log.timeline();
    timeline.retire(850 * MS);
    assert!(timeline.len() < before.len());
    for (tgid, start) in [(30, 500 * MS), (10, 20 * MS + 7), (40, 700 * MS), (41, 710 * MS), (50, 900 * MS)] {
        for time in [start, 650 * MS, 990 * MS] {
            let header = header(tgid, start, time, "");
            let (old, new) = (before.image(&header), timeline.image(&header));
            assert_eq!(timeline.identity(new), before.identity(old), "{tgid} at {time}");
            assert_eq!(timeline.comm(new), before.comm(old));
        }
    }
    assert_eq!(timeline.process(&header(50, 720 * MS, 730 * MS, "")), None);
}

#[test]
fn limits_hold_and_are_told() {
    let mut timeline = Timeline::new(Limits { processes: 2, string_bytes: 100 });
    let log = (0..10).fold(Log::default(), |log, i| log.exec((i, 5), 10, "/bin/a", (0, 0)));
    for record in Records::new(&log.0) {
        timeline.apply(&record.expect("well formed")).expect("well formed");
    }
    assert!(timeline.refused() >= 8);
    assert!(timeline.processes.len() <= 2);
}
