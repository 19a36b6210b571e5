//! The columns of events in typed formats, made from what is declared.

use super::members::{Field, Type};
use super::types::EventType;

/// A column: what a table of one type of event has for each of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, the member's.
    pub name: &'static str,
    /// What it holds.
    pub ty: ColumnType,
    /// Whether a row may have nothing there: what JSON shows as `null` or leaves out.
    pub is_nullable: bool,
}

/// Types of columns, by the names that Apache Arrow has for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// One bit.
    Boolean,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Microseconds since 1970, UTC.
    TimestampMicros,
    /// Text.
    Utf8,
    /// Text of which there are few: a dictionary pays.
    Dictionary(Vec<&'static str>),
    /// A list of elements, none of which is null.
    List(Box<ColumnType>),
    /// Columns of their own.
    Struct(Vec<Column>),
}

/// The columns of a type of event, in the order of its members.
pub fn columns(ty: &EventType) -> Vec<Column> {
    ty.fields().map(|field| column(&field)).collect()
}

/// The column of one member.
pub(super) fn column(field: &Field) -> Column {
    Column { name: field.name, ty: type_of(&field.ty), is_nullable: field.is_nullable || field.is_optional }
}

/// What a code point has where no column beside it has its number.
fn named() -> Vec<Column> {
    let column = |name, ty| Column { name, ty, is_nullable: false };
    vec![column("id", ColumnType::UInt16), column("name", ColumnType::Utf8)]
}

fn type_of(ty: &Type) -> ColumnType {
    match ty {
        Type::Bool | Type::True => ColumnType::Boolean,
        Type::Unsigned { bits: 8, .. } => ColumnType::UInt8,
        Type::Unsigned { bits: 16, .. } => ColumnType::UInt16,
        Type::Unsigned { bits: 32, .. } => ColumnType::UInt32,
        Type::Unsigned { .. } => ColumnType::UInt64,
        Type::Signed { bits: 32 } => ColumnType::Int32,
        Type::Signed { .. } => ColumnType::Int64,
        Type::Time => ColumnType::TimestampMicros,
        Type::CodePoint => ColumnType::UInt16,
        Type::Named => ColumnType::Struct(named()),
        Type::Hex => ColumnType::UInt64,
        Type::Text(_) | Type::Host(_) => ColumnType::Utf8,
        Type::Word(words) => ColumnType::Dictionary(words()),
        Type::List { of, .. } => ColumnType::List(Box::new(type_of(of))),
        Type::Struct(fields) => ColumnType::Struct(fields.iter().map(column).collect()),
    }
}
