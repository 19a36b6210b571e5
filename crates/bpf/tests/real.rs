//! Which file is really mapped: the answers of the program that is asked, on the running kernel.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::os::fd::AsFd as _;

use crypto_trace_bpf::{FileSelection, LibrarySelection, LoadError, Programs, RingSizes, Selection};

/// Loads the programs that look into libraries; `None` where that is not allowed or not possible, which fails where live tests must run.
fn programs() -> Option<Programs> {
    let selection = Selection {
        self_tgid: std::process::id(),
        only_targets: true,
        files: FileSelection::None,
        libraries: LibrarySelection::None,
        library_calls: Some([1, 2]),
        ..Selection::default()
    };
    let rings = RingSizes { lifecycle_bytes: 1 << 16, events_bytes: 1 << 16 };
    match Programs::load(&selection, rings) {
        Ok(programs) => Some(programs),
        Err(error @ (LoadError::Permission(_) | LoadError::Unsupported { .. })) => {
            let required = std::env::var_os("CRYPTO_TRACE_REQUIRE_LIVE").is_some_and(|value| value == "1");
            assert!(!required, "cannot run here: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Two descriptors of one file are one file, however it was opened and whatever became of its name; all others are not.
#[test]
fn what_is_mapped_tells_files_apart_and_knows_them_again() {
    let Some(programs) = programs() else { return };
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str| {
        let path = directory.join(name);
        std::fs::write(&path, "the same text").unwrap();
        path
    };
    let inode = |file: &File| programs.real_inode(file.as_fd());
    let (a, b) = (write("a"), write("b"));
    let first = File::open(&a).unwrap();
    let known = inode(&first).expect("a file that can be mapped is one that is known");
    assert_ne!(known, 0);

    let linked = directory.join("linked");
    std::fs::hard_link(&a, &linked).unwrap();
    let soft = directory.join("soft");
    std::os::unix::fs::symlink(&a, &soft).unwrap();
    for path in [&a, &linked, &soft] {
        assert_eq!(inode(&File::open(path).unwrap()), Some(known), "{}", path.display());
    }
    assert_ne!(inode(&File::open(&b).unwrap()), Some(known));

    // An upgrade: the name is another file's now, and who has the old one has it still.
    std::fs::rename(&b, &a).unwrap();
    assert_ne!(inode(&File::open(&a).unwrap()), Some(known));
    assert_eq!(inode(&first), Some(known));
    std::fs::remove_file(&linked).unwrap();
    assert_eq!(inode(&first), Some(known), "of a file without a name");

    // What cannot be mapped has no answer, and that is no crash.
    assert_eq!(inode(&File::open(&directory).unwrap()), None);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// The kernel does not answer while another thread changes our mappings; it is asked again.
#[test]
fn what_is_mapped_is_told_while_other_threads_map() {
    let Some(programs) = programs() else { return };
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let known = programs.real_inode(file.as_fd()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                drop(vec![0_u8; 1 << 20]);
            }
        });
        let told = (0..200).filter(|_| programs.real_inode(file.as_fd()) == Some(known)).count();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(told, 200);
    });
}

/// Probes on a file are let go of when nobody has it mapped: whoever has is told by the kernel, however it is mapped.
#[test]
fn whether_anybody_has_a_file_mapped_is_told_of_the_file_itself() {
    let Some(programs) = programs() else { return };
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mapped-{}", std::process::id()));
    std::fs::write(&path, "text").unwrap();
    // As a probe would, this holds the inode.
    let file = File::open(&path).unwrap();
    let inode = programs.real_inode(file.as_fd()).unwrap();
    let told = || programs.mapped(inode).map(|mapped| (mapped.anywhere, mapped.has_name));
    assert_eq!(told(), Some((false, true)), "open is not mapped");
    let child = std::process::Command::new("python3")
        .arg("-c")
        .arg("import mmap, sys; f = open(sys.argv[1]); m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ); print(1, flush=True); sys.stdin.read()")
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut line = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(told().map(|told| told.0), Some(true), "by another process");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(told(), Some((false, true)));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(told(), Some((false, false)));
}
