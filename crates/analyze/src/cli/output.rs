//! How what is counted is shown: formats of reports, documents and tables.

use clap::ValueEnum;

/// How reports are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How reports are shown that can follow a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LiveFormat {
    /// For people
    Text,
    /// For programs: one document, indented
    Json,
    /// With --follow: one row per line
    JsonStream,
}

impl From<LiveFormat> for ReportFormat {
    fn from(format: LiveFormat) -> Self {
        match format {
            LiveFormat::Text => Self::Text,
            LiveFormat::Json | LiveFormat::JsonStream => Self::Json,
        }
    }
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One document, indented.
    JsonPretty,
    /// One JSON object per line.
    JsonStream,
    /// One JSON array, one object per line.
    JsonArray,
    /// For people.
    Text,
}

/// How documents are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// One document, indented; an array of them when there are several
    #[value(alias = "json")]
    JsonPretty,
    /// One JSON object per line
    JsonStream,
    /// One JSON array, one object per line
    JsonArray,
    /// For people
    #[value(alias = "text")]
    Summary,
}

/// How tables are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For people
    #[value(alias = "summary")]
    Text,
    /// One document, indented
    #[value(alias = "json-pretty")]
    Json,
    /// One row per line
    JsonStream,
    /// One JSON array, one row per line
    JsonArray,
}

impl From<DocumentFormat> for Style {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::JsonPretty => Self::JsonPretty,
            DocumentFormat::JsonStream => Self::JsonStream,
            DocumentFormat::JsonArray => Self::JsonArray,
            DocumentFormat::Summary => Self::Text,
        }
    }
}

impl From<TableFormat> for Style {
    fn from(format: TableFormat) -> Self {
        match format {
            TableFormat::Text => Self::Text,
            TableFormat::Json => Self::JsonPretty,
            TableFormat::JsonStream => Self::JsonStream,
            TableFormat::JsonArray => Self::JsonArray,
        }
    }
}
