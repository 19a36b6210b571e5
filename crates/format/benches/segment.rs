//! What a record costs on its way into a segment and out again. Reading is beside bare zstd on the same bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_trace_format::record::{FileOpen, FileOpenFixed, Header, Record, Records};
use crypto_trace_format::segment::*;
use std::hint::black_box;

/// File opens of about 150 bytes, as a busy TLS host has them: few paths, some dozen processes.
fn records() -> Vec<(Header, Vec<u8>)> {
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let mut time_ns = 1_000_000_000_000;
    (0..1700)
        .map(|_| {
            time_ns += 20_000 + random(50_000);
            let tgid = 1000 + random(30) as u32;
            let path = format!("/etc/ssl/certs/site-{:04}.pem", random(300));
            let fixed = FileOpenFixed {
                result: 3 + random(20) as i32,
                flags: 0o2000000,
                dfd: -100,
                dev: 0x10_0003,
                ino: 1_000_000 + random(300),
                inode_mode: 0o100644,
                call: 2,
                tier: 3,
                ..FileOpenFixed::default()
            };
            let header = Header {
                time_ns,
                tgid,
                tid: tgid,
                cpu: random(8) as u16,
                start_ns: u64::from(tgid) * 77_777_777,
                comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
                ..Header::default()
            };
            let mut bytes = Vec::new();
            FileOpen { fixed, path: path.as_bytes(), ..FileOpen::default() }.encode(header, &mut bytes);
            (Record::parse(&bytes).unwrap().header, bytes)
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let records = records();
    let mut block = BlockBuilder::new(BlockType::Events, 1 << 20);
    let mut group = c.benchmark_group("segment");

    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("push, per record", |b| {
        b.iter(|| {
            block.clear();
            for (header, bytes) in &records {
                block.push(black_box(header), black_box(bytes));
            }
            block.record_count()
        });
    });

    let meta = SegmentMeta::default();
    let mut writer = SegmentWriter::create(std::io::sink(), &meta, 1).unwrap();
    group.throughput(Throughput::Bytes(block.len_bytes() as u64));
    group.bench_function("write_block, per raw byte", |b| {
        b.iter(|| writer.write_block(black_box(&block), 0, 0, false).unwrap());
    });
    drop(writer);
    group.bench_function("write_block's share of bare zstd", |b| {
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        b.iter(|| compressor.compress_to_buffer(black_box(block.raw()), &mut out).unwrap());
    });

    let dir = tempfile::tempdir().unwrap();
    let compressed = zstd::bulk::compress(block.raw(), 1).unwrap();
    for name in ["bench.ctseg", "bench.ctseg.open"] {
        let path = dir.path().join(name);
        let mut writer = SegmentWriter::create(std::fs::File::create(&path).unwrap(), &meta, 1).unwrap();
        (0..64).for_each(|_| writer.write_block(&block, 0, 0, false).unwrap());
        writer.finish().unwrap();
        let reader = SegmentReader::open(&path).unwrap();
        let mut buffer = BlockBuffer::default();
        let how = if reader.is_mapped() { "mapped" } else { "pread" };
        let mut index = 0;
        group.bench_function(format!("read_block, {how}, per raw byte"), |b| {
            b.iter(|| {
                index = (index + 1) % 64;
                reader.read_block(index, &mut buffer).unwrap();
                buffer.raw().len()
            });
        });
        group.bench_function(format!("open, {how}, 64 blocks"), |b| b.iter(|| SegmentReader::open(&path).unwrap()));
    }
    group.bench_function("read_block's share of bare zstd", |b| {
        let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        b.iter(|| decompressor.decompress_to_buffer(black_box(&compressed), &mut out).unwrap());
    });
    group.bench_function("walking the records, per raw byte", |b| {
        b.iter(|| {
            Records::new(black_box(block.raw())).map(|record| record.unwrap().header.time_ns).fold(0, u64::wrapping_add)
        });
    });
    group.finish();
    let per_record = compressed.len() as f64 / records.len() as f64;
    assert!(per_record < 40.0, "{per_record} bytes per record");
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(40).warm_up_time(std::time::Duration::from_millis(500)).measurement_time(std::time::Duration::from_secs(2));
    targets = bench
}
criterion_main!(benches);
