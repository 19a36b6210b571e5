//! Rows of values that are JSON already, in columns of their own: for vocabularies of others.

use super::cells::{Cells, Filled, field, filled};
use super::columns::Column;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use serde_json::Value;
use std::sync::Arc;

/// Rows of one table.
#[derive(Debug)]
pub struct JsonRows {
    columns: Vec<Column>,
    cells: Vec<Cells>,
    schema: SchemaRef,
}

impl JsonRows {
    /// None yet.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            cells: columns.iter().map(|column| Cells::new(&column.ty)).collect(),
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
        }
    }

    /// What its columns are called and hold.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.cells.first().map_or(0, Cells::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an object. Returns how many bytes it takes, about.
    pub fn push(&mut self, object: &Value) -> usize {
        let cells = self.cells.iter_mut().zip(&self.columns);
        cells.map(|(cells, column)| cells.json(object.get(column.name), &column.ty)).sum()
    }

    /// What there is, by column, which leaves none.
    ///
    /// # Errors
    /// When it makes no table, which is a fault of this program.
    pub fn finish(&mut self) -> Result<Vec<Filled>, ArrowError> {
        filled(&mut self.cells, self.schema.fields())
    }
}
