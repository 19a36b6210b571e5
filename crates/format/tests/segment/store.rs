//! Files: names, modes, sealing, rotation, retention, and disks that refuse.

use crate::util::*;
use crypto_trace_format::segment::*;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CLOCK: ClockAnchor = ClockAnchor { boottime_ns: 9_000_000_000, realtime_ns: 1_795_411_849_000_000_000 };

fn options() -> StoreOptions {
    StoreOptions { segment_bytes: 1 << 30, ..StoreOptions::default() }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// A block of records that do not compress.
fn noise(seed: u64, records: usize) -> Vec<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..records).map(|i| raw_record(4, i as u64, 7, &(0..1000).map(|_| byte()).collect::<Vec<_>>())).collect()
}

/// In a directory where others may write, one of them renamed the segment and put a file in its place: that was sealed under our name.
#[test]
fn a_segment_in_whose_place_another_file_is_is_not_sealed_under_its_name() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let written = |store: &mut SegmentStore| {
        for (block_type, records) in small_blocks() {
            store.write_block(&block(block_type, &records), 0, 0, false).unwrap();
        }
        store.current_path().unwrap()
    };
    let sealed_as = |open: &Path| open.with_extension("");
    let mut store = SegmentStore::in_directory(dir, meta(), options()).unwrap();
    let open = written(&mut store);
    // Renamed: it is sealed all the same, and what is in its place stays.
    std::fs::rename(&open, dir.join("taken")).unwrap();
    std::fs::write(&open, "theirs").unwrap();
    store.rotate(CLOCK).unwrap();
    let sealed = Some(sealed_as(&open));
    assert_eq!(store.take_swapped(), [Swapped { path: open.clone(), sealed }]);
    assert_eq!(store.take_swapped(), []);
    assert_eq!(std::fs::read_to_string(&open).unwrap(), "theirs");
    assert_eq!(read_file(&sealed_as(&open)).unwrap().records, flatten(&small_blocks()));
    // Removed, and a link in its place: it is gone, and that is told.
    let second = written(&mut store);
    std::fs::remove_file(&second).unwrap();
    std::os::unix::fs::symlink(dir.join("taken"), &second).unwrap();
    store.rotate(CLOCK).unwrap();
    assert_eq!(store.take_swapped(), [Swapped { path: second.clone(), sealed: None }]);
    assert!(!sealed_as(&second).exists() && second.is_symlink());
    // The last one too.
    let third = written(&mut store);
    std::fs::remove_file(&third).unwrap();
    std::fs::write(&third, "theirs").unwrap();
    let mut swapped = Vec::new();
    assert_eq!(store.seal_and_tell(&mut swapped, &mut Vec::new()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(swapped, [Swapped { path: third.clone(), sealed: None }]);
    assert_eq!(std::fs::read_to_string(&third).unwrap(), "theirs");
    assert!(!sealed_as(&third).exists());
}

#[test]
fn a_segment_is_open_while_written_and_renamed_when_sealed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("captures/today");
    let mut store = SegmentStore::in_directory(&dir, meta(), options()).unwrap();
    assert_eq!(names(&dir), ["web1-20261123T053045Z-30313233-000000.ctseg.open"]);
    let open = store.current_path().unwrap();
    // The umask may take away more.
    assert_eq!((mode(&dir) & !0o750, mode(&open) & !0o640), (0, 0));
    assert_eq!((mode(&dir) & 0o700, mode(&open) & 0o600), (0o700, 0o600));
    for (block_type, records) in small_blocks() {
        store.write_block(&block(block_type, &records), 0, 0, false).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(read_file(&open).unwrap().records, flatten(&small_blocks()), "readable before it is sealed");
    let (totals, segments) = store.seal().unwrap();
    assert_eq!((totals.records, segments), (8, 1));
    assert_eq!(names(&dir), ["web1-20261123T053045Z-30313233-000000.ctseg"]);
    let sealed = dir.join(&names(&dir)[0]);
    assert_eq!(totals.file_bytes, std::fs::metadata(&sealed).unwrap().len());
    assert_eq!(read_file(&sealed).unwrap().faults, []);
}

#[test]
fn rotation_seals_and_numbers_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut store =
        SegmentStore::in_directory(temp.path(), meta(), StoreOptions { segment_bytes: 4000, ..options() }).unwrap();
    assert!(!store.should_rotate());
    store.write_block(&block(BlockType::Events, &noise(1, 4)), 0, 0, false).unwrap();
    assert!(store.should_rotate());
    store.rotate(CLOCK).unwrap();
    assert!(!store.should_rotate());
    store.write_block(&block(BlockType::Events, &noise(2, 1)), 0, 0, false).unwrap();
    assert_eq!((store.totals().records, store.segments()), (5, 2));
    let (totals, segments) = store.seal().unwrap();
    assert_eq!((totals.records, totals.blocks, segments), (5, 2, 2));
    let names = names(temp.path());
    assert_eq!(names, ["web1-20261123T053045Z-30313233-000000.ctseg", "web1-20261123T053049Z-30313233-000001.ctseg"]);
    let second = SegmentReader::open(&temp.path().join(&names[1])).unwrap();
    assert_eq!((second.meta().sequence, second.meta().clock), (1, CLOCK));
    assert_eq!(second.blocks()[0].header.first_record, 0, "numbers are per segment");
}

#[test]
fn age_rotates() {
    let temp = tempfile::tempdir().unwrap();
    let options = StoreOptions { segment_age: Some(Duration::ZERO), ..options() };
    assert!(SegmentStore::in_directory(temp.path(), meta(), options).unwrap().should_rotate());
}

/// A sealed segment of an earlier capture, last written `age` seconds ago.
fn earlier(dir: &Path, number: u64, age: u64, bytes: usize) -> String {
    let name = format!("web1-20250101T00000{number}Z-0badcafe-{number:06}.ctseg");
    let path = dir.join(&name);
    std::fs::write(&path, vec![0; bytes]).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
    name
}

#[test]
fn retention_deletes_the_oldest_of_ours_and_nothing_else() {
    let keep_two = StoreOptions { retain_segments: Some(2), ..options() };
    let few_bytes = StoreOptions { retain_bytes: Some(25_000), ..options() };
    let young = StoreOptions { retain_age: Some(Duration::from_secs(150)), ..options() };
    let nothing = StoreOptions { retain_bytes: Some(0), ..options() };
    for (options, left) in [(keep_two, 1), (few_bytes, 2), (young, 1), (nothing, 0), (options(), 4)] {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let sealed = [(1, 400), (2, 300), (3, 200), (4, 100)].map(|(number, age)| earlier(dir, number, age, 10_000));
        let others = ["a.ctseg", "notes.txt", "web1-20250101T000000Z-0badcafe-000009.ctseg.open"];
        others.iter().for_each(|name| std::fs::write(dir.join(name), [0; 10_000]).unwrap());
        let mut store = SegmentStore::in_directory(dir, meta(), options.clone()).unwrap();
        store.rotate(CLOCK).unwrap();
        let gone: Vec<PathBuf> = sealed[..4 - left].iter().map(|name| dir.join(name)).collect();
        assert_eq!(store.take_deleted(), gone, "{options:?}");
        assert_eq!(store.take_deleted(), Vec::<PathBuf>::new());
        let names = names(dir);
        assert!(others.iter().all(|name| names.iter().any(|other| other == name)), "{names:?}");
        assert!(sealed[4 - left..].iter().all(|name| names.contains(name)), "{names:?}");
        // The segment just sealed outlives any limit.
        assert!(names.contains(&"web1-20261123T053045Z-30313233-000000.ctseg".to_owned()), "{names:?}");
        assert_eq!(names.len(), left + others.len() + 2, "{names:?}");
    }
}

/// A flood pushed out in minutes what was recorded before it.
#[test]
fn how_near_young_segments_are_to_being_deleted_is_told() {
    let protect = |bytes, age| StoreOptions {
        retain_bytes: Some(bytes),
        retain_min_age: Some(Duration::from_secs(age)),
        segment_bytes: 10_000,
        ..options()
    };
    let old = StoreOptions { retain_bytes: Some(1), ..options() };
    // Of four segments of 10,000 bytes, and the one that is being written.
    for (options, expected) in [
        (protect(110_000, 1_000), Pressure::None),
        (protect(100_000, 1_000), Pressure::Half),
        (protect(60_000, 1_000), Pressure::High),
        (protect(50_000, 1_000), Pressure::Over),
        // Two of them are young.
        (protect(60_000, 250), Pressure::Half),
        (protect(61_000, 250), Pressure::None),
        (old, Pressure::None),
    ] {
        let temp = tempfile::tempdir().unwrap();
        for (number, age) in [(1, 400), (2, 300), (3, 200), (4, 100)] {
            earlier(temp.path(), number, age, 10_000);
        }
        let keeping = SegmentStore::in_directory(temp.path(), meta(), options.clone()).unwrap();
        assert_eq!(keeping.pressure(), expected, "{options:?}");
    }
}

#[test]
fn retention_does_not_follow_or_delete_symlinks_and_directories() {
    let temp = tempfile::tempdir().unwrap();
    let link = temp.path().join("web1-20250101T000001Z-0badcafe-000001.ctseg");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let directory = temp.path().join("web1-20250101T000001Z-0badcafe-000002.ctseg");
    std::fs::create_dir(&directory).unwrap();
    let mut store =
        SegmentStore::in_directory(temp.path(), meta(), StoreOptions { retain_bytes: Some(0), ..options() }).unwrap();
    store.rotate(CLOCK).unwrap();
    assert_eq!(store.take_deleted(), Vec::<PathBuf>::new());
    assert!(link.is_symlink() && directory.is_dir());
}

#[test]
fn a_single_file_appears_when_sealed_and_does_not_rotate() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("capture");
    let options = StoreOptions { segment_bytes: 1, segment_age: Some(Duration::ZERO), ..options() };
    let mut store = SegmentStore::single_file(&path, meta(), options).unwrap();
    store.write_block(&block(BlockType::Events, &noise(1, 4)), 0, 0, false).unwrap();
    assert!(!store.should_rotate());
    store.rotate(CLOCK).unwrap();
    store.write_block(&block(BlockType::Events, &noise(2, 4)), 0, 0, false).unwrap();
    assert_eq!(names(temp.path()), ["capture.open"]);
    assert_eq!(store.seal().unwrap().0.records, 8);
    assert_eq!(names(temp.path()), ["capture"]);
    assert_eq!(read_file(&path).unwrap().faults, []);
}

#[test]
fn nothing_that_exists_is_overwritten_or_followed() {
    let temp = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let error = SegmentStore::single_file(&temp.path().join(name), meta(), options()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}");
        assert!(error.to_string().contains("already exists"), "{error}");
    };
    std::fs::write(temp.path().join("file"), "precious").unwrap();
    refused("file");
    std::os::unix::fs::symlink("/nonexistent/target", temp.path().join("link")).unwrap();
    refused("link");
    let victim = temp.path().join("victim");
    std::os::unix::fs::symlink(&victim, temp.path().join("capture.open")).unwrap();
    refused("capture");
    assert!(!victim.exists());
    // In a directory as well.
    let planted = temp.path().join("web1-20261123T053045Z-30313233-000000.ctseg.open");
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    let error = SegmentStore::in_directory(temp.path(), meta(), options()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(!victim.exists());
    assert_eq!(std::fs::read(temp.path().join("file")).unwrap(), b"precious");
}

#[test]
fn a_name_taken_while_writing_is_not_overwritten_at_sealing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("capture");
    let mut store = SegmentStore::single_file(&path, meta(), options()).unwrap();
    store.write_block(&block(BlockType::Events, &noise(1, 1)), 0, 0, false).unwrap();
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(store.seal().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let open = read_file(&temp.path().join("capture.open")).unwrap();
    assert_eq!((open.records, open.faults), (noise(1, 1), vec![]));
}

#[test]
fn a_rotation_that_cannot_seal_goes_on_in_the_same_segment() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::in_directory(temp.path(), meta(), options()).unwrap();
    store.write_block(&block(BlockType::Events, &noise(1, 3)), 0, 0, false).unwrap();
    let taken = temp.path().join("web1-20261123T053045Z-30313233-000000.ctseg");
    std::fs::write(&taken, "in the way").unwrap();
    assert_eq!(store.rotate(CLOCK).unwrap_err().kind(), ErrorKind::AlreadyExists);
    store.write_block(&block(BlockType::Events, &noise(2, 3)), 0, 0, false).unwrap();
    let expected = [noise(1, 3), noise(2, 3)].concat();
    assert_eq!(read_file(&store.current_path().unwrap()).unwrap().records, expected);
    std::fs::remove_file(&taken).unwrap();
    store.rotate(CLOCK).unwrap();
    let outcome = read_file(&taken).unwrap();
    assert_eq!((outcome.records, outcome.faults), (expected, vec![]));
}

#[test]
fn a_rotation_that_cannot_create_the_next_segment_can_be_tried_again() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = SegmentStore::in_directory(temp.path(), meta(), options()).unwrap();
    store.write_block(&block(BlockType::Events, &noise(1, 3)), 0, 0, false).unwrap();
    let in_the_way = temp.path().join("web1-20261123T053049Z-30313233-000001.ctseg.open");
    std::fs::write(&in_the_way, "").unwrap();
    for _ in 0..2 {
        assert_eq!(store.rotate(CLOCK).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(store.should_rotate());
        assert_eq!(store.current_path(), None);
        assert!(store.write_block(&block(BlockType::Events, &noise(2, 3)), 0, 0, false).is_err());
    }
    assert_eq!((store.totals().records, store.segments()), (3, 1));
    std::fs::remove_file(&in_the_way).unwrap();
    store.rotate(CLOCK).unwrap();
    store.write_block(&block(BlockType::Events, &noise(2, 3)), 0, 0, false).unwrap();
    let (totals, segments) = store.seal().unwrap();
    assert_eq!((totals.records, segments), (6, 2));
    assert_eq!(names(temp.path()).len(), 2);
}

/// Set for the tests below that run in a child process, with the directory to use.
const CHILD_DIR: &str = "CRYPTO_TRACE_TEST_DIR";

/// Says that the running test cannot run here, as the live tests do (tests/src/live.rs).
fn skip(reason: &str) {
    use std::io::Write as _;
    let required = std::env::var_os("CRYPTO_TRACE_REQUIRE_LIVE").is_some_and(|value| value == "1");
    assert!(!required, "cannot run here, and CRYPTO_TRACE_REQUIRE_LIVE is set: {reason}");
    let line = format!("{}: {reason}\n", std::thread::current().name().unwrap_or("unnamed"));
    if let Some(path) = std::env::var_os("CRYPTO_TRACE_SKIPPED_FILE") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    eprint!("SKIPPED: {line}");
}

/// Runs the ignored test `name` in a child process started by the shell commands `setup`, which see `$DIR`.
fn run_child(name: &str, shell: &[&str], setup: &str, dir: &Path) -> std::process::Output {
    let script = format!("{setup}\nexec \"$0\" --exact {name} --ignored --nocapture");
    let (program, arguments) = shell.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .args(["sh", "-ec", &script])
        .arg(std::env::current_exe().unwrap())
        .env("DIR", dir)
        .env(CHILD_DIR, dir)
        .output()
        .unwrap()
}

/// Writes until the disk is full; then makes room with `relief`, and expects to go on as if nothing had happened.
fn fill_and_recover(dir: &Path, relief: impl FnOnce(&SegmentStore)) {
    let mut store = SegmentStore::in_directory(dir, meta(), options()).unwrap();
    let mut written = Vec::new();
    let refused = loop {
        let records = noise(written.len() as u64, 8);
        match store.write_block(&block(BlockType::Events, &records), 0, 0, false) {
            Ok(()) => written.extend(records),
            Err(error) => {
                eprintln!("refused: {error}");
                break records;
            }
        }
        assert!(written.len() < 10_000, "the disk is never full");
    };
    assert!(written.len() >= 8);
    let open = store.current_path().unwrap();
    for _ in 0..3 {
        store.write_block(&block(BlockType::Events, &refused), 0, 0, false).unwrap_err();
        let outcome = read_file(&open).unwrap();
        assert_eq!((outcome.records.len(), outcome.faults), (written.len(), vec![]), "cut back to whole blocks");
    }
    // Fill the rest, so that there is no room for the footer either.
    let mut rest = 4096;
    while rest > 0 {
        let small = vec![raw_record(4, 1, 7, &noise(rest as u64, 1)[0][64..64 + rest / 8])];
        match store.write_block(&block(BlockType::Events, &small), 0, 0, false) {
            Ok(()) => written.extend(small),
            Err(_) => rest /= 2,
        }
    }
    store.rotate(CLOCK).unwrap_err();
    let outcome = read_file(&open).unwrap();
    assert_eq!((outcome.records.len(), outcome.faults), (written.len(), vec![]), "readable without a footer");

    relief(&store);
    store.write_block(&block(BlockType::Events, &refused), 0, 0, false).unwrap();
    written.extend(refused);
    let (totals, segments) = store.seal().unwrap();
    assert_eq!((totals.records as usize, segments), (written.len(), 1));
    let outcome = read_file(&open.with_extension("")).unwrap();
    assert_eq!((outcome.records, outcome.faults), (written, vec![]));
}

#[test]
fn a_full_disk_loses_nothing_that_was_written() {
    let temp = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=300k,mode=700 none \"$DIR\"; head -c 64k /dev/zero >\"$DIR/ballast\"";
    // A mount namespace of its own: the mount is gone with the process. As a user: with a user namespace around it.
    let output = [&["unshare", "-m"][..], &["unshare", "-Urm"]].into_iter().find_map(|shell| {
        let probe = [shell, &["sh", "-c", "mount -t tmpfs none \"$0\""]].concat();
        let can = Command::new(probe[0]).args(&probe[1..]).arg(temp.path()).output();
        can.is_ok_and(|output| output.status.success())
            .then(|| run_child("store::child_full_disk", shell, mount, temp.path()))
    });
    let Some(output) = output else {
        return skip("cannot mount a tmpfs here (needs root or user namespaces)");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "it was another limit");
    assert_eq!(names(temp.path()), Vec::<String>::new(), "the mount is gone");
}

#[test]
#[ignore = "run by a_full_disk_loses_nothing_that_was_written"]
fn child_full_disk() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else {
        return eprintln!("only makes sense as a child of the test that is named as the reason to ignore it");
    };
    fill_and_recover(&dir, |_| std::fs::remove_file(dir.join("ballast")).unwrap());
}

#[test]
fn a_file_size_limit_loses_nothing_that_was_written() {
    let temp = tempfile::tempdir().unwrap();
    // 512-byte units in POSIX, 1024 in some shells: 100 KiB or 200 KiB.
    let limit = "trap '' XFSZ; ulimit -Sf 200";
    let output = run_child("store::child_size_limit", &["env"], limit, temp.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("File too large"), "it was another limit");
}

#[test]
#[ignore = "run by a_file_size_limit_loses_nothing_that_was_written"]
fn child_size_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else {
        return eprintln!("only makes sense as a child of the test that is named as the reason to ignore it");
    };
    fill_and_recover(&dir, |_| {
        let limit = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: limit.maximum, ..limit }).unwrap();
    });
}

#[test]
fn each_rotation_applies_retention() {
    let temp = tempfile::tempdir().unwrap();
    let mut store =
        SegmentStore::in_directory(temp.path(), meta(), StoreOptions { retain_segments: Some(1), ..options() })
            .unwrap();
    for number in 1..4 {
        store.write_block(&block(BlockType::Events, &noise(number, 2)), 0, 0, false).unwrap();
        store.rotate(CLOCK).unwrap();
        assert_eq!(names(temp.path()).len(), 2, "one sealed, one open");
    }
    assert_eq!(store.take_deleted().len(), 2);
    assert_eq!(store.totals().records, 6, "deleted segments were written all the same");
}
