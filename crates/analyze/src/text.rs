//! Text for people: colours, numbers, durations, aligned columns.

use owo_colors::{OwoColorize, Style};
use std::fmt::Write;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether there are colours.
    pub colour: bool,
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

    fn paint(self, text: &str, style: Style) -> String {
        if self.colour && !text.is_empty() { text.style(style).to_string() } else { text.to_owned() }
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

/// Side of a column that its text is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Left.
    Left,
    /// Right, for numbers.
    Right,
}

/// Rows of aligned columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column headings.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self { columns: columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect(), rows: Vec::new() }
    }

    /// Adds a row. Text must be safe to show.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends the table, indented by two spaces.
    pub fn write(&self, paint: Paint, out: &mut String) {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(self.columns.get(column).map(|(name, _)| name.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let mut line = String::from("  ");
            for ((cell, width), (_, align)) in cells.zip(&widths).zip(&self.columns) {
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}  "),
                    Align::Right => write!(line, "{cell:>width$}  "),
                };
            }
            line.trim_end().to_owned()
        };
        if self.columns.iter().any(|(name, _)| !name.is_empty()) {
            let heading = line(&mut self.columns.iter().map(|(name, _)| name));
            out.push_str(&paint.faint(&heading));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&line(&mut row.iter()));
            out.push('\n');
        }
    }
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

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_spaces() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right), ("x", Align::Left)]);
        table.row(vec!["a".into(), "1,000".into(), String::new()]);
        table.row(vec!["long".into(), "1".into(), "y".into()]);
        let mut out = String::new();
        table.write(Paint { colour: false }, &mut out);
        assert_eq!(out, "  name      n  x\n  a     1,000\n  long      1  y\n");
    }
}
