//! `snapshot`: who has crypto libraries mapped and crypto files open, from /proc. Needs no privileges and no eBPF.
//!
//! What was found is a recording of one moment, so that it is archived, compared and rendered as recordings are.

use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use crypto_trace_bpf::ArgvSelection;
use crypto_trace_format::record::{ClockReason, Record, Records};
use crypto_trace_format::segment::{BlockBuilder, BlockType, SegmentMeta, SegmentStore, SegmentWriter, StoreOptions};

use crate::args::SnapshotArgs;
use crate::clock::{self, boottime_ns, read_anchor};
use crate::exit::Failure;
use crate::libraries;
use crate::out::output;
use crate::out::renderer::{RendererCommand, user_behind_sudo};
use crate::out::writer::in_blocks;
use crate::proc::certificates::{self, Found};
use crate::proc::entry::Entry;
use crate::proc::host::segment_meta;
use crate::proc::table::{Table, TableFilter};
use crate::proc::tally::Tally;
use crate::say;
use crate::session::filter::RecordFilter;
use crate::session::signals::Signals;

/// zstd level: once and for all, so it may take its time.
const COMPRESSION_LEVEL: i32 = 3;

/// Runs `snapshot`. Returns the exit code.
///
/// # Errors
/// [`Failure`] with the exit code that belongs to it.
pub fn run(args: &SnapshotArgs) -> Result<u8, Failure> {
    args.validate()?;
    if !Path::new("/proc/self").exists() {
        return Err(anyhow::anyhow!("/proc cannot be read: mount it (mount -t proc proc /proc)").into());
    }
    let signals = Signals::install().context("cannot install signal handlers")?;
    let output = args.output.as_deref();
    let renderer = if args.is_recording() { None } else { Some(RendererCommand::new(args.renderer(), output)?) };
    let (meta, blocks, tally) = look(args)?;
    match (renderer, output) {
        (Some(renderer), _) => {
            let (renderer, pipe) = renderer.start()?;
            // An analyzer that fails says why, and its end is looked at below.
            let _ = write(BufWriter::new(pipe), &meta, &blocks);
            renderer.finish(&signals, true)?;
        }
        (None, Some(path)) => {
            let saved = if args.force { replace(path, meta, &blocks) } else { save(path, meta, &blocks) };
            saved.with_context(|| format!("cannot write to {}", path.display()))?;
            if !args.quiet {
                tell_partial(tally);
            }
        }
        (None, None) => {}
    }
    Ok(0)
}

/// Looks at /proc.
fn look(args: &SnapshotArgs) -> Result<(SegmentMeta, Vec<BlockBuilder>, Tally), Failure> {
    let (started, began_ns) = (Instant::now(), boottime_ns());
    args.pid.iter().try_for_each(|pid| check_pid(*pid))?;
    let filter = TableFilter {
        targets: None,
        pids: args.pid.clone(),
        names: args.name.clone(),
        uids: args.uid.clone(),
        cgroups: Vec::new(),
        self_tgid: std::process::id(),
        gate: None,
        libraries: args.file.is_empty() || !args.library.is_empty(),
        files: args.library.is_empty() || !args.file.is_empty(),
        by_globs: !args.file.is_empty(),
        records: RecordFilter::new(&args.file, &args.library).map_err(anyhow::Error::from)?,
        argv: ArgvSelection::Full,
    };
    let mut table = Table::default();
    filter.encode_at_once(&mut table, usize::MAX);
    let (anchor, error_ns) = read_anchor();
    let mut lifecycle = Vec::new();
    clock::encode(anchor, error_ns, ClockReason::START, &mut lifecycle);
    lifecycle.append(&mut table.lifecycle);
    if filter.libraries {
        let (mut libraries, loads) = libraries::look_once(&lifecycle, args.verbose)?;
        lifecycle.append(&mut libraries);
        let is_kept = |record: &Record<'_>| filter.records.keeps(record);
        let kept = Records::new(&loads).flatten().filter(is_kept);
        kept.for_each(|record| table.events.extend_from_slice(record.bytes()));
    }
    if let Some(named) = &args.certificates {
        let found = certificates::encode(named, &table.events, &mut lifecycle);
        if !args.quiet {
            tell_certificates(found);
        }
    }
    table.tally.encode(began_ns, &mut lifecycle);
    if args.verbose {
        let Tally { processes, vanished, .. } = table.tally;
        let took = started.elapsed().as_secs_f64() * 1e3;
        say::info(&format!("{processes} processes looked at in {took:.0} ms, {vanished} ended meanwhile"));
    }
    let mut blocks = in_blocks(BlockType::Lifecycle, &lifecycle);
    blocks.extend(in_blocks(BlockType::Events, &table.events));
    Ok((segment_meta(args.selected(), anchor), blocks, table.tally))
}

/// Whether there is such a process.
fn check_pid(pid: u32) -> Result<(), Failure> {
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Err(anyhow::anyhow!("there is no process {pid}; it may have ended").into());
    }
    // A process that may not be looked at, or has ended by now, is no thread of another one.
    let of = Entry::open(pid).and_then(|entry| entry.status()).map_or(pid, |status| status.tgid);
    match of {
        of if of != pid => Err(anyhow::anyhow!("{pid} is a thread of process {of}: give -p {of}").into()),
        _ => Ok(()),
    }
}

fn write(out: impl std::io::Write, meta: &SegmentMeta, blocks: &[BlockBuilder]) -> std::io::Result<()> {
    let mut writer = SegmentWriter::create(out, meta, 1)?;
    for (index, block) in blocks.iter().enumerate() {
        writer.write_block(block, 0, 0, index + 1 == blocks.len())?;
    }
    let (mut out, _) = writer.finish()?;
    out.flush()
}

fn save(path: &Path, meta: SegmentMeta, blocks: &[BlockBuilder]) -> std::io::Result<()> {
    let options = StoreOptions { compression_level: COMPRESSION_LEVEL, ..StoreOptions::default() };
    let mut store = SegmentStore::single_file(path, meta, options)?;
    output::warn_if_shared(store.directory(), path, user_behind_sudo().map(|(uid, _)| uid));
    for block in blocks {
        store.write_block(block, 0, 0, true)?;
    }
    store.seal().map(drop)
}

/// Writes a new file beside the one that is there, and puts it into its place: nobody reads half of it.
fn replace(path: &Path, meta: SegmentMeta, blocks: &[BlockBuilder]) -> std::io::Result<()> {
    if path.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_stem().unwrap_or_default());
    hidden.push(format!(".{}.ctseg", std::process::id()));
    let new = path.with_file_name(hidden);
    let replaced = save(&new, meta, blocks).and_then(|()| std::fs::rename(&new, path));
    if replaced.is_err() {
        // Ours, if it is there at all: it has our process id.
        let _ = std::fs::remove_file(&new);
    }
    replaced
}

fn tell_certificates(found: Found) {
    let Found { read, certificates, without, beyond } = found;
    if without > 0 {
        say::warning(&format!(
            "{without} of {} files have no certificate that could be read: see certificate_files",
            read + without
        ));
    }
    if beyond > 0 {
        say::warning(&format!("{beyond} more files were not read: name fewer"));
    }
    say::info(&format!("certificates read: {certificates}, files: {read}"));
}

/// The analyzer tells the same of what it renders.
fn tell_partial(tally: Tally) {
    if let Some(message) = tally.cut_message() {
        say::warning(&message);
    }
    if tally.is_denied() {
        say::warning(&format!(
            "not allowed to see the libraries of {} and the open files of {} of {} processes{}: run it as root, or with CAP_SYS_PTRACE",
            tally.maps_denied,
            tally.files_denied,
            tally.processes,
            tally.denied_pid.map_or(String::new(), |pid| format!(", such as {pid}")),
        ));
    }
}
