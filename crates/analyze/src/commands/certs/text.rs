//! `certs` for people.

use super::held;
use super::json::{FileReport, Head, PresenterReport, RowReport, SeenReport};
use crate::report::parts::second;
use crate::report::watched::Watched;
use crate::words::escape;
use crate::words::text::{Align, Paint, Table, counted, few, grouped, plural, tabulate};
use std::fmt::Write;

/// Rows of a table that are shown.
const TOP: usize = 30;

/// Columns of the names that the page begins with.
const NAMES: usize = 12;

/// Characters of a container's id.
const ID: usize = 12;

pub(super) fn text(
    head: &Head,
    rows: impl Iterator<Item = RowReport>,
    files: impl Iterator<Item = FileReport>,
    paint: Paint,
) -> String {
    let mut out = String::new();
    head.write(paint, &mut out);
    certificates(rows, paint, &mut out);
    head.not_read_again(paint, &mut out);
    head.hidden(paint, &mut out);
    held::text(&head.certificate_files, paint, &mut out);
    opened(files, paint, &mut out);
    out
}

/// What JSON escapes where it is written.
fn safe(text: &str) -> String {
    escape::for_people(text.as_bytes())
}

fn short_id(container: Option<&str>) -> String {
    container.map(|id| id.chars().take(ID).collect()).unwrap_or_default()
}

/// The first rows in a table, and how many more there are.
fn table<T>(
    (name, columns): (&str, &[(&str, Align)]),
    rows: impl Iterator<Item = T>,
    cells: impl Fn(&T) -> Vec<String>,
    paint: Paint,
    out: &mut String,
) {
    let (mut table, mut more) = (Table::new(columns), 0);
    for (index, row) in rows.enumerate() {
        if index < TOP { table.row(cells(&row)) } else { more += 1 }
    }
    let idle = ["after expiry", "container", "changes", "failed", "loads", "writes", "self-issued", "others"];
    tabulate(name, &table.without_idle(&idle), paint, out);
    if more > 0 {
        let _ = writeln!(out, "  and {} more; see -f json", grouped(more));
    }
}

impl Head {
    fn write(&self, paint: Paint, out: &mut String) {
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        match &self.why_none {
            Some(why) => line("Certificates", why),
            None => line("Certificates", &self.in_short()),
        }
        match &self.why_no_handshakes {
            Some(why) => line("Handshakes", why),
            None => line("Handshakes", &of_handshakes(self.handshakes, &self.seen)),
        }
        if self.incomplete > 0 {
            let them = counted(self.incomplete, "certificate was", "certificates were");
            line("", &format!("{them} not recorded in full, and not counted"));
        }
        line("As of", &self.as_of);
        Watched::write("Watched", &self.watched, NAMES, paint, out);
        let mut line = |name: &str, text: &str| paint.line(out, NAMES, name, text);
        if self.missing.is_empty() {
            line("Complete", "yes: nothing lost, nothing dropped");
        }
        for (index, gap) in self.missing.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
        }
        for (index, what) in self.not_recorded.iter().enumerate() {
            line(if index == 0 { "Not recorded" } else { "" }, what);
        }
    }

    fn in_short(&self) -> String {
        let mut text = format!("{} in handshakes", plural(self.certificates, "certificate"));
        for (count, what) in [
            (self.expired, "expired"),
            (self.used_after_end, "presented after expiry"),
            (self.expires_soon, "expiring soon"),
            (self.not_yet_valid, "not yet valid"),
            (self.end_not_known, "with an unknown expiry date"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {} {what}", grouped(count));
            }
        }
        if let Some(days) = self.expires_within_days {
            let _ = write!(text, "; shown: those that expire within {}", plural(days.into(), "day"));
        }
        text
    }

    fn not_read_again(&self, paint: Paint, out: &mut String) {
        let columns = [
            ("process", Align::Left),
            ("container", Align::Left),
            ("port", Align::Right),
            ("file", Align::Left),
            ("read", Align::Left),
            ("changed", Align::Left),
            ("presented since", Align::Left),
            ("files read", Align::Right),
        ];
        let heading = ("Changed files that their server has not read again", &columns[..]);
        table(
            heading,
            self.not_read_again.iter(),
            |row| {
                let pid = row.pid.map(|pid| format!(" ({pid})")).unwrap_or_default();
                let short = row.sha256.as_deref().and_then(|sha256| sha256.get(..16)).unwrap_or_default();
                let presents = match row.presented {
                    "same" => format!("the same as before, {short}…"),
                    "after" => format!("{short}…; none seen before"),
                    _ => "hidden by TLS 1.3".to_owned(),
                };
                let held = match (&row.file_holds, &row.sha256, &row.held_by) {
                    (Some(held), Some(sha256), _) if held == sha256 => "; the file holds it".to_owned(),
                    (_, _, Some(other)) => format!("; {} holds it", safe(other)),
                    (Some(_), Some(_), None) => "; the file holds another".to_owned(),
                    (Some(_), None, None) => "; its content is listed below".to_owned(),
                    (None, _, None) => String::new(),
                };
                let presents = format!("{presents}{held}");
                let link = if row.by_link { " (link)" } else { "" };
                vec![
                    format!("{}{pid}", row.program),
                    short_id(row.container.as_deref()),
                    row.port.to_string(),
                    format!("{}{link}", safe(&row.path)),
                    second(&row.read),
                    format!("{} {}", second(&row.changed), row.change.replace('_', " ")),
                    presents,
                    grouped(row.files_read),
                ]
            },
            paint,
            out,
        );
    }

    fn hidden(&self, paint: Paint, out: &mut String) {
        let columns = [
            ("hidden", Align::Right),
            ("of", Align::Right),
            ("program", Align::Left),
            ("container", Align::Left),
            ("port", Align::Right),
            ("certificate files it read", Align::Left),
        ];
        table(
            ("Services whose certificate TLS 1.3 hides", &columns),
            self.hidden_services.iter(),
            |row| {
                let mut files: Vec<String> = row.files.iter().map(|file| safe(&file.path)).collect();
                files.extend((row.files_more > 0).then(|| format!("{} more", grouped(row.files_more))));
                let files = if files.is_empty() { "none seen".to_owned() } else { few(&files) };
                vec![
                    grouped(row.seen.hidden),
                    grouped(row.seen.all()),
                    row.program.clone().unwrap_or_else(|| "(process not known)".to_owned()),
                    short_id(row.container.as_deref()),
                    row.port.to_string(),
                    files,
                ]
            },
            paint,
            out,
        );
    }
}

impl SeenReport {
    fn all(&self) -> u64 {
        self.shown + self.hidden + self.left_out + self.resumed + self.not_seen + self.no_answer
    }
}

/// `9: server certificate shown in 3, hidden by TLS 1.3 in 6`
fn of_handshakes(all: u64, seen: &SeenReport) -> String {
    let mut text = format!("{}: server certificate shown in {}", grouped(all), grouped(seen.shown));
    for (count, what) in [
        (seen.hidden, "hidden by TLS 1.3 in"),
        (seen.left_out, "left out of the recording in"),
        (seen.resumed, "resumed without one in"),
        (seen.not_seen, "none or not seen in"),
        (seen.no_answer, "no answer in"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {what} {}", grouped(count));
        }
    }
    text
}

fn certificates(rows: impl Iterator<Item = RowReport>, paint: Paint, out: &mut String) {
    let columns = [
        ("state", Align::Left),
        ("days left", Align::Right),
        ("ends", Align::Left),
        ("after expiry", Align::Right),
        ("handshakes", Align::Right),
        ("key", Align::Left),
        ("signature", Align::Left),
        ("self-issued", Align::Left),
        ("chain", Align::Left),
        ("presented by", Align::Left),
        ("subject", Align::Left),
    ];
    table(
        ("Certificates in handshakes, soonest to expire first", &columns),
        rows,
        |row| {
            let end = row.fields.not_after.as_ref().map(|end| end.0.get(..10).unwrap_or(&end.0).to_owned());
            let presented: Vec<String> = row.presented_by.iter().map(presenter).collect();
            vec![
                row.state.map_or("not known".to_owned(), |state| state.replace('_', " ")),
                row.days_left.map_or("-".to_owned(), |days| days.to_string()),
                end.unwrap_or_else(|| "-".to_owned()),
                grouped(row.after_end),
                grouped(row.handshakes),
                row.fields.key(),
                row.fields.signature_algorithm.clone().unwrap_or_else(|| "?".to_owned()),
                if row.fields.self_issued == Some(true) { "yes".to_owned() } else { String::new() },
                if row.first_of_chain { "first".to_owned() } else { "issuer".to_owned() },
                few(&presented),
                row.fields.name(),
            ]
        },
        paint,
        out,
    );
}

/// `server /usr/sbin/nginx :443`, `server 10.0.0.1:443`
fn presenter(by: &PresenterReport) -> String {
    let who = match (&by.address, &by.program) {
        (Some(address), _) => address.clone(),
        (None, Some(program)) => program.clone(),
        (None, None) => "(process not known)".to_owned(),
    };
    let container = by.container.as_deref().map(|id| format!(" in {}", short_id(Some(id)))).unwrap_or_default();
    format!("{} {who}{container} port {}", by.role, by.port)
}

fn opened(files: impl Iterator<Item = FileReport>, paint: Paint, out: &mut String) {
    let columns = [
        ("reads", Align::Right),
        ("writes", Align::Right),
        ("failed", Align::Right),
        ("loads", Align::Right),
        ("changes", Align::Right),
        ("type", Align::Left),
        ("container", Align::Left),
        ("file", Align::Left),
        ("programs", Align::Left),
    ];
    table(
        ("Certificate files", &columns),
        files,
        |row| {
            let sum = |of: fn(&super::json::FileProgram) -> u64| grouped(row.programs.iter().map(of).sum());
            let programs: Vec<String> = row.programs.iter().map(|program| program.program.clone()).collect();
            vec![
                sum(|program| program.reads),
                sum(|program| program.writes),
                sum(|program| program.failed),
                sum(|program| program.loads),
                grouped(row.changes),
                row.file_type.to_owned(),
                short_id(row.container.as_deref()),
                safe(&row.path),
                few(&programs),
            ]
        },
        paint,
        out,
    );
}
