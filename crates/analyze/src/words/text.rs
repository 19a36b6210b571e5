//! Text for people: colours, numbers, durations. Tables are in `table`.

pub use crate::words::table::{Align, Table};

use owo_colors::{OwoColorize, Style};
use std::fmt::Write as _;

/// The program, as it is named in what it writes.
pub const TOOL: &str = concat!("crypto-trace-analyze ", env!("CARGO_PKG_VERSION"));

/// Colours, or none, and how much room there is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether there are colours.
    pub colour: bool,
    /// Columns that a line may take.
    pub width: usize,
}

impl Paint {
    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint(text, Style::new().bold())
    }

    /// Something good.
    pub fn good(self, text: &str) -> String {
        self.paint(text, Style::new().green())
    }

    /// Something to look at.
    pub fn bad(self, text: &str) -> String {
        self.paint(text, Style::new().red().bold())
    }

    /// Something less important.
    pub fn faint(self, text: &str) -> String {
        self.paint(text, Style::new().dimmed())
    }

    /// Bars.
    pub fn bar(self, text: &str) -> String {
        self.paint(text, Style::new().cyan())
    }

    /// Appends a line of what a page begins with: a name, which takes `columns`, and what is said of it.
    pub fn line(self, out: &mut String, columns: usize, name: &str, text: &str) {
        let _ = writeln!(out, "{}  {text}", self.heading(&format!("{name:<columns$}")));
    }

    fn paint(self, text: &str, style: Style) -> String {
        if self.colour && !text.is_empty() { text.style(style).to_string() } else { text.to_owned() }
    }
}

/// Appends the heading of a section.
pub fn section(name: &str, paint: Paint, out: &mut String) {
    let _ = writeln!(out, "\n{}", paint.heading(name));
}

/// Appends a section with a table; nothing when it has no rows.
pub fn tabulate(name: &str, table: &Table, paint: Paint, out: &mut String) {
    if !table.is_empty() {
        section(name, paint, out);
        table.write(paint, out);
    }
}

/// Appends how many rows are not shown: `  and 1,234 more`, and what follows that; nothing when all are.
pub fn and_more(rows: usize, ending: &str, out: &mut String) {
    if rows > 0 {
        let _ = writeln!(out, "  and {} more{ending}", grouped(rows as u64));
    }
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 handshake`, `2 handshakes`
pub fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `1 process`, `2 processes`
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1h 02m 03s`, `4.5s`, `12ms`; for a duration in ns.
pub fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 => format!("{}ms", ns / 1_000_000),
        1..=59 => format!("{}.{}s", seconds, ns / 100_000_000 % 10),
        60..=3_599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h {:02}m {:02}s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
        _ => format!("{}d {:02}h {:02}m", seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60),
    }
}

/// `12.3 MiB`
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units.get(unit).unwrap_or(&""))
}

/// The first three.
pub fn few(names: &[String]) -> String {
    let mut text = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 3 {
        let _ = write!(text, " and {} more", names.len() - 3);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!((plural(1, "end"), plural(1_000, "end")), ("1 end".to_owned(), "1,000 ends".to_owned()));
        assert_eq!(duration(12_345_678), "12ms");
        assert_eq!(duration(4_567_000_000), "4.5s");
        assert_eq!(duration(3_723_000_000_000), "1h 02m 03s");
        assert_eq!(duration(90_000_000_000_000), "1d 01h 00m");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
    }
}
