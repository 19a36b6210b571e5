//! `readiness --follow`: services and clients, as their handshakes come.

use super::json::{RowReport, Seen};
use super::text;
use crate::capture::Capture;
use crate::count::readiness::Readiness;
use crate::report::following::{Column, View};

/// What `readiness --follow` shows: the rows of the document.
pub(super) struct Live;

impl View for Live {
    type Counted = Readiness;
    type Row = RowReport;

    fn columns(width: usize) -> Vec<Column> {
        text::live_columns(width)
    }

    fn changed(counted: &mut Readiness, captures: &[Capture], redact: bool) -> Vec<RowReport> {
        counted.settle_so_far();
        let changed = counted.take_changed();
        let seen = Seen { captures, redact };
        let row = |key| Some(RowReport::new(seen, counted, &key, counted.rows.get(&key)?));
        changed.into_iter().filter_map(row).collect()
    }

    fn cells(row: &RowReport, width: usize) -> Vec<String> {
        text::live_cells(row, width)
    }
}
