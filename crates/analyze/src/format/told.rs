//! An event's members, taken one by one to where another vocabulary has them; what is left is what that lacks.

use crate::event::{Event, EventWriter};
use crypto_trace_format::record::RecordError;
use serde_json::{Map, Value, json};

/// What carries the handshake of an event: its name, and its number by IANA.
pub fn transport(kind: &str, told: &Told) -> (&'static str, u8) {
    // TLS over TCP is told without it.
    let by_datagrams = ["ike_handshake", "wireguard_handshake"].contains(&kind)
        || kind == "tls_handshake" && told.peek("transport").is_some();
    if by_datagrams { ("udp", 17) } else { ("tcp", 6) }
}

/// Members of one event. Those that are `null` are not there.
#[derive(Debug)]
pub struct Told(Map<String, Value>);

impl Told {
    /// What `writer` shows of an event.
    ///
    /// # Errors
    /// When the record's body is malformed.
    pub fn new(writer: &mut EventWriter, event: &Event<'_>) -> Result<Self, RecordError> {
        let mut json = Vec::with_capacity(1_024);
        writer.write(event, &mut json)?;
        // What it writes is an object.
        Ok(Self::of(serde_json::from_slice(&json).unwrap_or_default()))
    }

    /// Of members.
    pub fn of(mut members: Map<String, Value>) -> Self {
        members.retain(|_, value| !value.is_null());
        Self(members)
    }

    /// Takes a member.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a member that is text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Takes a member that is an object.
    pub fn object(&mut self, name: &str) -> Option<Self> {
        match self.0.remove(name) {
            Some(Value::Object(members)) => Some(Self::of(members)),
            _ => None,
        }
    }

    /// A member that stays.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Puts back what is left of a member.
    pub fn put(&mut self, name: &str, rest: Self) {
        if !rest.0.is_empty() {
            self.0.insert(name.to_owned(), Value::Object(rest.0));
        }
    }

    /// Puts back text that was taken.
    pub fn put_text(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), Value::String(text));
    }

    /// What is left.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }
}

/// An object of those members that there are.
pub fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.filter(|(_, value)| !value.is_null()).collect())
}

/// The object, unless it has no members.
pub fn unless_empty(object: Value) -> Option<Value> {
    let is_empty = object.as_object().is_some_and(Map::is_empty);
    (!is_empty).then_some(object)
}

/// The name in a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

/// The certificate that the server showed as its own, which is the first; the others stay.
pub fn own_certificate(told: &mut Told) -> Option<Told> {
    let Some(Value::Array(mut chain)) = told.take("certificates") else { return None };
    if chain.is_empty() {
        return None;
    }
    let own = chain.remove(0);
    if !chain.is_empty() {
        told.0.insert("certificates".to_owned(), json!(chain));
    }
    match own {
        Value::Object(members) => Some(Told::of(members)),
        _ => None,
    }
}
