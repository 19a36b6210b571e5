//! Events in the classes of OCSF as rows, for the layout that Amazon Security Lake asks of custom sources.
//!
//! Source: "Collecting data from custom sources in Security Lake",
//! <https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html>: each class is a source of its own, objects are
//! Parquet files with zstd below `ext/SOURCE/region=REGION/accountId=ACCOUNT/eventDay=YYYYMMDD/`, sorted by time.

use super::{Filled, MakeRows, Table};
use crate::event::{Event, EventWriter, JsonRows, RenderOptions};
use crate::format::{OCSF_VERSION, Ocsf, ocsf_classes};
use arrow_schema::ArrowError;
use crypto_trace_format::record::RecordError;
use serde_json::Value;

/// Where a lake puts what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of AWS: `eu-central-1`.
    pub region: String,
    /// Number of the account, or the external id of the source.
    pub account: String,
}

/// A table for each class.
pub fn tables(place: &Place) -> Vec<Table> {
    let each = |class: crate::format::OcsfClass| {
        let name = format!("crypto-trace-{}", class.uid);
        Table {
            directory: format!("ext/{name}/region={}/accountId={}", place.region, place.account),
            name,
            day: |day| format!("eventDay={}", crate::words::timestamp::date(day).replace('-', "")),
            schema: JsonRows::new(&class.columns).schema(),
            told: ("ocsf.version", OCSF_VERSION.to_owned()),
        }
    };
    ocsf_classes().into_iter().map(each).collect()
}

/// Makes rows of events.
pub struct LakeRows {
    writer: EventWriter,
    classes: Vec<(u32, JsonRows)>,
}

impl LakeRows {
    /// None yet.
    pub fn new(options: RenderOptions) -> Self {
        let classes = ocsf_classes().into_iter().map(|class| (class.uid, JsonRows::new(&class.columns)));
        Self { writer: EventWriter::new(options), classes: classes.collect() }
    }
}

impl MakeRows for LakeRows {
    fn write(&mut self, event: &Event<'_>, _id: i64) -> Result<usize, RecordError> {
        let Some(mut mapped) = Ocsf::map(&mut self.writer, event)? else { return Ok(0) };
        if let Some(unmapped) = mapped.get_mut("unmapped") {
            *unmapped = Value::String(unmapped.to_string());
        }
        let uid = mapped.get("class_uid").and_then(Value::as_u64);
        let rows = self.classes.iter_mut().find(|(class, _)| Some(u64::from(*class)) == uid);
        Ok(rows.map_or(0, |(_, rows)| rows.push(&mapped)))
    }

    fn take(&mut self, out: &mut dyn FnMut(usize, Vec<Filled>, usize)) -> Result<(), ArrowError> {
        for (number, (_, rows)) in self.classes.iter_mut().enumerate().filter(|(_, (_, rows))| !rows.is_empty()) {
            let count = rows.len();
            out(number, rows.finish()?, count);
        }
        Ok(())
    }
}
