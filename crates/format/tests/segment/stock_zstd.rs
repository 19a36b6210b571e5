//! The stock zstd tool reads a segment as what it is: a zstd file of records.

use crate::util::*;
use crypto_trace_format::segment::BlockType;
use std::path::Path;
use std::process::{Command, Output};

fn zstd(arguments: &[&str], path: &Path) -> Output {
    Command::new("zstd")
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("cannot run zstd (install the package `zstd`): {error}"))
}

#[test]
fn zstd_tests_and_decompresses_a_segment_to_its_records() {
    let many = (0..3000).map(|i| open_record(i, i as u32 % 700, format!("/etc/ssl/{i}.pem").as_bytes())).collect();
    let blocks = [small_blocks(), vec![(BlockType::Events, many), (BlockType::Events, vec![])]].concat();
    for (name, seal) in [("a.ctseg", true), ("a.ctseg.open", false)] {
        let file = temp_file(name, &write_segment(&meta(), &blocks, seal));
        let as_zst = file.path.with_extension("zst");
        std::fs::rename(&file.path, &as_zst).unwrap();
        let tested = zstd(&["-t", "-q"], &as_zst);
        assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
        let decompressed = zstd(&["-dc", "-q"], &as_zst);
        assert!(decompressed.status.success(), "{}", String::from_utf8_lossy(&decompressed.stderr));
        assert_eq!(decompressed.stdout, flatten(&blocks).concat());
        // By its own name, too.
        std::fs::rename(&as_zst, &file.path).unwrap();
        assert_eq!(zstd(&["-dc", "-q"], &file.path).stdout, flatten(&blocks).concat());
    }
}
