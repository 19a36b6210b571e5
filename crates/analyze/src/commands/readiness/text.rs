//! `readiness` for people.

use super::json::{AgreedReport, Head, OldLibrary, RowReason, RowReport, Shares};
use crate::count::handshakes::percent;
use crate::report::following::Column;
use crate::report::parts::second;
use crate::words::text::{Align, Paint, Table, counted, duration, grouped, plural, section};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Columns of a terminal that have room for all columns of the worklist.
const ROOMY: usize = 150;

/// Columns that are left out where there is less: JSON has them.
const DISPENSABLE: [&str; 3] = ["protocol", "peers", "agreed"];

/// Columns of the worklist.
const COLUMNS: [(&str, Align); 13] = [
    ("classical", Align::Right),
    ("of", Align::Right),
    ("post-quantum", Align::Right),
    ("role", Align::Left),
    ("program", Align::Left),
    ("runs in", Align::Left),
    ("port", Align::Right),
    ("server name", Align::Left),
    ("host", Align::Left),
    ("protocol", Align::Left),
    ("peers", Align::Left),
    ("agreed", Align::Left),
    ("why not post-quantum", Align::Left),
];

/// Rows of the worklist that are shown.
const TOP: usize = 30;

/// Buckets of time that are shown, the latest.
const BUCKETS: usize = 31;

/// Recordings whose times are shown.
const RECORDINGS: usize = 10;

/// Reasons, and versions with groups, in one row.
const EACH: usize = 3;

/// Characters of a container's id.
const ID: usize = 12;

/// A fact about a library: its name, the version, when that was released, what it brought, who says so, where, and what else.
type Fact = (&'static str, &'static str, String, &'static str, &'static str, &'static str, Option<&'static str>);

/// What is made of all rows in passing: only the first are kept.
#[derive(Default)]
struct Shown {
    rows: Vec<RowReport>,
    more: u64,
    ends_of_more: u64,
    facts: BTreeSet<Fact>,
}

pub(super) fn text(head: &Head, rows: impl Iterator<Item = RowReport>, paint: Paint) -> String {
    let mut shown = Shown::default();
    rows.for_each(|row| shown.add(row));
    let mut out = String::new();
    head.head(paint, &mut out);
    shown.worklist(paint, &mut out);
    head.reasons(paint, &mut out);
    shown.libraries(paint, &mut out);
    head.over_time(paint, &mut out);
    out
}

impl Shown {
    fn add(&mut self, row: RowReport) {
        let fact = |old: &OldLibrary| {
            (old.library_name, old.since, old.released.clone(), old.brings, old.document, old.url, old.note)
        };
        self.facts.extend(row.why_not.iter().flat_map(|reason| &reason.library_too_old).map(fact));
        if self.rows.len() < TOP {
            self.rows.push(row);
        } else {
            self.more += 1;
            self.ends_of_more = self.ends_of_more.saturating_add(row.handshakes);
        }
    }

    fn worklist(&self, paint: Paint, out: &mut String) {
        let several = self.rows.iter().map(|row| &row.host).collect::<BTreeSet<_>>().len() > 1;
        let is_shown = |name: &str| paint.width >= ROOMY || !DISPENSABLE.contains(&name);
        let columns = COLUMNS.map(|column| is_shown(column.0).then_some(column));
        let mut table = Table::new(&columns.into_iter().flatten().collect::<Vec<_>>());
        for row in &self.rows {
            let kept = row.cells(several).into_iter().zip(columns).filter(|(_, column)| column.is_some());
            table.row(kept.map(|(cell, _)| cell).collect());
        }
        if !table.is_empty() {
            section("Services and clients, most classical handshakes first", paint, out);
            table.without_idle(&["runs in", "server name", "host", "port"]).write(paint, out);
            if self.more > 0 {
                let (rows, of) = (grouped(self.more), plural(self.ends_of_more, "end"));
                let _ = writeln!(out, "  and {rows} more, of {of}; see -f json");
            }
        }
    }

    /// Facts about libraries, with who says so.
    fn libraries(&self, paint: Paint, out: &mut String) {
        if self.facts.is_empty() {
            return;
        }
        section("Libraries that are too old", paint, out);
        for (name, since, released, brings, document, url, note) in &self.facts {
            let note = note.map_or_else(String::new, |note| format!("; {note}"));
            let _ = writeln!(out, "  {name} {since} ({released}) brought {brings}{note}");
            let _ = writeln!(out, "    {document}");
            let _ = writeln!(out, "    {}", paint.faint(url));
        }
    }
}

impl Head {
    fn head(&self, paint: Paint, out: &mut String) {
        let mut line = |name: &str, text: &str| paint.line(out, 12, name, text);
        match &self.why_none {
            Some(why) => line("Share", why),
            None => {
                line("Share", &in_short(&self.share));
                line("", &rest(&self.share, self.handshakes, self.ends));
            }
        }
        for (index, one) in self.watched.iter().take(RECORDINGS).enumerate() {
            let length = duration(one.duration_ns);
            let (from, to) = (second(&one.from), second(&one.to));
            line(if index == 0 { "Watched" } else { "" }, &format!("{}: {from} to {to} UTC, {length}", one.host));
            line("", &format!("TLS {}", one.tls));
            if let Some(ssh) = &one.ssh {
                line("", &format!("SSH {ssh}"));
            }
            if let Some(recorded) = &one.recorded {
                line("", &format!("recorded {recorded}"));
            }
        }
        let more = self.watched.len().saturating_sub(RECORDINGS);
        if more > 0 {
            line("", &format!("and {} more; see -f json", counted(more as u64, "recording", "recordings")));
        }
        let of_before = plural(self.ends_of_connections_from_before, "end");
        for (index, what) in self.not_recorded.iter().enumerate() {
            line(if index == 0 { "Not recorded" } else { "" }, what);
        }
        if self.ends_of_connections_from_before > 0 {
            line("", &format!("{of_before} of connections older than the recording had a handshake, and are counted"));
        }
        if self.missing.is_empty() {
            line("Complete", "yes: nothing lost, nothing dropped");
        }
        for (index, gap) in self.missing.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
        }
        line("Blind to", "protocols that were not looked for, and ESP of IPsec; see `crypto-trace-analyze coverage`");
    }

    fn reasons(&self, paint: Paint, out: &mut String) {
        let mut table = Table::new(&[("handshakes", Align::Right), ("reason", Align::Left), ("", Align::Left)]);
        for reason in &self.why_not {
            table.row(vec![grouped(reason.handshakes), reason.cause.short().to_owned(), reason.meaning.to_owned()]);
        }
        if !table.is_empty() {
            section("Why not post-quantum", paint, out);
            table.write(paint, out);
        }
    }

    fn over_time(&self, paint: Paint, out: &mut String) {
        let (by, buckets) = (self.over_time.by, &self.over_time.buckets);
        if buckets.len() < 2 {
            return;
        }
        let mut table = Table::new(&[
            (by, Align::Left),
            ("post-quantum", Align::Right),
            ("classical", Align::Right),
            ("not known", Align::Right),
            ("resumed", Align::Right),
            ("not seen", Align::Right),
            ("share", Align::Right),
        ]);
        let skipped = buckets.len().saturating_sub(BUCKETS);
        for bucket in buckets.iter().skip(skipped) {
            let share = &bucket.share;
            let time = second(&bucket.from);
            let shown = time.get(..if by == "day" { 10 } else { 16 }).unwrap_or(&time).to_owned();
            let mut cells = vec![shown];
            let counts = [share.post_quantum, share.classical, share.unknown, share.resumed, share.not_seen];
            cells.extend(counts.map(grouped));
            cells.push(share_cell(share));
            table.row(cells);
        }
        section("Share over time, UTC", paint, out);
        table.without_idle(&["not known", "resumed", "not seen"]).write(paint, out);
        if skipped > 0 {
            let _ = writeln!(out, "  and {} before; see -f json", plural(skipped as u64, by));
        }
    }
}

/// `3 of 9 key exchanges are post-quantum (33 %)`
fn in_short(share: &Shares) -> String {
    let exchanges = share.post_quantum + share.classical + share.unknown;
    if exchanges == 0 {
        return "not known: no key exchange was seen".to_owned();
    }
    let mut text = format!(
        "{} of {} post-quantum ({})",
        grouped(share.post_quantum),
        plural(exchanges, "key exchange"),
        percent(share.post_quantum, exchanges)
    );
    if share.unknown > 0 {
        let _ = write!(text, "; {} not known", grouped(share.unknown));
    }
    text
}

/// What is no key exchange.
fn rest(share: &Shares, handshakes: u64, ends: u64) -> String {
    let mut text = format!("of {}, seen from {}", plural(handshakes, "handshake"), plural(ends, "end"));
    for (count, what) in [
        (share.resumed, "resumed without a new key exchange"),
        (share.not_seen, "with no key exchange seen"),
        (share.no_agreement, "without agreement"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    text
}

fn share_cell(share: &Shares) -> String {
    let all = share.post_quantum + share.classical + share.unknown;
    if all == 0 { "-".to_owned() } else { percent(share.post_quantum, all) }
}

/// The first few, and how many more.
fn first(all: Vec<String>) -> String {
    let more = all.len().saturating_sub(EACH);
    let text = all.into_iter().take(EACH).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text}, and {more} more") } else { text }
}

/// Whether a row that is shown as it comes has this column.
fn is_live(name: &str, width: usize) -> bool {
    name != "host" && (width >= ROOMY || name != "runs in" && !DISPENSABLE.contains(&name))
}

/// Columns of rows that are shown one by one.
pub(super) fn live_columns(width: usize) -> Vec<Column> {
    let cells = |name: &str| match name {
        "role" => 6,
        "program" | "server name" if width < ROOMY => 14,
        "program" | "server name" => 20,
        "runs in" => 14,
        "port" => 5,
        "agreed" => 40,
        "peers" => 12,
        _ => 0,
    };
    let live = COLUMNS.into_iter().filter(|(name, _)| is_live(name, width));
    live.map(|(name, align)| Column { name, align, cells: cells(name) }).collect()
}

/// The cells of such a row.
pub(super) fn live_cells(row: &RowReport, width: usize) -> Vec<String> {
    let cells = row.cells(false).into_iter().zip(COLUMNS);
    cells.filter(|(_, (name, _))| is_live(name, width)).map(|(cell, _)| cell).collect()
}

impl RowReport {
    /// A cell for each of the columns.
    fn cells(&self, with_host: bool) -> [String; COLUMNS.len()] {
        [
            grouped(self.share.classical),
            grouped(self.handshakes),
            share_cell(&self.share),
            self.role.unwrap_or("not known").to_owned(),
            self.program.clone().unwrap_or_else(|| "(process not known)".to_owned()),
            self.runs_in(),
            self.port.map(|port| port.to_string()).unwrap_or_default(),
            self.server_name.clone().unwrap_or_default(),
            if with_host { self.host.clone() } else { String::new() },
            self.protocol.to_owned(),
            self.peers_in_short(),
            self.agreed_in_short(),
            self.why_in_short(),
        ]
    }

    /// A container, or a unit.
    fn runs_in(&self) -> String {
        let container = self.container.as_ref().map(|id| format!("container {}", id.get(..ID).unwrap_or(id)));
        container.or_else(|| self.unit.clone()).unwrap_or_default()
    }

    /// `10.0.0.1, 10.0.0.2 and 3 more`
    fn peers_in_short(&self) -> String {
        let mut text = self.top_peers.iter().take(2).map(|peer| peer.address.clone()).collect::<Vec<_>>().join(", ");
        let more = self.peers.saturating_sub(2);
        match (more, self.peers_at_least) {
            (0, _) => {}
            (more, true) => text.push_str(&format!(" and more than {}", grouped(more))),
            (more, false) => text.push_str(&format!(" and {} more", grouped(more))),
        }
        text
    }

    fn agreed_in_short(&self) -> String {
        let one = |agreed: &AgreedReport| {
            let version = agreed.version.as_deref().unwrap_or("?");
            format!("{version} {}", agreed.key_exchange.as_deref().unwrap_or("-"))
        };
        first(self.agreed.iter().map(one).collect())
    }

    /// `client did not offer 5 (OpenSSL 3.0.17, before 3.5.0), resumed 2`
    fn why_in_short(&self) -> String {
        let one = |reason: &RowReason| {
            let mut facts: Vec<String> = Vec::new();
            let old: BTreeSet<String> = reason.library_too_old.iter().map(old_in_short).collect();
            facts.extend(old);
            if reason.configured_without > 0 {
                facts.extend(
                    self.configured_groups
                        .first()
                        .map(|list| format!("{} configured: {}", grouped(reason.configured_without), list.groups)),
                );
            }
            let facts = if facts.is_empty() { String::new() } else { format!(" ({})", first(facts)) };
            format!("{} {}{facts}", reason.cause.short(), grouped(reason.handshakes))
        };
        first(self.why_not.iter().map(one).collect())
    }
}

fn old_in_short(old: &OldLibrary) -> String {
    format!("{} {}, before {}", old.library_name, old.version, old.since)
}
