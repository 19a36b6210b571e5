//! The summary as text.

use super::page::{SummaryContext, TOP, others};
use super::{calls, coverage, tls, wire};
use crate::capture::clock::WallNs;
use crate::count::files::{OTHER_ERRNOS, count_errno, ranked_errnos, shown_type};
use crate::count::paths::{Common, MANY_FILES, common};
use crate::count::totals::{File, Program, Totals};
use crate::report::completeness;
use crate::words::escape;
use crate::words::kernel::errno_name;
use crate::words::redact;
use crate::words::text::{Align, Paint, Table, duration, grouped, hex, section, tabulate};
use crate::words::timestamp::timestamp;
use crypto_trace_format::catalog::{Confidence, FileType};
use crypto_trace_format::record::Kind;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Characters a bar of the histogram can be.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Columns of the histogram.
const BAR_COLUMNS: usize = 60;

/// The summary.
pub fn print(totals: &Totals, context: &SummaryContext<'_>) -> String {
    let mut out = String::new();
    head(totals, context, &mut out);
    rate(totals, context.paint, &mut out);
    kinds(totals, context.paint, &mut out);
    programs(totals, context, &mut out);
    file_types(totals, context.paint, &mut out);
    files(totals, context, &mut out);
    libraries(totals, (context.paint, context.redact), &mut out);
    tls::print(totals, context, &mut out);
    wire::print(totals, context, &mut out);
    calls::print(totals, context, &mut out);
    coverage::print(context, &mut out);
    if totals.overflowed {
        out.push_str("\nToo many distinct names: some rows are missing above; totals by type are complete.\n");
    }
    out
}

fn head(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let paint = context.paint;
    let mut line = |name: &str, text: &str| paint.line(out, 10, name, text);
    match totals.range {
        Some((from, to)) => {
            let span = u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
            line("Time", &format!("{} to {} ({})", short(from), short(to), duration(span)));
        }
        None => line("Time", &context.why_none),
    }
    for capture in context.captures {
        let meta = &capture.meta;
        let id = hex(meta.capture_id.get(..4).unwrap_or_default());
        let text = [&meta.host, &meta.kernel, &meta.arch].map(|text| escape::for_people(text.as_bytes()));
        let [host, kernel, arch] = text;
        line("Host", &format!("{host} (Linux {kernel} {arch}, capture {id}…)"));
        let shown = |option: &[u8]| redact::for_people(option, context.redact);
        if let Some(recorded) = completeness::recorded(meta, shown, "") {
            line("Recorded", &recorded);
        }
    }
    if context.missing.is_empty() {
        let attached: usize = context.captures.iter().map(completeness::attached_probes).sum();
        let text = match attached {
            0 => "nothing lost, nothing dropped as far as recorded; which probes were attached is not recorded"
                .to_owned(),
            1 => "yes: nothing lost, nothing dropped, 1 probe attached".to_owned(),
            many => format!("yes: nothing lost, nothing dropped, {many} probes attached"),
        };
        line("Complete", &if attached == 0 { text } else { paint.good(&text) });
    } else {
        for (index, gap) in context.missing.iter().enumerate() {
            let text = if index == 0 { format!("NO: {gap}") } else { gap.clone() };
            line(if index == 0 { "Complete" } else { "" }, &paint.bad(&text));
        }
    }
    let events = totals.tally.output;
    let filtered = totals.tally.processed.saturating_sub(events);
    let segments =
        if context.segments == 1 { "1 segment".to_owned() } else { format!("{} segments", context.segments) };
    let text = format!("{} shown here, {} others in {segments}", grouped(events), grouped(filtered));
    line("Events", &text);
}

fn rate(totals: &Totals, paint: Paint, out: &mut String) {
    let Some((from, width_ns, columns)) = totals.histogram.columns(BAR_COLUMNS) else { return };
    let most = columns.iter().copied().max().unwrap_or(0).max(1);
    let bars: String = columns
        .iter()
        .map(|count| match count {
            0 => ' ',
            count => {
                let height = usize::try_from(u128::from(*count) * 8 / u128::from(most)).unwrap_or(0);
                BARS.get(height.saturating_sub(1).min(7)).copied().unwrap_or(' ')
            }
        })
        .collect();
    let width = u64::try_from(width_ns).unwrap_or(1).max(1);
    let peak = u128::from(most) * 1_000_000_000 / u128::from(width);
    section("Rate", paint, out);
    let _ = writeln!(out, "  {}", paint.bar(&bars));
    let peak = grouped(u64::try_from(peak).unwrap_or(u64::MAX));
    let _ = writeln!(out, "  from {}, {} a column, at most {peak} events/s", short(from), duration(width));
}

fn kinds(totals: &Totals, paint: Paint, out: &mut String) {
    let mut rows: Vec<(&Kind, &u64)> = totals.kinds.iter().collect();
    rows.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), **kind));
    let mut table = Table::new(&[("type", Align::Left), ("events", Align::Right)]);
    for (kind, count) in rows {
        table.row(vec![kind.event_type().to_owned(), grouped(*count)]);
    }
    tabulate("Events by type", &table, paint, out);
}

fn programs(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let mut rows: Vec<(&Vec<u8>, &Program)> = totals.programs.iter().collect();
    rows.sort_by(|(name_a, a), (name_b, b)| {
        let key = |program: &Program| (program.opens + program.loads, program.events);
        key(b).cmp(&key(a)).then_with(|| name_a.cmp(name_b))
    });
    let mut table = Table::new(&[
        ("program", Align::Left),
        ("processes", Align::Right),
        ("events", Align::Right),
        ("opens", Align::Right),
        ("failed", Align::Right),
        ("used", Align::Left),
    ]);
    for (name, program) in rows.iter().take(TOP) {
        let types = program.types.iter().map(|file_type| file_type.name());
        let used: Vec<&str> = program.libraries.iter().copied().chain(types).collect();
        table.row(vec![
            redact::for_people(name, context.redact),
            grouped(program.processes),
            grouped(program.events),
            grouped(program.opens),
            grouped(program.failed),
            used.join(", "),
        ]);
    }
    tabulate("Programs", &table, context.paint, out);
    others(rows.len(), out);
}

fn file_types(totals: &Totals, paint: Paint, out: &mut String) {
    let mut table = Table::new(&[
        ("type", Align::Left),
        ("files", Align::Right),
        ("opens", Align::Right),
        ("failed", Align::Right),
        ("why", Align::Left),
    ]);
    let mut rows: Vec<_> = totals.types.iter().collect();
    // Guesses come last.
    rows.sort_by_key(|((is_guess, file_type), total)| (*is_guess, std::cmp::Reverse(total.opens), *file_type));
    let any_guess = rows.iter().any(|((is_guess, _), _)| *is_guess);
    for ((is_guess, file_type), total) in rows {
        let failed = total.failures.iter().map(|(_, count)| count).sum();
        table.row(vec![
            shown_type(*file_type, *is_guess),
            grouped(total.files),
            grouped(total.opens),
            grouped(failed),
            failures(&total.failures),
        ]);
    }
    tabulate("Keys and certificates", &table, paint, out);
    if any_guess {
        out.push_str("  ? a guess: other programs use such names too\n");
    }
}

fn files(totals: &Totals, context: &SummaryContext<'_>, out: &mut String) {
    let failed = |file: &File| -> u64 { file.failures.iter().map(|(_, count)| count).sum() };
    let mut rows = file_rows(totals, context.ungrouped);
    rows.sort_by(|(path_a, _, a), (path_b, _, b)| {
        failed(b).min(1).cmp(&failed(a).min(1)).then_with(|| b.opens.cmp(&a.opens)).then_with(|| path_a.cmp(path_b))
    });
    let mut failing =
        Table::new(&[("opens", Align::Right), ("type", Align::Left), ("why", Align::Left), ("file", Align::Left)]);
    let mut working = Table::new(&[("opens", Align::Right), ("type", Align::Left), ("file", Align::Left)]);
    let failing_count = rows.iter().take_while(|(_, _, file)| failed(file) > 0).count();
    let (bad, good) = rows.split_at(failing_count);
    let name = |file: &File| match file.judged {
        Some(judged) => shown_type(judged.file_type, judged.confidence == Confidence::Low),
        None => FileType::Unknown.name().to_owned(),
    };
    let shown = |path: &[u8], files: u64| {
        let path = redact::for_people(path, context.redact);
        if files == 1 { path } else { format!("{path}: {} files", grouped(files)) }
    };
    for (path, files, file) in bad.iter().take(TOP) {
        failing.row(vec![grouped(file.opens), name(file), failures(&file.failures), shown(path, *files)]);
    }
    for (path, files, file) in good.iter().take(TOP) {
        working.row(vec![grouped(file.opens), name(file), shown(path, *files)]);
    }
    tabulate("Failed opens", &failing, context.paint, out);
    others(bad.len(), out);
    tabulate("Files opened most", &working, context.paint, out);
    others(good.len(), out);
}

/// What a file would be grouped by.
fn of_file<'a>(path: &'a [u8], file: &File) -> Option<Common<'a>> {
    let file_type = file.judged.map_or(FileType::Unknown, |judged| judged.file_type);
    let is_guess = file.judged.is_some_and(|judged| judged.confidence == Confidence::Low);
    common(path, file_type, is_guess, !file.failures.is_empty())
}

/// Files by path, and directories of which many were opened: how many each row is.
fn file_rows(totals: &Totals, ungrouped: bool) -> Vec<(&[u8], u64, Cow<'_, File>)> {
    let mut groups: BTreeMap<Common<'_>, Vec<&File>> = BTreeMap::new();
    if !ungrouped {
        for (path, file) in &totals.files {
            of_file(path, file).into_iter().for_each(|common| groups.entry(common).or_default().push(file));
        }
        groups.retain(|_, files| files.len() >= MANY_FILES);
    }
    let single =
        |(path, file): &(&Vec<u8>, &File)| of_file(path, file).is_none_or(|common| !groups.contains_key(&common));
    let singles = totals.files.iter().filter(single).map(|(path, file)| (&path[..], 1, Cow::Borrowed(file)));
    let mut rows: Vec<_> = singles.collect();
    for (common, files) in &groups {
        let mut sum = File { judged: files.first().and_then(|file| file.judged), ..File::default() };
        for file in files {
            sum.opens += file.opens;
            file.failures.iter().for_each(|(errno, count)| count_errno(&mut sum.failures, *errno, *count));
        }
        rows.push((common.0, files.len() as u64, Cow::Owned(sum)));
    }
    rows
}

fn libraries(totals: &Totals, (paint, redact): (Paint, bool), out: &mut String) {
    let mut rows: Vec<_> = totals.libraries.iter().collect();
    rows.sort_by(|(key_a, a), (key_b, b)| {
        b.processes.cmp(&a.processes).then_with(|| b.loads.cmp(&a.loads)).then_with(|| key_a.cmp(key_b))
    });
    let mut table = Table::new(&[
        ("library", Align::Left),
        ("version", Align::Left),
        ("file", Align::Left),
        ("processes", Align::Right),
        ("loads", Align::Right),
    ]);
    for ((name, file, version), library) in rows.iter().take(2 * TOP) {
        table.row(vec![
            (*name).to_owned(),
            if version.is_empty() { "-".to_owned() } else { redact::for_people(version, redact) },
            redact::for_people(&redact::file_name(file, redact), redact),
            grouped(library.processes),
            grouped(library.loads),
        ]);
    }
    tabulate("Crypto libraries", &table, paint, out);
    others(rows.len().saturating_sub(TOP), out);
}

/// `ENOENT 4, EACCES 1`, most frequent first.
fn failures(failures: &[(u32, u64)]) -> String {
    let ranked = ranked_errnos(failures);
    let texts = ranked.iter().take(4).map(|(errno, count)| match errno_name(*errno) {
        None if *errno == OTHER_ERRNOS => format!("other {}", grouped(*count)),
        Some(name) => format!("{name} {}", grouped(*count)),
        None => format!("errno {errno} {}", grouped(*count)),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// `2026-11-22 10:30:45.123 UTC`
fn short(time: WallNs) -> String {
    let text = timestamp(time);
    let (date, rest) = text.split_at(10);
    format!("{date} {} UTC", rest.get(1..13).unwrap_or_default())
}
