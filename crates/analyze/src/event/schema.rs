//! The JSON Schema of events (draft 2020-12), made from what is declared.

use super::head::{HEAD, TAIL};
use super::members::{Field, Form, Type};
use super::types::{EVENT_TYPES, EventType, Who, process_fields};
use serde::{Serialize, Serializer};

/// JSON whose members keep their order.
enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(is) => serializer.serialize_bool(*is),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, value))),
        }
    }
}

fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

fn number(number: usize) -> Json {
    Json::Number(number as u64)
}

/// The schema of one event, indented, with the end of its line.
pub fn schema() -> String {
    let reference = |name: &str| Json::Object(vec![("$ref", text(format!("#/$defs/{name}")))]);
    let common: Vec<&Field> = HEAD.iter().chain(TAIL).collect();
    let mut definitions = vec![("common", object(common.into_iter().copied()))];
    let Json::Object(mut process) = object(process_fields().copied()) else { return String::new() };
    if let Some(first) = process.first_mut() {
        *first = ("$ref", text("#/$defs/common"));
    }
    definitions.push(("process", Json::Object(process)));
    definitions.extend(EVENT_TYPES.iter().map(|ty| (ty.name, of_type(ty))));
    let schema = Json::Object(vec![
        ("$schema", text("https://json-schema.org/draft/2020-12/schema")),
        ("title", text("crypto-trace event")),
        ("description", text("One event of crypto-trace-analyze events. See docs/events.md.")),
        ("oneOf", Json::List(EVENT_TYPES.iter().map(|ty| reference(ty.name)).collect())),
        ("$defs", Json::Object(definitions)),
    ]);
    // Into memory: this does not fail.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// A type of event: what all have in common, and its own members.
fn of_type(ty: &EventType) -> Json {
    let base = if ty.who == Who::Process { "process" } else { "common" };
    let process = process_fields().filter(|_| ty.who == Who::ProcessIfKnown);
    let process = process.map(|field| Field { is_nullable: true, ..*field });
    let (mut properties, required) = members(process.chain(ty.members().copied()));
    properties.insert(0, ("event_type", Json::Object(vec![("const", text(ty.name))])));
    Json::Object(vec![
        ("$ref", text(format!("#/$defs/{base}"))),
        ("properties", Json::Object(properties)),
        ("required", required),
        ("unevaluatedProperties", Json::Bool(false)),
    ])
}

/// Members, and the names of those that are always there.
fn members(fields: impl Iterator<Item = Field>) -> (Vec<(&'static str, Json)>, Json) {
    let fields: Vec<Field> = fields.collect();
    let required = fields.iter().filter(|field| !field.is_optional).map(|field| text(field.name)).collect();
    (fields.iter().map(|field| (field.name, member(field))).collect(), Json::List(required))
}

fn object(fields: impl Iterator<Item = Field>) -> Json {
    let (properties, required) = members(fields);
    Json::Object(vec![("type", text("object")), ("properties", Json::Object(properties)), ("required", required)])
}

fn member(field: &Field) -> Json {
    let unit = if field.unit.is_empty() { String::new() } else { format!(", {}", field.unit) };
    let mut members = vec![("description", text(field.meaning.trim().to_owned() + &unit))];
    members.extend(value(&field.ty, field.is_nullable));
    Json::Object(members)
}

/// What a value has to be.
fn value(ty: &Type, is_nullable: bool) -> Vec<(&'static str, Json)> {
    let of = |name: &str| {
        let one = text(name);
        ("type", if is_nullable { Json::List(vec![one, text("null")]) } else { one })
    };
    match ty {
        Type::Bool => vec![of("boolean")],
        Type::True => vec![("const", Json::Bool(true))],
        Type::Signed { .. } => vec![of("integer")],
        Type::Unsigned { bits, least } => {
            let most = match bits {
                8 => Some(u8::MAX.into()),
                16 => Some(u16::MAX.into()),
                _ => None,
            };
            let most = most.map(|most: u64| ("maximum", Json::Number(most)));
            [of("integer"), ("minimum", Json::Number(*least))].into_iter().chain(most).collect()
        }
        Type::Time => {
            vec![of("string"), ("pattern", text(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"))]
        }
        Type::Host(_) | Type::Named | Type::Text(Form::Any) => vec![of("string")],
        Type::Text(Form::Pattern(pattern)) => vec![of("string"), ("pattern", text(*pattern))],
        Type::CodePoint => vec![of("string"), ("pattern", text("^0x[0-9a-f]{4}$"))],
        Type::Hex => vec![of("string"), ("pattern", text("^0x[0-9a-f]+$"))],
        Type::Text(Form::DateTime) => vec![of("string"), ("format", text("date-time"))],
        Type::Word(words) => {
            let null = is_nullable.then_some(Json::Null);
            vec![("enum", Json::List(words().into_iter().map(text).chain(null).collect()))]
        }
        Type::List { of: item, least, most, is_set } => {
            let mut members = vec![of("array"), ("items", Json::Object(value(item, false)))];
            members.extend((*least > 0).then(|| ("minItems", number(*least))));
            members.extend(most.map(|most| ("maxItems", number(most))));
            members.extend(is_set.then_some(("uniqueItems", Json::Bool(true))));
            members
        }
        Type::Struct(fields) => {
            let Json::Object(mut members) = object(fields.iter().copied()) else { return Vec::new() };
            if let Some(first) = members.first_mut() {
                *first = of("object");
            }
            members.push(("additionalProperties", Json::Bool(false)));
            members
        }
    }
}
