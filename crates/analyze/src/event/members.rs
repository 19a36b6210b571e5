//! How the members of an event are declared: once, and everything that is said of them elsewhere comes from there.
//!
//! [`members!`] declares a struct whose fields are members in the order in which they are written. A field's name is the
//! member's, its doc comment the meaning in `docs/events.md`, and its type says the rest: how it is written and redacted, what
//! the JSON Schema allows, which type of column it is, and whether it may be `null` (`Option`) or left out (`When`).
//! What is written can only be what is declared: writing walks the same fields, whether into JSON or into columns ([`Out`]).

use super::object::{Redact, escape_bit};
use crate::capture::clock::WallNs;

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// `true`; the member is left out otherwise.
    True,
    /// A whole number from `least` on, in so many bits.
    Unsigned {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// The least there can be.
        least: u64,
    },
    /// A whole number that may be negative, in so many bits.
    Signed {
        /// 32 or 64.
        bits: u8,
    },
    /// RFC 3339, UTC, microseconds.
    Time,
    /// Text that the analyzer makes, of this form.
    Text(Form),
    /// A number of a registry: `0x1301` as text.
    CodePoint,
    /// The name of a registry's number, or the number; in columns both.
    Named,
    /// A number that is shown in hexadecimal: `0x1f`.
    Hex,
    /// Bytes of the traced host as text.
    Host(Redact),
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A list.
    List {
        /// Of what.
        of: &'static Type,
        /// The least there are.
        least: usize,
        /// The most there are, where there is a limit.
        most: Option<usize>,
        /// No two are the same.
        is_set: bool,
    },
    /// Members within a member.
    Struct(&'static [Field]),
}

/// What a text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Anything.
    Any,
    /// Matches this regular expression.
    Pattern(&'static str),
    /// A date and a time of RFC 3339.
    DateTime,
}

/// One member, as it was declared.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// It may be `null`: not known, or not applicable.
    pub is_nullable: bool,
    /// It may be left out.
    pub is_optional: bool,
    /// `ns`, `bytes`, …; empty where there is none.
    pub unit: &'static str,
    /// What it says, in Markdown.
    pub meaning: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

/// A value of a member.
pub trait Value {
    /// What it is.
    const TYPE: Type;
    /// Whether it may be `null`.
    const IS_NULLABLE: bool = false;
    /// Whether it may be left out.
    const IS_OPTIONAL: bool = false;

    /// Whether it is left out, with its name.
    #[inline]
    fn is_left_out(&self) -> bool {
        false
    }

    /// Appends the value; `bit` is that of its name among those whose text may need escapes.
    fn write<O: Out>(&self, out: &mut O, bit: u32);
}

/// A whole number of any width.
pub trait Number: itoa::Integer + Copy {
    /// Its bits as those of a number of 64: the sign is extended.
    fn bits(self) -> u64;
}

macro_rules! numbers {
    ($($t:ident)*) => {$(
        impl Number for $t {
            #[inline(always)]
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "bits are what is asked for")]
            fn bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}
numbers! { u8 u16 u32 u64 i32 i64 }

/// Where values go: into the text of a JSON object ([`super::object::Object`]) or into columns ([`super::cells::Row`]).
pub trait Out {
    /// A member, unless it is left out; `key` is `,"name":`.
    fn member<T: Value>(&mut self, key: &'static str, bit: u32, value: &T);

    /// Not known, or not applicable.
    fn null(&mut self);

    /// A truth value.
    fn boolean(&mut self, is: bool);

    /// A number.
    fn number(&mut self, number: impl Number);

    /// A number that JSON shows as this text, plain ASCII.
    fn number_as(&mut self, number: u64, text: std::fmt::Arguments<'_>);

    /// A time.
    fn time(&mut self, time: WallNs);

    /// Text that is known to be plain ASCII without quotes and backslashes.
    fn word(&mut self, text: &str);

    /// The same, made on the spot.
    fn made(&mut self, make: impl FnOnce(&mut Vec<u8>));

    /// Text of the traced host that was made ready before: as JSON, or as it is shown.
    fn rendered(&mut self, json: &[u8], shown: &[u8]);

    /// Text that the analyzer made, of any characters.
    fn safe(&mut self, text: &str);

    /// Text of the traced host. `bit` is its member's, see [`escape_bit`].
    fn text(&mut self, bit: u32, text: &[u8], redact: Redact);

    /// The name of a registry's number.
    fn named(&mut self, _number: u16, name: &str) {
        self.safe(name);
    }

    /// A list.
    fn list<'v, T: Value + 'v>(&mut self, values: impl Iterator<Item = &'v T>, bit: u32);

    /// A list of texts of the traced host.
    fn texts<'v>(&mut self, texts: impl Iterator<Item = std::borrow::Cow<'v, [u8]>>, bit: u32, redact: Redact);

    /// Members within a member.
    fn nested<M: Members>(&mut self, members: &M);

    /// Whether home directories are hidden.
    fn redacts(&self) -> bool;
}

/// Members in order.
pub trait Members {
    /// As they were declared.
    const FIELDS: &'static [Field];

    /// Appends them.
    fn write_members<O: Out>(&self, out: &mut O);
}

/// The bit of a member's name among those whose text may need escapes; 0 where it cannot.
pub const fn bit_of<T: Value>(name: &str) -> u32 {
    if may_escape(&T::TYPE) { escape_bit(name) } else { 0 }
}

const fn may_escape(ty: &Type) -> bool {
    match ty {
        Type::Host(_) => true,
        Type::List { of, .. } => may_escape(of),
        _ => false,
    }
}

/// Declares members, see the module.
///
/// `from` is where they come from, of one member `#[from = "…"]`; `#[unit = "ns"]` stands before it. With `also Serialize`
/// they can be part of a report as well.
macro_rules! members {
    (
        $(#[doc = $about:literal])* $vis:vis struct $name:ident from $source:literal also Serialize { $($body:tt)* }
    ) => {
        $crate::event::members::members! { $(#[doc = $about])* $vis struct $name from $source { $($body)* } }
        $crate::event::members::serialized! { $name { $($body)* } }
    };
    (
        $(#[doc = $about:literal])* $vis:vis struct $name:ident $(<$lt:lifetime>)? from $source:literal {
            $(
                $(#[doc = $doc:literal])+ $(#[unit = $unit:literal])? $(#[from = $from:literal])?
                $field:ident : $ty:ty
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug)]
        $vis struct $name $(<$lt>)? { $( $(#[doc = $doc])+ pub $field: $ty, )* }

        impl $(<$lt>)? $crate::event::members::Members for $name $(<$lt>)? {
            const FIELDS: &'static [$crate::event::members::Field] = &[$( $crate::event::members::Field {
                name: stringify!($field),
                ty: <$ty as $crate::event::members::Value>::TYPE,
                is_nullable: <$ty as $crate::event::members::Value>::IS_NULLABLE,
                is_optional: <$ty as $crate::event::members::Value>::IS_OPTIONAL,
                unit: concat!($($unit)?),
                meaning: concat!($($doc),+),
                source: $crate::event::members::first!($($from,)? $source),
            } ),*];

            #[inline(always)]
            fn write_members<O: $crate::event::members::Out>(&self, out: &mut O) {
                $( out.member(
                    concat!(",\"", stringify!($field), "\":"),
                    const { $crate::event::members::bit_of::<$ty>(stringify!($field)) },
                    &self.$field,
                ); )*
            }
        }

        impl $(<$lt>)? $crate::event::members::Value for $name $(<$lt>)? {
            const TYPE: $crate::event::members::Type =
                $crate::event::members::Type::Struct(<Self as $crate::event::members::Members>::FIELDS);

            fn write<O: $crate::event::members::Out>(&self, out: &mut O, _bit: u32) {
                out.nested(self);
            }
        }
    };
}

/// Members as part of a report.
macro_rules! serialized {
    ($name:ident { $( $(#[$meta:meta])* $field:ident : $ty:ty ),* $(,)? }) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if !$crate::event::members::Value::is_left_out(&self.$field) {
                        map.serialize_entry(stringify!($field), &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    };
}

macro_rules! first {
    ($first:literal $(, $rest:literal)*) => {
        $first
    };
}

pub(crate) use {first, members, serialized};
