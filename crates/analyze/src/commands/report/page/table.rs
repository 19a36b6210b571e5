//! Tables of the page: columns by what they hold, rows of cells; a table of more than a few rows can be filtered.

use crate::words::text::grouped;
use maud::{Markup, html};
use serde_json::Value;

/// Tables with fewer rows need no filter.
const FILTER_FROM: usize = 6;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Path,
    Hash,
    Time,
    /// Sentences.
    Wide,
}

/// A cell: how it is shown, and what it is sorted by, where that is something else.
pub(super) struct Cell {
    shown: Markup,
    sort: Option<String>,
}

impl Kind {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Number => Some("number"),
            Self::Path => Some("path"),
            Self::Hash => Some("hash"),
            Self::Time => Some("time"),
            Self::Wide => Some("wide"),
        }
    }
}

/// A text.
pub(super) fn text(text: impl AsRef<str>) -> Cell {
    Cell { shown: html! { (text.as_ref()) }, sort: None }
}

/// A number.
pub(super) fn number(number: u64) -> Cell {
    Cell { shown: html! { (grouped(number)) }, sort: Some(number.to_string()) }
}

/// A number that may be below zero, or not be known.
pub(super) fn signed(number: Option<i64>) -> Cell {
    let shown = number.map_or_else(|| "not known".to_owned(), |number| number.to_string());
    Cell { shown: html! { (shown) }, sort: Some(number.unwrap_or(i64::MAX).to_string()) }
}

/// A time to the second; sorted by all of it.
pub(super) fn time(value: &Value) -> Cell {
    let time = value.as_str().unwrap_or_default();
    Cell { shown: html! { (second(time)) }, sort: Some(time.to_owned()) }
}

/// A word with a colour; the word alone says it, too.
pub(super) fn mark(word: &str) -> Cell {
    Cell { shown: marked(word), sort: None }
}

/// The same outside of a table.
pub(super) fn marked(word: &str) -> Markup {
    let class = match word {
        "pass" | "valid" | "yes" | "post-quantum" => "mark good",
        "warn" | "expires soon" | "not yet valid" | "partly" => "mark warn",
        "fail" | "expired" | "classical" | "readable by others" => "mark bad",
        _ => "mark",
    };
    html! { span class=(class) { (word) } }
}

/// `2026-11-22 10:30:45`
pub(super) fn second(time: &str) -> String {
    crate::report::parts::second(time)
}

/// A table, which the script can sort, and filter when it is long.
pub(super) fn table(id: &str, caption: &str, columns: &[(&str, Kind)], rows: Vec<Vec<Cell>>) -> Markup {
    let filter = format!("{id}-filter");
    let has_filter = rows.len() >= FILTER_FROM;
    html! {
        @if has_filter {
            div.filter id=(filter) hidden {
                label for={ (filter) "-text" } { "Filter " (caption.to_lowercase()) }
                input id={ (filter) "-text" } type="search" autocomplete="off";
                output aria-live="polite" {}
            }
        }
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table data-sortable=(filter) {
                caption { (caption) }
                thead { tr { @for (name, kind) in columns { th scope="col" class=[kind.class().filter(|_| *kind == Kind::Number)] { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, (_, kind)) in row.into_iter().zip(columns) {
                                td class=[kind.class()] data-sort=[cell.sort] { (cell.shown) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A list of sentences; nothing when there are none.
pub(super) fn sentences(heading: &str, texts: &[Value]) -> Markup {
    html! {
        @if !texts.is_empty() {
            h3 { (heading) }
            ul.gaps { @for text in texts { li { (text.as_str().unwrap_or_default()) } } }
        }
    }
}
