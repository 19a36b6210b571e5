//! Columns that are being filled: each is a buffer of values as Apache Arrow lays them out.

use super::columns::{Column, ColumnType};
use super::members::{self, Members, Number, Out};
use super::object::{Redact, redacted};
use super::repeated::Repeated;
use crate::capture::clock::WallNs;
use crate::words::escape;
use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, BooleanArray, ListArray, PrimitiveArray, StructArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// One column, or what is within one.
#[derive(Debug)]
pub struct Cells {
    nulls: NullBufferBuilder,
    values: Values,
}

/// What a cell has that was appended before.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    Null,
    Number(u32),
    /// Number of the text in its column.
    Text(u32),
}

/// Values, one after the other; where a cell is null, any.
#[derive(Debug)]
enum Values {
    Boolean(BooleanBufferBuilder),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    /// Microseconds since 1970, UTC.
    Time(Vec<i64>),
    /// Knows itself which cells are null.
    Text(Repeated),
    /// Elements of all cells, and where each ends.
    List {
        ends: Vec<i32>,
        of: Box<Cells>,
    },
    Struct(Vec<Cells>),
}

/// The field of a column, as Apache Arrow has it.
pub fn field(column: &Column) -> Field {
    Field::new(column.name, data_type(&column.ty), column.is_nullable)
}

fn data_type(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::UInt8 => DataType::UInt8,
        ColumnType::UInt16 => DataType::UInt16,
        ColumnType::UInt32 => DataType::UInt32,
        ColumnType::UInt64 => DataType::UInt64,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::TimestampMicros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Utf8 | ColumnType::Dictionary(_) => DataType::Utf8,
        ColumnType::List(of) => DataType::List(Arc::new(element(of))),
        ColumnType::Struct(columns) => DataType::Struct(columns.iter().map(field).collect()),
    }
}

/// Of a list; the name is the one that Parquet gives it.
fn element(ty: &ColumnType) -> Field {
    Field::new("element", data_type(ty), false)
}

fn place(bytes: usize) -> i32 {
    // Tables are cut long before.
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

impl Cells {
    /// An empty column of this type.
    pub fn new(ty: &ColumnType) -> Self {
        let values = match ty {
            ColumnType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            ColumnType::UInt8 => Values::UInt8(Vec::new()),
            ColumnType::UInt16 => Values::UInt16(Vec::new()),
            ColumnType::UInt32 => Values::UInt32(Vec::new()),
            ColumnType::UInt64 => Values::UInt64(Vec::new()),
            ColumnType::Int32 => Values::Int32(Vec::new()),
            ColumnType::Int64 => Values::Int64(Vec::new()),
            ColumnType::TimestampMicros => Values::Time(Vec::new()),
            ColumnType::Utf8 | ColumnType::Dictionary(_) => Values::Text(Repeated::default()),
            ColumnType::List(of) => Values::List { ends: vec![0], of: Box::new(Self::new(of)) },
            ColumnType::Struct(columns) => Values::Struct(columns.iter().map(|column| Self::new(&column.ty)).collect()),
        };
        Self { nulls: NullBufferBuilder::new(0), values }
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Text(texts) => texts.len(),
            _ => self.nulls.len(),
        }
    }

    /// Bytes that its values take, about.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Boolean(values) => values.len() / 8,
            Values::UInt8(values) => values.len(),
            Values::UInt16(values) => values.len() * 2,
            Values::UInt32(values) => values.len() * 4,
            Values::Int32(values) => values.len() * 4,
            Values::UInt64(values) => values.len() * 8,
            Values::Int64(values) | Values::Time(values) => values.len() * 8,
            Values::Text(texts) => texts.bytes(),
            Values::List { ends, of } => ends.len() * 4 + of.bytes(),
            Values::Struct(columns) => columns.iter().map(Self::bytes).sum(),
        }
    }

    /// Appends a null.
    #[inline]
    pub fn null(&mut self) {
        if let Values::Text(texts) = &mut self.values {
            return texts.push_null();
        }
        self.nulls.append_null();
        match &mut self.values {
            Values::Text(_) => {}
            Values::Boolean(values) => values.append(false),
            Values::UInt8(values) => values.push(0),
            Values::UInt16(values) => values.push(0),
            Values::UInt32(values) => values.push(0),
            Values::UInt64(values) => values.push(0),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) | Values::Time(values) => values.push(0),
            Values::List { ends, of } => ends.push(place(of.len())),
            Values::Struct(columns) => columns.iter_mut().for_each(Self::null),
        }
    }

    /// Appends text: `append` does. Returns how many bytes there are of it.
    #[inline]
    fn text(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> usize {
        if let Values::Text(texts) = &mut self.values {
            return texts.push_with(append);
        }
        self.mistaken();
        0
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "what was widened before")]
    fn number(&mut self, bits: u64) {
        match &mut self.values {
            Values::UInt8(values) => values.push(bits as u8),
            Values::UInt16(values) => values.push(bits as u16),
            Values::UInt32(values) => values.push(bits as u32),
            Values::UInt64(values) => values.push(bits),
            Values::Int32(values) => values.push(bits as i32),
            Values::Int64(values) | Values::Time(values) => values.push(bits as i64),
            _ => return self.mistaken(),
        }
        self.nulls.append_non_null();
    }

    fn boolean(&mut self, is: bool) {
        let Values::Boolean(values) = &mut self.values else { return self.mistaken() };
        values.append(is);
        self.nulls.append_non_null();
    }

    /// A value of another type than was declared, which no test has seen.
    fn mistaken(&mut self) {
        debug_assert!(false, "not what was declared: {:?}", self.values);
        self.null();
    }

    /// Appends the only cell of another column of the same type. Returns how many bytes of text it has.
    pub fn repeat(&mut self, one: &Self) -> usize {
        if let (Values::Text(one), Values::Text(texts)) = (&one.values, &mut self.values) {
            match one.first() {
                Some(text) => texts.push(text),
                None => texts.push_null(),
            }
            return one.bytes();
        }
        let is_null = one.nulls.as_slice().is_some_and(|bits| bits.first().is_some_and(|bits| bits & 1 == 0));
        match &one.values {
            _ if is_null => self.null(),
            Values::UInt32(number) => self.number(number.first().copied().unwrap_or_default().into()),
            _ => self.mistaken(),
        }
        0
    }

    /// Appends a JSON value; null where there is none, and where a number is none that the column can hold. Returns how many
    /// bytes it takes, about.
    pub fn json(&mut self, value: Option<&Value>, ty: &ColumnType) -> usize {
        let number = value.and_then(Value::as_i64);
        match (value, &mut self.values, ty) {
            (Some(Value::String(text)), Values::Text(texts), _) => {
                texts.push(text.as_bytes());
                return text.len();
            }
            (Some(Value::Array(elements)), Values::List { ends, of }, ColumnType::List(ty)) => {
                let bytes = elements.iter().map(|element| of.json(Some(element), ty)).sum();
                ends.push(place(of.len()));
                self.nulls.append_non_null();
                return bytes;
            }
            (Some(Value::Object(members)), Values::Struct(cells), ColumnType::Struct(columns)) => {
                let is_known = |name: &String| columns.iter().any(|column| column.name == name);
                debug_assert!(members.keys().all(is_known), "members without a column: {members:?}");
                let each = cells.iter_mut().zip(columns);
                let bytes = each.map(|(cells, column)| cells.json(members.get(column.name), &column.ty)).sum();
                self.nulls.append_non_null();
                return bytes;
            }
            (_, Values::Int32(values), _) if number.is_some_and(|number| i32::try_from(number).is_ok()) => {
                values.extend(number.and_then(|number| i32::try_from(number).ok()));
                self.nulls.append_non_null();
            }
            (_, Values::Int64(values), _) if number.is_some() => {
                values.extend(number);
                self.nulls.append_non_null();
            }
            _ => self.null(),
        }
        size_of::<u64>()
    }

    /// What the last cell has, to append it again before the column is finished.
    fn last(&self) -> Again {
        let is_null = self.nulls.len().checked_sub(1).is_some_and(|last| !self.nulls.is_valid(last));
        match &self.values {
            Values::Text(texts) => Again::Text(texts.last_number()),
            Values::UInt32(values) if !is_null => values.last().map_or(Again::Null, |number| Again::Number(*number)),
            _ => Again::Null,
        }
    }

    /// Appends what an earlier cell has.
    #[inline]
    fn again(&mut self, cell: Again) {
        match (cell, &mut self.values) {
            (Again::Text(number), Values::Text(texts)) => texts.push_number(number),
            (Again::Number(number), _) => self.number(number.into()),
            _ => self.null(),
        }
    }

    /// The column, which is empty again.
    ///
    /// # Errors
    /// When the buffers do not make an array, which is a fault of this program.
    pub fn finish(&mut self, ty: &DataType) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::UInt8(values) => primitive::<UInt8Type>(values, nulls)?,
            Values::UInt16(values) => primitive::<UInt16Type>(values, nulls)?,
            Values::UInt32(values) => primitive::<UInt32Type>(values, nulls)?,
            Values::UInt64(values) => primitive::<UInt64Type>(values, nulls)?,
            Values::Int32(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Int64(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Time(values) => Arc::new(
                PrimitiveArray::<TimestampMicrosecondType>::try_new(ScalarBuffer::from(taken(values)), nulls)?
                    .with_timezone("UTC"),
            ),
            Values::Text(texts) => Arc::new(texts.take().to_array()?),
            Values::List { ends, of } => {
                let DataType::List(element) = ty else { return Err(not_declared(ty)) };
                let values = of.finish(element.data_type())?;
                Arc::new(ListArray::try_new(Arc::clone(element), offsets(ends), values, nulls)?)
            }
            Values::Struct(columns) => {
                let DataType::Struct(fields) = ty else { return Err(not_declared(ty)) };
                let arrays = arrays(columns, fields)?;
                Arc::new(StructArray::try_new(fields.clone(), arrays, nulls)?)
            }
        })
    }
}

fn not_declared(ty: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("values that are no {ty}"))
}

/// A column that is full: text as it was made, all else as Apache Arrow has it.
#[derive(Debug)]
pub enum Filled {
    /// Text.
    Text(Repeated),
    /// Anything else.
    Array(ArrayRef),
}

impl Filled {
    /// As Apache Arrow has it.
    ///
    /// # Errors
    /// When text is none, which is a fault of this program.
    pub fn to_array(&self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Text(texts) => Ok(Arc::new(texts.to_array()?)),
            Self::Array(array) => Ok(Arc::clone(array)),
        }
    }
}

/// All columns, which are empty again.
///
/// # Errors
/// When the buffers do not make an array, which is a fault of this program.
pub fn filled(columns: &mut [Cells], fields: &Fields) -> Result<Vec<Filled>, ArrowError> {
    let each = |(cells, field): (&mut Cells, &Arc<Field>)| match &mut cells.values {
        Values::Text(texts) => Ok(Filled::Text(texts.take())),
        _ => Ok(Filled::Array(cells.finish(field.data_type())?)),
    };
    columns.iter_mut().zip(fields).map(each).collect()
}

/// The same as arrays.
fn arrays(columns: &mut [Cells], fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.iter_mut().zip(fields).map(|(cells, field)| cells.finish(field.data_type())).collect()
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(taken(values)), nulls)?))
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = taken(ends);
    ends.push(0);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}

/// Values, in whose place come about as many.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

/// How text of the traced host goes into columns.
#[derive(Debug)]
pub struct Texts {
    /// Whether home directories are hidden.
    pub redact: bool,
    /// Members of the row whose text has `\xHH` escapes, a bit each: see [`super::object::ESCAPABLE`].
    pub escaped: u32,
    /// Bytes of text in the row.
    pub bytes: usize,
    scratch: Vec<u8>,
}

impl Texts {
    /// Those of a new row.
    pub fn new(redact: bool) -> Self {
        Self { redact, escaped: 0, bytes: 0, scratch: Vec::new() }
    }

    /// Those of the next row.
    #[inline]
    pub fn begin(&mut self) {
        (self.escaped, self.bytes) = (0, 0);
    }

    #[inline]
    fn append(&mut self, bit: u32, text: &[u8], redact: Redact, out: &mut Vec<u8>) {
        self.scratch.clear();
        let text = if self.redact {
            redacted(text, redact, &mut self.scratch);
            &self.scratch
        } else {
            text
        };
        if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            out.extend_from_slice(text);
        } else {
            out.extend_from_slice(escape::reversible(text).0.as_bytes());
            self.escaped |= bit;
        }
    }
}

/// Cells of one row, one after the other. Also the elements of a list, which are those of one column.
#[derive(Debug)]
pub struct Row<'a> {
    columns: &'a mut [Cells],
    at: usize,
    texts: &'a mut Texts,
}

impl<'a> Row<'a> {
    /// From the first of these columns on.
    pub fn new(columns: &'a mut [Cells], texts: &'a mut Texts) -> Self {
        Self { columns, at: 0, texts }
    }

    /// How many cells it has so far.
    pub fn written(&self) -> usize {
        self.at
    }

    fn cells(&mut self) -> Option<(&mut Cells, &mut Texts)> {
        let cells = self.columns.get_mut(self.at);
        debug_assert!(cells.is_some(), "more cells than columns");
        Some((cells?, self.texts))
    }
}

impl Out for Row<'_> {
    #[inline]
    fn member<T: members::Value>(&mut self, _key: &'static str, bit: u32, value: &T) {
        if value.is_left_out() {
            self.null()
        } else {
            value.write(self, bit)
        }
        self.at += 1;
    }

    #[inline]
    fn null(&mut self) {
        if let Some((cells, _)) = self.cells() {
            cells.null();
        }
    }

    #[inline]
    fn boolean(&mut self, is: bool) {
        if let Some((cells, _)) = self.cells() {
            cells.boolean(is);
        }
    }

    #[inline]
    fn number(&mut self, number: impl Number) {
        if let Some((cells, _)) = self.cells() {
            cells.number(number.bits());
        }
    }

    #[inline]
    fn number_as(&mut self, number: u64, _text: std::fmt::Arguments<'_>) {
        self.number(number);
    }

    #[inline]
    fn time(&mut self, time: WallNs) {
        self.number(time.0.div_euclid(1_000));
    }

    #[inline]
    fn word(&mut self, text: &str) {
        self.safe(text);
    }

    #[inline]
    fn made(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        if let Some((cells, texts)) = self.cells() {
            texts.bytes += cells.text(make);
        }
    }

    #[inline]
    fn rendered(&mut self, _json: &[u8], shown: &[u8]) {
        self.plain(shown);
    }

    #[inline]
    fn safe(&mut self, text: &str) {
        self.plain(text.as_bytes());
    }

    #[inline]
    fn text(&mut self, bit: u32, text: &[u8], redact: Redact) {
        if let Some((cells, texts)) = self.cells() {
            texts.bytes += cells.text(|bytes| texts.append(bit, text, redact, bytes));
        }
    }

    fn list<'v, T: members::Value + 'v>(&mut self, values: impl Iterator<Item = &'v T>, bit: u32) {
        self.elements(|elements| values.for_each(|value| value.write(elements, bit)));
    }

    fn texts<'v>(&mut self, texts: impl Iterator<Item = Cow<'v, [u8]>>, bit: u32, redact: Redact) {
        self.elements(|elements| {
            for text in texts {
                elements.text(bit, &text, redact);
            }
        });
    }

    fn nested<M: Members>(&mut self, members: &M) {
        let Some((cells, texts)) = self.cells() else { return };
        let Values::Struct(columns) = &mut cells.values else { return cells.mistaken() };
        members.write_members(&mut Row::new(columns, texts));
        cells.nulls.append_non_null();
    }

    fn named(&mut self, number: u16, name: &str) {
        let Some((cells, texts)) = self.cells() else { return };
        let Values::Struct(columns) = &mut cells.values else { return cells.mistaken() };
        let mut row = Row::new(columns, texts);
        row.member("", 0, &number);
        row.safe(name);
        cells.nulls.append_non_null();
    }

    fn redacts(&self) -> bool {
        self.texts.redact
    }
}

impl Row<'_> {
    /// Text that needs no more to be done to it.
    #[inline]
    fn plain(&mut self, text: &[u8]) {
        let Some((cells, texts)) = self.cells() else { return };
        let Values::Text(column) = &mut cells.values else { return cells.mistaken() };
        column.push(text);
        texts.bytes += text.len();
    }

    /// A list: `write` appends its elements.
    pub fn elements(&mut self, write: impl FnOnce(&mut Row<'_>)) {
        let Some((cells, texts)) = self.cells() else { return };
        let Values::List { ends, of } = &mut cells.values else { return cells.mistaken() };
        write(&mut Row::new(std::slice::from_mut(of), texts));
        ends.push(place(of.len()));
        cells.nulls.append_non_null();
    }

    /// The next cells, which are those that were made ready. Returns what they are, to append them again.
    pub fn repeat(&mut self, ready: &[Cells]) -> Box<[Again]> {
        let each = |one: &Cells| {
            let appended = self.cells().map(|(cells, texts)| {
                texts.bytes += cells.repeat(one);
                cells.last()
            });
            self.at += 1;
            appended.unwrap_or(Again::Null)
        };
        ready.iter().map(each).collect()
    }

    /// The next cells, which are those of an earlier row.
    #[inline]
    pub fn again(&mut self, earlier: &[Again]) {
        for cell in earlier {
            if let Some((cells, _)) = self.cells() {
                cells.again(*cell);
            }
            self.at += 1;
        }
    }

    /// The next cell is a list of plain words; null where there is none.
    pub fn words(&mut self, any: bool, each: impl FnOnce(&mut dyn FnMut(&str))) {
        if any {
            self.elements(|words| each(&mut |word| words.safe(word)))
        } else {
            self.null()
        }
        self.at += 1;
    }
}
