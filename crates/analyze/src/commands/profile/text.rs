//! A profile, for people.

use super::{Call, File, Handshake, Library, Profile, Relative, SshHandshake, TunnelHandshake};
use crate::report::parts::{failures_in_short, second};
use crate::report::session::Session;
use crate::words::redact;
use crate::words::text::{Align, Paint, Table, and_more, counted, duration, grouped, plural, tabulate};
use std::cell::Cell;

/// Rows of a table that are shown to people.
const TOP: usize = 50;

/// All profiles, for people.
pub(super) fn text<'a>(
    profiles: impl Iterator<Item = Profile<'a>>,
    read: &Session<'_>,
    without: &Cell<u64>,
    paint: Paint,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    let mut any = false;
    for profile in profiles {
        let mut text = if any { "\n".to_owned() } else { String::new() };
        profile.text(read, paint, &mut text);
        out.write_all(text.as_bytes())?;
        any = true;
    }
    if !any {
        writeln!(out, "{}", read.why_none("processes that used crypto"))?;
    }
    if without.get() > 0 {
        writeln!(out, "\n{} that used no crypto not shown", counted(without.get(), "process", "processes"))?;
    }
    Ok(())
}

impl Profile<'_> {
    fn text(&self, read: &Session<'_>, paint: Paint, out: &mut String) {
        let shown = |text: &str| redact::for_people(text.as_bytes(), read.request.redact);
        let optional = |text: &Option<String>| text.as_deref().map_or("?".to_owned(), shown);
        let mut line = |name: &str, text: &str| paint.line(out, 10, name, text);
        let process = &self.process;
        line("Process", &format!("{} ({}), {}", shown(&process.name), process.pid, optional(&process.exe)));
        line("", &optional(&process.cmdline));
        let user = process.running_as.as_deref().map_or("?".to_owned(), |user| format!("as user {user}"));
        let container =
            process.container.as_ref().map(|id| format!(", in container {}", shown(id.get(..12).unwrap_or(id))));
        line("", &format!("{user} on {}{}", shown(&self.host), container.unwrap_or_default()));
        let relative = |relative: &Relative| format!("{} ({})", shown(&relative.name), relative.pid);
        if let Some(parent) = &process.parent {
            line("Parent", &relative(parent));
        }
        if !process.children.is_empty() {
            let named: Vec<String> = process.children.iter().take(10).map(relative).collect();
            let more = process.children.len().saturating_sub(10);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            line("Children", &(named.join(", ") + &more));
        }
        let end = match (&process.end_time, process.exit_code, &process.signal) {
            (None, ..) => "still there at the end".to_owned(),
            (Some(at), Some(code), _) => format!("ended {at} with code {code}"),
            (Some(at), None, Some(signal)) => format!("ended {at} by {signal}"),
            (Some(at), None, None) => format!("ended {at}"),
        };
        line("Ran", &format!("from {}, {end}", optional(&process.start_time)));
        for program in &process.programs {
            line(
                "Program",
                &format!("{} from {}: {}", optional(&program.exe), optional(&program.from), optional(&program.cmdline)),
            );
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration for people")]
        let looked = duration((self.duration_seconds.max(0.0) * 1e9) as u64);
        line("Looked at", &format!("{} to {} ({looked})", self.from, self.to));
        for (index, gap) in self.missing.iter().enumerate() {
            line(if index == 0 { "Missing" } else { "" }, &paint.bad(gap));
        }
        let statistics = &self.statistics;
        let counts = [
            plural(statistics.total_events, "event"),
            counted(statistics.libraries_loaded, "library", "libraries"),
            format!(
                "{} ({} failed)",
                plural(statistics.file_opens, "file open"),
                grouped(statistics.file_opens_failed)
            ),
            plural(statistics.tls_handshakes, "TLS handshake"),
            plural(statistics.ssh_handshakes, "SSH handshake"),
            plural(statistics.ike_handshakes, "IKE handshake"),
            plural(statistics.wireguard_handshakes, "WireGuard handshake"),
            plural(statistics.api_calls_made, "call"),
        ];
        line("Counts", &counts.join(", "));
        self.tables(read, paint, out);
    }

    fn tables(&self, read: &Session<'_>, paint: Paint, out: &mut String) {
        use Align::{Left, Right};
        let shown = |text: &str| redact::for_people(text.as_bytes(), read.request.redact);
        let mut write =
            |heading: &str, columns: &[(&str, Align)], rows: &mut dyn Iterator<Item = Vec<String>>, all: usize| {
                let mut table = Table::new(columns);
                rows.take(TOP).for_each(|row| table.row(row));
                tabulate(heading, &table, paint, out);
                and_more(all.saturating_sub(TOP), "; all are in JSON", out);
            };
        let library = |row: Library| {
            let how = match (row.inherited, row.already_mapped) {
                (true, _) => "inherited by a fork",
                (false, true) => "mapped already",
                (false, false) => "",
            };
            let part = &row.library;
            vec![
                part.shown_name(shown),
                shown(part.shown_version()),
                second(&row.load_time),
                shown(&part.path),
                how.to_owned(),
            ]
        };
        let columns = [("library", Left), ("version", Left), ("loaded (UTC)", Left), ("file", Left), ("", Left)];
        write("Libraries", &columns, &mut self.libraries.iter().map(library), self.libraries.of.len());
        let file = |row: File| {
            vec![
                grouped(row.access_count),
                grouped(row.failed),
                row.shown_type(),
                row.mode.to_owned(),
                second(&row.first_access),
                second(&row.last_access),
                shown(&row.path),
                failures_in_short(&row.failures),
            ]
        };
        let columns = [
            ("opens", Right),
            ("failed", Right),
            ("type", Left),
            ("mode", Left),
            ("first (UTC)", Left),
            ("last (UTC)", Left),
            ("file", Left),
            ("why", Left),
        ];
        let files = &self.files_accessed;
        write("Files", &columns, &mut files.iter(false).chain(files.iter(true)).map(file), files.of.len());
        let handshake = |row: &Handshake| {
            let port = row.remote_port.map_or(String::new(), |port| format!(":{port}"));
            let outcome = row.alert.as_deref().or(row.api_result).unwrap_or(row.outcome);
            vec![
                grouped(row.count),
                row.role.unwrap_or("?").to_owned(),
                format!("{}{port}", row.remote_address),
                row.server_name.as_deref().map_or("-".to_owned(), shown),
                row.tls_version.clone().unwrap_or("-".to_owned()),
                row.cipher_suite.clone().unwrap_or("-".to_owned()),
                row.key_exchange.clone(),
                outcome.to_owned(),
            ]
        };
        let columns = [
            ("count", Right),
            ("as", Left),
            ("with", Left),
            ("server name", Left),
            ("version", Left),
            ("cipher suite", Left),
            ("key exchange", Left),
            ("outcome", Left),
        ];
        write("TLS handshakes", &columns, &mut self.tls_handshakes.iter().map(handshake), self.tls_handshakes.len());
        let ssh = |row: &SshHandshake| {
            let port = row.remote_port.map_or(String::new(), |port| format!(":{port}"));
            vec![
                grouped(row.count),
                row.role.unwrap_or("?").to_owned(),
                format!("{}{port}", row.remote_address),
                row.remote_software.clone().unwrap_or("-".to_owned()),
                row.key_exchange.clone(),
                row.host_key_algorithm.clone().unwrap_or("-".to_owned()),
                row.failure.as_deref().unwrap_or(row.outcome).to_owned(),
            ]
        };
        let columns = [
            ("count", Right),
            ("as", Left),
            ("with", Left),
            ("software", Left),
            ("key exchange", Left),
            ("host key algorithm", Left),
            ("outcome", Left),
        ];
        write("SSH handshakes", &columns, &mut self.ssh_handshakes.iter().map(ssh), self.ssh_handshakes.len());
        let tunnel = |row: &TunnelHandshake| {
            let port = row.remote_port.map_or(String::new(), |port| format!(":{port}"));
            vec![
                grouped(row.count),
                row.role.unwrap_or("?").to_owned(),
                format!("{}{port}", row.remote_address),
                row.key_exchange.clone(),
                row.encryption.clone().unwrap_or("-".to_owned()),
                row.failure.as_deref().unwrap_or(row.outcome).to_owned(),
            ]
        };
        let columns = [
            ("count", Right),
            ("as", Left),
            ("with", Left),
            ("key exchange", Left),
            ("encryption", Left),
            ("outcome", Left),
        ];
        for (title, rows) in
            [("IKE handshakes", &self.ike_handshakes), ("WireGuard handshakes", &self.wireguard_handshakes)]
        {
            write(title, &columns, &mut rows.iter().map(tunnel), rows.len());
        }
        let call = |row: &Call| {
            vec![
                grouped(row.count),
                grouped(row.failed),
                shown(&row.function_name),
                row.meaning.to_owned(),
                row.algorithm.as_deref().map_or("-".to_owned(), shown),
                row.library.as_deref().map_or("the kernel".to_owned(), shown),
            ]
        };
        let columns =
            [("calls", Right), ("failed", Right), ("function", Left), ("for", Left), ("algorithm", Left), ("of", Left)];
        write("Calls", &columns, &mut self.api_calls.iter().map(call), self.api_calls.len());
    }
}
