//! Throughput of the analyzer on one thread, over a generated capture of 1,000,000 events (`common::busy_host`: 200
//! processes, 2,000 files, one event per microsecond, 256 KiB blocks, zstd level 1).
//!
//! `decode` reads every block and decodes every body; `summary` and `json_stream` are the whole pipelines, from opened
//! files to bytes (thrown away).
#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_trace_analyze::count::totals::Totals;
use crypto_trace_analyze::event::RenderOptions;
use crypto_trace_analyze::format::JsonStream;
use crypto_trace_analyze::read::faults::FaultLog;
use crypto_trace_analyze::read::input;
use crypto_trace_analyze::read::{Fold, OrderedOutput, Plan, TextSink, Wanted, read_captures, read_handshakes};
use crypto_trace_analyze::select::Filter;
use crypto_trace_format::record::FileOpen;
use crypto_trace_format::segment::BlockBuffer;
use std::hint::black_box;
use std::io::Write;

const EVENTS: usize = 1_000_000;

/// Counts bytes and throws them away.
struct Sink(u64);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn throughput(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench.ctseg");
    common::write_segment(&path, &common::meta("bench", 1, 0), &common::busy_host(EVENTS, 200, 2_000), u32::MAX);
    let inputs = input::open(&[path], input::Choice::default()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let filter = Filter::default();

    let mut group = criterion.benchmark_group("analyze");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    group.bench_function("decompress", |bencher| {
        let mut buffer = BlockBuffer::default();
        bencher.iter(|| {
            let reader = &inputs.segments[0].reader;
            for block in 0..reader.blocks().len() {
                reader.read_block(block, &mut buffer).unwrap();
                black_box(buffer.raw());
            }
        });
    });
    group.bench_function("decode", |bencher| {
        let mut buffer = BlockBuffer::default();
        bencher.iter(|| {
            let reader = &inputs.segments[0].reader;
            for block in 0..reader.blocks().len() {
                reader.read_block(block, &mut buffer).unwrap();
                for record in buffer.records().flatten() {
                    black_box(FileOpen::decode(&record).ok());
                }
            }
        });
    });
    group.bench_function("summary", |bencher| {
        bencher.iter(|| {
            pool.install(|| {
                let mut faults = FaultLog::default();
                let mut captures = read_captures(&inputs, &mut faults);
                read_handshakes(&inputs, &mut captures, Wanted::All);
                let plan = Plan::new(&inputs, &captures, &filter);
                let mut totals = Totals::default();
                totals.read(&plan, &mut faults).unwrap();
                totals
            })
        });
    });
    group.bench_function("json_stream", |bencher| {
        bencher.iter(|| {
            pool.install(|| {
                let mut faults = FaultLog::default();
                let mut captures = read_captures(&inputs, &mut faults);
                read_handshakes(&inputs, &mut captures, Wanted::All);
                let plan = Plan::new(&inputs, &captures, &filter);
                let mut output =
                    OrderedOutput::new(TextSink::new(&JsonStream, RenderOptions { redact: true }, Sink(0)).unwrap());
                output.read(&plan, &mut faults).unwrap();
                output.into_sink().finish().unwrap();
            })
        });
    });
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
