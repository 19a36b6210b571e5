//! Aligned columns, no wider than there is room: paths are shortened in their middle, lists and texts are broken into lines.

use crate::words::text::Paint;
use std::borrow::Cow;
use std::fmt::Write;

/// Spaces that line a cell up with one that is longer by more than anybody sees; a width beyond 65,535 was a panic.
const MAX_PADDING: usize = 4096;

/// Spaces between columns, and before the first.
const GAP: usize = 2;

/// How narrow columns of text get, one after the other as long as there is not room enough: what is long first; then none is
/// narrower than its longest word, so that texts are broken before names are shortened.
const NARROW: [Narrow; 4] = [Narrow::To(28), Narrow::ToWords, Narrow::To(14), Narrow::To(8)];

#[derive(Debug, Clone, Copy)]
enum Narrow {
    To(usize),
    ToWords,
}

/// Side of a column that its text is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Left.
    Left,
    /// Right, for numbers, which are never shortened.
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

    /// Without those of these columns that say nothing in any row: all of their cells are empty, `0` or `-`.
    pub fn without_idle(mut self, names: &[&str]) -> Self {
        let says = |cell: Option<&String>| cell.is_some_and(|cell| !["", "0", "-"].contains(&cell.as_str()));
        let idle = |(at, (name, _)): (usize, &(String, Align))| {
            names.contains(&name.as_str()) && !self.rows.iter().any(|row| says(row.get(at)))
        };
        let kept: Vec<bool> = self.columns.iter().enumerate().map(|column| !idle(column)).collect();
        let keep = |at: usize| kept.get(at).copied().unwrap_or(true);
        let mut number = 0..;
        self.columns.retain(|_| number.next().is_some_and(keep));
        for row in &mut self.rows {
            let mut number = 0..;
            row.retain(|_| number.next().is_some_and(keep));
        }
        self
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends the table, indented by two spaces.
    pub fn write(&self, paint: Paint, out: &mut String) {
        let widths = self.widths(paint.width);
        if self.columns.iter().any(|(name, _)| !name.is_empty()) {
            let names: Vec<&String> = self.columns.iter().map(|(name, _)| name).collect();
            for heading in lines(&names, &widths) {
                out.push_str(&paint.faint(&self.line(&heading, &widths)));
                out.push('\n');
            }
        }
        self.write_lines(&widths, out);
    }

    /// The same without the headings.
    pub fn write_rows(&self, paint: Paint, out: &mut String) {
        self.write_lines(&self.widths(paint.width), out);
    }

    fn write_lines(&self, widths: &[usize], out: &mut String) {
        for row in &self.rows {
            for cells in lines(&row.iter().collect::<Vec<_>>(), widths) {
                out.push_str(&self.line(&cells, widths));
                out.push('\n');
            }
        }
    }

    fn line(&self, cells: &[Cow<'_, str>], widths: &[usize]) -> String {
        let mut line = " ".repeat(GAP);
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let missing = " ".repeat(width.saturating_sub(cell.chars().count()).min(MAX_PADDING));
            let _ = match align {
                Align::Left => write!(line, "{cell}{missing}  "),
                Align::Right => write!(line, "{missing}{cell}  "),
            };
        }
        line.trim_end().to_owned()
    }

    /// Width of each column: what its cells take, as far as there is room; the widest of the texts give way first.
    fn widths(&self, room: usize) -> Vec<usize> {
        let natural = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(self.columns.get(column).map(|(name, _)| name.chars().count())).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(natural).collect();
        let word = |column: usize| {
            let texts = self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .chain(self.columns.get(column).map(|(name, _)| name));
            texts.flat_map(|text| text.split(' ')).map(|word| word.chars().count()).max().unwrap_or(0)
        };
        for narrow in NARROW {
            let least: Vec<usize> = (0..widths.len())
                .map(|column| match narrow {
                    Narrow::To(width) => width,
                    Narrow::ToWords => word(column),
                })
                .collect();
            let taken = widths.iter().sum::<usize>() + GAP * widths.len();
            let mut beyond = taken.saturating_sub(room);
            while beyond > 0 {
                let texts = widths.iter_mut().zip(&least).zip(&self.columns);
                let can = texts.filter(|((width, least), (_, align))| *align == Align::Left && **width > **least);
                let Some(((widest, _), _)) = can.max_by_key(|((width, _), _)| **width) else { break };
                *widest -= 1;
                beyond -= 1;
            }
        }
        widths
    }
}

/// The lines of a row, a cell of each column in each.
fn lines<'a>(row: &[&'a String], widths: &[usize]) -> Vec<Vec<Cow<'a, str>>> {
    let cells: Vec<Vec<Cow<'_, str>>> = row.iter().zip(widths).map(|(cell, width)| fitted(cell, *width)).collect();
    let count = cells.iter().map(Vec::len).max().unwrap_or(1);
    let line = |number: usize| cells.iter().map(|cell| cell.get(number).cloned().unwrap_or_default()).collect();
    (0..count).map(line).collect()
}

/// A cell in lines of `width`: as it is when it fits; else broken at its spaces, and what is longer shortened in the middle.
fn fitted(cell: &str, width: usize) -> Vec<Cow<'_, str>> {
    if cell.chars().count() <= width {
        return vec![cell.into()];
    }
    let (mut lines, mut current) = (Vec::new(), String::new());
    for word in cell.split(' ') {
        let word = shortened(word, width);
        let needed = current.chars().count() + 1 + word.chars().count();
        if !current.is_empty() && needed > width {
            lines.push(Cow::Owned(std::mem::take(&mut current)));
        } else if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(&word);
    }
    lines.push(Cow::Owned(current));
    lines
}

/// A word of at most `width`: beginning and end, of which the end tells more (a file's name).
fn shortened(word: &str, width: usize) -> Cow<'_, str> {
    let count = word.chars().count();
    if count <= width {
        return word.into();
    }
    let kept = width.saturating_sub(1);
    let head = kept / 4;
    let first = word.chars().take(head);
    let last = word.chars().skip(count - (kept - head));
    first.chain(std::iter::once('\u{2026}')).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table, width: usize) -> String {
        let mut out = String::new();
        table.write(Paint { colour: false, width }, &mut out);
        out
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_spaces() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right), ("x", Align::Left)]);
        table.row(vec!["a".into(), "1,000".into(), String::new()]);
        table.row(vec!["long".into(), "1".into(), "y".into()]);
        assert_eq!(written(&table, usize::MAX), "  name      n  x\n  a     1,000\n  long      1  y\n");
    }

    #[test]
    fn a_cell_of_any_length_is_written() {
        let mut table = Table::new(&[("names", Align::Left), ("n", Align::Right)]);
        table.row(vec!["x".repeat(70_000), "1".into()]);
        table.row(vec!["y".into(), "2".into()]);
        let written = written(&table, usize::MAX);
        assert!(written.contains(&"x".repeat(70_000)) && written.lines().count() == 3);
    }

    #[test]
    fn columns_that_say_nothing_are_left_out_when_that_is_asked_for() {
        let mut table = Table::new(&[("a", Align::Left), ("failed", Align::Right), ("n", Align::Right)]);
        table.row(vec!["x".into(), "0".into(), "0".into()]);
        table.row(vec!["y".into(), "-".into(), "0".into()]);
        assert_eq!(written(&table.without_idle(&["failed"]), 80), "  a  n\n  x  0\n  y  0\n");
        let mut table = Table::new(&[("a", Align::Left), ("failed", Align::Right)]);
        table.row(vec!["x".into(), "1".into()]);
        assert_eq!(written(&table.without_idle(&["failed", "a"]), 80), "  a  failed\n  x       1\n");
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let columns = [("opens", Align::Right), ("file", Align::Left), ("programs", Align::Left)];
        let mut table = Table::new(&columns);
        let path = format!("/etc/ssl/{}/server.key", "very-long-directory/".repeat(9));
        let programs = "/usr/sbin/nginx, /usr/bin/curl, /usr/lib/postgresql/16/bin/postgres and 12 more";
        table.row(vec!["1,234".into(), path.clone(), programs.into()]);
        table.row(vec!["1".into(), "/a.key".into(), "\u{e9}\u{e9} x".into()]);
        for width in [40, 60, 80, 120, 200] {
            let text = written(&table, width);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= width), "{width}:\n{text}");
            assert!(
                text.contains("server.key") && text.contains("/a.key") && text.contains("1,234"),
                "{width}:\n{text}"
            );
            assert!(text.contains("more"), "a list is broken, not cut:\n{text}");
            assert!(text.lines().all(|line| !line.ends_with(' ')));
        }
        assert!(written(&table, usize::MAX).contains(&path), "all of it where there is room");
        assert!(!written(&Table::new(&columns), 1).is_empty());
    }
}
