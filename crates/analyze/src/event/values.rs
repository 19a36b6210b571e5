//! What members can hold: each type says how it is written, and what schema and columns are to know of it.

use super::members::{Form, Out, Type, Value};
use super::object::Redact;
use crate::capture::clock::WallNs;
use crate::words::kernel::errno_name;
use crate::words::redact;
use crate::words::secrets;
use crypto_trace_format::catalog::{Confidence, FileType, JudgedBy};
use crypto_trace_format::record::{
    ApiLevel, ApiMeaning, CertificateFileState, ChangeCall, Kind, LossCause, ProbeState, SuppressionReason, Tier,
};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{Display, LowerHex};

/// Left out where there is none.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct When<T>(pub Option<T>);

impl<T> When<T> {
    /// There when `holds`.
    #[inline(always)]
    pub fn if_so(holds: bool, value: T) -> Self {
        Self(holds.then_some(value))
    }
}

impl<T: Value> Value for When<T> {
    const TYPE: Type = T::TYPE;
    const IS_NULLABLE: bool = T::IS_NULLABLE;
    const IS_OPTIONAL: bool = true;

    #[inline(always)]
    fn is_left_out(&self) -> bool {
        self.0.is_none()
    }

    #[inline(always)]
    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        if let Some(value) = &self.0 {
            value.write(out, bit);
        }
    }
}

/// `null` where there is none.
impl<T: Value> Value for Option<T> {
    const TYPE: Type = T::TYPE;
    const IS_NULLABLE: bool = true;
    const IS_OPTIONAL: bool = T::IS_OPTIONAL;

    #[inline(always)]
    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        match self {
            Some(value) => value.write(out, bit),
            None => out.null(),
        }
    }
}

macro_rules! integers {
    ($($t:ident: $type:expr;)*) => {$(
        impl Value for $t {
            const TYPE: Type = $type;

            #[inline]
            fn write<O: Out>(&self, out: &mut O, _bit: u32) {
                out.number(*self);
            }
        }
    )*};
}
integers! {
    u8: Type::Unsigned { bits: 8, least: 0 };
    u16: Type::Unsigned { bits: 16, least: 0 };
    u32: Type::Unsigned { bits: 32, least: 0 };
    u64: Type::Unsigned { bits: 64, least: 0 };
    i32: Type::Signed { bits: 32 };
    i64: Type::Signed { bits: 64 };
}

/// A number that is never below `LEAST`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct AtLeast<const LEAST: u64>(u64);

impl<const LEAST: u64> AtLeast<LEAST> {
    /// The number, unless it is below.
    pub fn new(number: impl TryInto<u64>) -> Option<Self> {
        number.try_into().ok().filter(|number| *number >= LEAST).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<const LEAST: u64> Value for AtLeast<LEAST> {
    const TYPE: Type = Type::Unsigned { bits: 64, least: LEAST };

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.number(self.0);
    }
}

impl Value for bool {
    const TYPE: Type = Type::Bool;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.boolean(*self);
    }
}

/// `true`.
#[derive(Debug, Clone, Copy)]
pub struct True;

impl Value for True {
    const TYPE: Type = Type::True;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.boolean(true);
    }
}

impl Value for WallNs {
    const TYPE: Type = Type::Time;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.time(*self);
    }
}

/// An absolute path of the traced host.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a>(pub &'a [u8]);

/// Text of the traced host, with paths in it.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a [u8]);

/// Text of the traced host that may hold secrets as well, such as `pin-value` in a PKCS#11 URI.
#[derive(Debug, Clone, Copy)]
pub struct Secret<'a>(pub &'a [u8]);

macro_rules! host_texts {
    ($($name:ident: $redact:expr;)*) => {$(
        impl Value for $name<'_> {
            const TYPE: Type = Type::Host($redact);

            #[inline]
            fn write<O: Out>(&self, out: &mut O, bit: u32) {
                out.text(bit, self.0, $redact);
            }
        }
    )*};
}
host_texts! {
    Path: Redact::Path;
    Text: Redact::Text;
    Secret: Redact::Secret;
}

/// Text that is absent where it is empty.
#[inline]
pub fn some(text: &[u8]) -> Option<&[u8]> {
    Some(text).filter(|text| !text.is_empty())
}

/// A path as it was passed, which may be relative; of `real` is what redacting takes out.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// What was passed.
    pub passed: &'a [u8],
    /// The path that it led to.
    pub real: &'a [u8],
}

impl Value for Passed<'_> {
    const TYPE: Type = Type::Host(Redact::Path);

    #[inline]
    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        if out.redacts() && self.passed.first() != Some(&b'/') {
            let mut relative = Vec::with_capacity(self.passed.len());
            redact::relative(self.passed, self.real, &mut relative);
            out.text(bit, &relative, Redact::Text);
        } else {
            out.text(bit, self.passed, Redact::Path);
        }
    }
}

/// Arguments joined by spaces, from a list in which each is ended by NUL.
#[derive(Debug, Clone, Copy)]
pub struct CommandLine<'a>(pub &'a [u8]);

impl Value for CommandLine<'_> {
    const TYPE: Type = Type::Host(Redact::Secret);

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        let argv = if out.redacts() { secrets::mask(self.0) } else { self.0.into() };
        out.text(bit, &cmdline(&argv), Redact::Text);
    }
}

/// Arguments joined by spaces.
pub fn cmdline(argv: &[u8]) -> Vec<u8> {
    let argv = argv.strip_suffix(b"\0").unwrap_or(argv);
    argv.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect()
}

/// Arguments one by one, from the same.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a>(pub &'a [u8]);

impl Value for Arguments<'_> {
    const TYPE: Type = Type::List { of: &Type::Host(Redact::Secret), least: 0, most: None, is_set: false };

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        let argv = if out.redacts() { secrets::mask(self.0) } else { self.0.into() };
        // One empty argument is a NUL; no argument is nothing.
        let count = usize::from(!argv.is_empty()) * usize::MAX;
        let argv = argv.strip_suffix(b"\0").unwrap_or(&argv);
        // One scheme for the whole list: an escape in one argument must not leave the others ambiguous.
        let any_escaped = std::str::from_utf8(argv).is_err();
        let arguments = argv.split(|byte| *byte == 0).take(count).map(|argument| {
            if any_escaped && argument.contains(&b'\\') && std::str::from_utf8(argument).is_ok() {
                let twice = |byte: &u8| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'\\'));
                Cow::Owned(argument.iter().flat_map(twice).collect())
            } else {
                Cow::Borrowed(argument)
            }
        });
        out.texts(arguments, bit, Redact::Text);
    }
}

/// Implements [`Value`] for texts that the analyzer makes, plain ASCII.
macro_rules! made_texts {
    ($($t:ty: $form:expr, |$this:ident, $out:ident| $write:expr;)*) => {$(
        impl Value for $t {
            const TYPE: Type = Type::Text($form);

            #[inline]
            fn write<O: $crate::event::members::Out>(&self, out: &mut O, _bit: u32) {
                let $this = self;
                out.made(|$out: &mut Vec<u8>| $write);
            }
        }
    )*};
}
pub(super) use made_texts;

/// Appends formatted text that is known to be plain ASCII.
fn format(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    // Writing to a Vec does not fail.
    let _ = out.write_fmt(text);
}

/// Appends a number.
fn decimal(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `8:1`, of `MAJOR << 20 | MINOR`.
#[derive(Debug, Clone, Copy)]
pub struct Device(pub u64);

/// Type and permissions of a file, six octal digits or more.
#[derive(Debug, Clone, Copy)]
pub struct InodeMode(pub u32);

/// A mode as passed, four octal digits or more.
#[derive(Debug, Clone, Copy)]
pub struct Mode(pub u32);

/// `0x1f`
#[derive(Debug, Clone, Copy)]
pub struct Hex<T>(pub T);

/// `0x1301`
#[derive(Debug, Clone, Copy)]
pub struct CodePoint(pub u16);

/// Bytes in hexadecimal.
#[derive(Debug, Clone, Copy)]
pub struct HexBytes<'a>(pub &'a [u8]);

/// The name of an errno.
#[derive(Debug, Clone, Copy)]
pub struct Errno(pub u32);

/// The name of a registry's code point, or the code point.
#[derive(Debug, Clone, Copy)]
pub struct Code<T>(pub T);

/// The same where no other member has the code point: columns have both.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Named {
    #[serde(skip)]
    number: u16,
    name: String,
}

impl<T: Display + Copy + Into<u16>> From<T> for Named {
    fn from(code: T) -> Self {
        Self { number: code.into(), name: code.to_string() }
    }
}

impl Value for Named {
    const TYPE: Type = Type::Named;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.named(self.number, &self.name);
    }
}

/// SHA-256, in hexadecimal.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Sha256(pub String);

/// Bytes of a number, in hexadecimal, with a `-` when it is negative.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Serial(pub String);

/// RFC 3339, seconds.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct DateTime(pub String);

made_texts! {
    Device: Form::Pattern(r"^\d+:\d+$"), |this, out| {
        decimal(out, this.0 >> 20);
        out.push(b':');
        decimal(out, this.0 & 0xf_ffff);
    };
    InodeMode: Form::Pattern("^[0-7]+$"), |this, out| octal(this.0, out);
    Mode: Form::Pattern("^[0-7]+$"), |this, out| format(out, format_args!("{:04o}", this.0));
    HexBytes<'_>: Form::Pattern("^([0-9a-f]{2})+$"), |this, out| {
        this.0.iter().for_each(|byte| format(out, format_args!("{byte:02x}")));
    };
    Errno: Form::Any, |this, out| match errno_name(this.0) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => format(out, format_args!("errno {}", this.0)),
    };
    &'static str: Form::Any, |this, out| out.extend_from_slice(this.as_bytes());
    Cow<'static, str>: Form::Any, |this, out| out.extend_from_slice(this.as_bytes());
}

/// Implements [`Value`] for texts of any characters.
macro_rules! safe_texts {
    ($($t:ty: $form:expr, |$this:ident| $text:expr;)*) => {$(
        impl Value for $t {
            const TYPE: Type = Type::Text($form);

            #[inline]
            fn write<O: Out>(&self, out: &mut O, _bit: u32) {
                let $this = self;
                out.safe($text);
            }
        }
    )*};
}
safe_texts! {
    String: Form::Any, |this| this;
    Sha256: Form::Pattern("^[0-9a-f]{64}$"), |this| &this.0;
    Serial: Form::Pattern("^-?([0-9a-f]{2})+$"), |this| &this.0;
    DateTime: Form::DateTime, |this| &this.0;
}

impl Value for CodePoint {
    const TYPE: Type = Type::CodePoint;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.number_as(self.0.into(), format_args!("{:#06x}", self.0));
    }
}

impl<T: LowerHex + Copy + Into<u64>> Value for Hex<T> {
    const TYPE: Type = Type::Hex;

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.number_as(self.0.into(), format_args!("{:#x}", self.0));
    }
}

impl<T: Display> Value for Code<T> {
    const TYPE: Type = Type::Text(Form::Any);

    fn write<O: Out>(&self, out: &mut O, _bit: u32) {
        out.made(|out| format(out, format_args!("{}", self.0)));
    }
}

#[inline]
fn octal(number: u32, out: &mut Vec<u8>) {
    let mut digits = *b"00000000000";
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest & 7).unwrap_or_default();
        rest >>= 3;
        used += 1;
        if rest == 0 && used >= 6 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Implements [`Value`] for numbered names.
macro_rules! words_of {
    ($($t:ty: $words:expr;)*) => {$(
        impl Value for $t {
            const TYPE: Type = Type::Word(|| $words);

            #[inline]
            fn write<O: Out>(&self, out: &mut O, _bit: u32) {
                out.word(self.name());
            }
        }
    )*};
}

/// The names of codes; those of newer versions are `unknown`.
fn with_unknown<T>(names: &[(T, &'static str)]) -> Vec<&'static str> {
    names.iter().map(|(_, name)| *name).chain(["unknown"]).collect()
}

words_of! {
    ApiLevel: with_unknown(ApiLevel::NAMES);
    CertificateFileState: with_unknown(CertificateFileState::NAMES);
    ApiMeaning: with_unknown(ApiMeaning::NAMES);
    ChangeCall: with_unknown(ChangeCall::NAMES);
    LossCause: with_unknown(LossCause::NAMES);
    ProbeState: with_unknown(ProbeState::NAMES);
    SuppressionReason: with_unknown(SuppressionReason::NAMES);
    Tier: with_unknown(Tier::NAMES);
    FileType: FileType::ALL.iter().map(|file_type| file_type.name()).collect();
    Confidence: [Confidence::High, Confidence::Medium, Confidence::Low].map(Confidence::name).into();
    JudgedBy: [JudgedBy::Name, JudgedBy::Suffix, JudgedBy::Words, JudgedBy::Directory, JudgedBy::Use]
        .map(JudgedBy::name)
        .into();
}

/// The event type of a record's kind; `None` for one of a newer version.
pub fn kind_name(kind: u16) -> Option<&'static str> {
    Kind(kind).name()
}

/// Declares a type of one of these words.
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis $name:ident: $($word:literal)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $vis struct $name(&'static str);

        impl $name {
            /// A word that must be one of them.
            #[inline]
            $vis fn new(word: &'static str) -> Self {
                debug_assert!([$($word),*].contains(&word), "{word} is none of {:?}", [$($word),*]);
                Self(word)
            }
        }

        impl $crate::event::members::Value for $name {
            const TYPE: $crate::event::members::Type = $crate::event::members::Type::Word(|| vec![$($word),*]);

            #[inline]
            fn write<O: $crate::event::members::Out>(&self, out: &mut O, _bit: u32) {
                out.word(self.0);
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0)
            }
        }
    };
}
pub(super) use words;

/// A list, which may be empty.
impl<T: Value> Value for Vec<T> {
    const TYPE: Type = Type::List { of: &T::TYPE, least: 0, most: None, is_set: false };

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        out.list(self.iter(), bit);
    }
}

/// A list that is left out where it is empty.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Listed<T>(pub Vec<T>);

impl<T: Value> Value for Listed<T> {
    const TYPE: Type = Type::List { of: &T::TYPE, least: 1, most: None, is_set: false };
    const IS_OPTIONAL: bool = true;

    #[inline]
    fn is_left_out(&self) -> bool {
        self.0.is_empty()
    }

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        out.list(self.0.iter(), bit);
    }
}

/// A list that has a limit.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct AtMost<const MOST: usize, T>(pub Vec<T>);

impl<const MOST: usize, T: Value> Value for AtMost<MOST, T> {
    const TYPE: Type = Type::List { of: &T::TYPE, least: 0, most: Some(MOST), is_set: false };

    fn write<O: Out>(&self, out: &mut O, bit: u32) {
        out.list(self.0.iter(), bit);
    }
}
