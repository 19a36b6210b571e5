//! Rows of a table: a column for each chosen member, RFC 4180.
//!
//! Cells are made for spreadsheets, which run what looks like a formula, and for terminals, which obey control characters; a
//! traced host may choose both. So a text is shown as for people, with a `'` before what could be a formula. JSON has the
//! exact text.

use super::{EventFormat, cut};
use crate::event::{Choice, ChosenColumn, Event, EventWriter};
use crate::words::escape;
use crypto_trace_format::record::RecordError;
use csv::WriterBuilder;

/// `--format csv`.
#[derive(Debug)]
pub struct Csv<'a> {
    choice: &'a Choice,
    columns: Vec<ChosenColumn>,
}

impl<'a> Csv<'a> {
    /// A table of what was chosen.
    pub fn new(choice: &'a Choice) -> Self {
        Self { choice, columns: choice.columns() }
    }

    /// Appends the row of an event, from its JSON.
    fn row(&self, json: &[u8], index: usize, out: &mut Vec<u8>) -> Result<(), csv::Error> {
        let Some(ty) = self.choice.types().get(index) else { return Ok(()) };
        let mut values: Vec<Option<&[u8]>> = vec![None; ty.members.len()];
        let mut cursor = cut::Cursor::new(&ty.members);
        for (name, value) in cut::members(json) {
            if let Some((member, _)) = cursor.find(name)
                && let Some(place) = values.get_mut(member)
            {
                *place = Some(value);
            }
        }
        let mut row = WriterBuilder::new().buffer_capacity(ROW_BYTES).from_writer(out);
        let (mut part, mut cell) = (Vec::new(), Vec::new());
        for column in &self.columns {
            part.clear();
            cell.clear();
            if let Some(place) = column.cells.get(index).and_then(Option::as_ref)
                && let Some(value) = values.get(place.member).copied().flatten()
            {
                match column.name.as_str() {
                    "escaped" => {
                        _ = cut::escaped_list(value, ty, &mut part) || {
                            part.clear();
                            false
                        }
                    }
                    _ => _ = cut::at(value, &place.within, &place.kept, &mut part),
                }
                to_cell(&part, &mut cell);
            }
            row.write_field(&cell)?;
        }
        row.write_record(None::<&[u8]>)?;
        row.flush()?;
        Ok(())
    }
}

/// What a row is gathered in before it is appended.
const ROW_BYTES: usize = 1 << 10;

impl EventFormat for Csv<'_> {
    fn begin(&self) -> Vec<u8> {
        let mut header = WriterBuilder::new().from_writer(Vec::new());
        // Into memory: this does not fail.
        let _ = header.write_record(self.columns.iter().map(|column| column.name.as_bytes()));
        header.into_inner().unwrap_or_default()
    }

    fn write(&self, writer: &mut EventWriter, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut json = Vec::with_capacity(1_024);
        writer.write(event, &mut json)?;
        if let Some(index) = self.choice.index_of(event.record.kind()) {
            // Into memory: this does not fail.
            let _ = self.row(&json, index, out);
        }
        Ok(())
    }
}

/// Appends a JSON value as a cell: text without quotes, nothing for `null`, all else as it is.
fn to_cell(json: &[u8], out: &mut Vec<u8>) {
    match json {
        b"null" => {}
        [b'"', inner @ .., b'"'] => {
            let start = out.len();
            if inner.contains(&b'\\') {
                let text: String = serde_json::from_slice(json).unwrap_or_default();
                out.extend_from_slice(escape::for_people(text.as_bytes()).as_bytes());
            } else {
                out.extend_from_slice(inner);
            }
            if may_be_formula(out.get(start..).unwrap_or_default()) {
                out.insert(start, b'\'');
            }
        }
        json => out.extend_from_slice(json),
    }
}

/// Whether a spreadsheet may take a text for a formula (OWASP, "CSV Injection"), or for one that was marked as none.
fn may_be_formula(text: &[u8]) -> bool {
    const FULL_WIDTH: [&str; 4] = ["＝", "＋", "－", "＠"];
    matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\'' | b'\t' | b'\r' | b'\n'))
        || FULL_WIDTH.iter().any(|sign| text.starts_with(sign.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let check = |json: &str, expected: &str| {
            let mut cell = Vec::new();
            to_cell(json.as_bytes(), &mut cell);
            assert_eq!(String::from_utf8(cell).expect("UTF-8"), expected, "{json}");
        };
        check("null", "");
        check("-2", "-2");
        check("true", "true");
        check(r#""""#, "");
        check(r#""TLS 1.3""#, "TLS 1.3");
        check(r#""a\"b,c""#, "a\"b,c");
        check(r#""=1+1""#, "'=1+1");
        check(r#""-x""#, "'-x");
        check(r#""＝x""#, "'＝x");
        check(r#""'=1""#, "''=1");
        check(r#""a=1""#, "a=1");
        check(r#""a\u001b[31m\nb""#, r"a\u{1b}[31m\nb");
        check(r#""\t=1""#, r"\t=1");
        check(r#"["=1"]"#, r#"["=1"]"#);
    }
}
