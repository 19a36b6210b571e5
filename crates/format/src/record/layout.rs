//! The one macro that declares a record's byte layout, and the little-endian integers it is made of.
//!
//! A layout declared here is at once the Rust struct, its decoder and encoder, the schema table written into every
//! segment, and (through `crates/bpf/build.rs`) a `_Static_assert` per field on the C struct that the BPF programs fill.
//! Nothing in here knows what a record means.

/// An integer or byte array with a fixed little-endian form on disk.
pub(crate) trait Le: Sized {
    /// Name in the schema table.
    const TYPE: &'static str;
    /// Reads the value at `offset`; bytes past the end read as zero.
    fn get(bytes: &[u8], offset: usize) -> Self;
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! le_integers {
    ($($t:ident),*) => {$(
        impl Le for $t {
            const TYPE: &'static str = stringify!($t);
            #[inline(always)]
            fn get(bytes: &[u8], offset: usize) -> Self {
                match bytes.get(offset..).and_then(|tail| tail.first_chunk()) {
                    Some(chunk) => <$t>::from_le_bytes(*chunk),
                    None => 0,
                }
            }
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
le_integers!(u16, u32, u64, i32, i64);

/// `comm`, as the kernel keeps it: up to 15 bytes and NUL padding.
pub type Comm = [u8; 16];

impl Le for Comm {
    const TYPE: &'static str = "bytes16";
    #[inline(always)]
    fn get(bytes: &[u8], offset: usize) -> Self {
        bytes.get(offset..).and_then(|tail| tail.first_chunk()).copied().unwrap_or_default()
    }
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// One field of a fixed part, as the schema table tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLayout {
    /// Field name, the same in C and Rust.
    pub name: &'static str,
    /// `u16`, `u32`, `u64`, `i32`, `i64` or `bytes16`; all little-endian.
    pub ty: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

/// Layout of one record kind: fixed part, then its byte strings in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindLayout {
    /// Kind number.
    pub kind: u16,
    /// Kind name, which is the `event_type` users see.
    pub name: &'static str,
    /// Name of the C struct.
    pub c_struct: &'static str,
    /// Size of the fixed part in bytes, a multiple of 8.
    pub fixed_len: usize,
    /// Fields of the fixed part in order.
    pub fields: &'static [FieldLayout],
    /// Byte strings in order; the length of string `s` is the field `s_len`.
    pub strings: &'static [&'static str],
}

/// A fixed part's size as its header gives it; fails to compile when absurd.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn fixed_len(size: usize) -> u16 {
    assert!(size < 4096);
    size as u16
}

/// Declares a `repr(C)` struct of little-endian fields without padding.
macro_rules! layout {
    ($(#[$meta:meta])* pub struct $name:ident { $( $(#[$fmeta:meta])* $field:ident : $ty:ty ),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name { $( $(#[$fmeta])* pub $field: $ty ),* }

        impl $name {
            /// Size on disk in bytes.
            pub const SIZE: usize = core::mem::size_of::<$name>();
            /// Fields in order, with offsets.
            #[allow(dead_code, reason = "of some structs only docs/format.md wants it")]
            pub const FIELDS: &'static [$crate::record::FieldLayout] = &[
                $( $crate::record::FieldLayout {
                    name: stringify!($field),
                    ty: <$ty as $crate::record::layout::Le>::TYPE,
                    offset: core::mem::offset_of!($name, $field),
                    size: core::mem::size_of::<$ty>(),
                } ),*
            ];

            /// Reads the struct from the start of `bytes`; fields past the end read as zero, which is how a
            /// shorter record of an older writer is read.
            #[inline]
            pub fn decode(bytes: &[u8]) -> Self {
                Self { $( $field: <$ty as $crate::record::layout::Le>::get(bytes, core::mem::offset_of!($name, $field)) ),* }
            }

            /// Appends the struct, exactly [`Self::SIZE`] bytes.
            pub fn encode(&self, out: &mut Vec<u8>) {
                $( <$ty as $crate::record::layout::Le>::put(&self.$field, out); )*
            }
        }

        const _: () = {
            let packed = 0 $( + core::mem::size_of::<$ty>() )*;
            assert!(packed == $name::SIZE, concat!(stringify!($name), " has implicit padding"));
            assert!($name::SIZE.is_multiple_of(8), concat!(stringify!($name), " is not a multiple of 8 bytes"));
        };
    };
}

/// Declares one record kind: fixed struct, borrowed view, decoder, encoder and layout.
macro_rules! record {
    (
        $(#[$meta:meta])*
        kind $kind:literal $kind_name:literal as $view:ident, fixed $fixed:ident = $c_struct:literal {
            $( $(#[$fmeta:meta])* $field:ident : $ty:ty ),* $(,)?
        }
        strings { $( $(#[$smeta:meta])* $string:ident [$len:ident] ),* $(,)? }
    ) => {
        $crate::record::layout::layout! {
            #[doc = concat!("Fixed part of a `", $kind_name, "` record.")]
            pub struct $fixed { $( $(#[$fmeta])* $field : $ty ),* }
        }

        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $view<'a> {
            /// Fixed part.
            pub fixed: $fixed,
            $( $(#[$smeta])* pub $string: &'a [u8], )*
            #[doc(hidden)]
            pub _borrow: core::marker::PhantomData<&'a [u8]>,
        }

        impl<'a> $view<'a> {
            /// Kind of this record.
            pub const KIND: $crate::record::Kind = $crate::record::Kind($kind);
            /// Byte layout.
            pub const LAYOUT: $crate::record::KindLayout = $crate::record::KindLayout {
                kind: $kind,
                name: $kind_name,
                c_struct: $c_struct,
                fixed_len: $fixed::SIZE,
                fields: $fixed::FIELDS,
                strings: &[ $( stringify!($string) ),* ],
            };

            /// Decodes the body of a record of this kind.
            ///
            /// # Errors
            /// [`RecordError`](crate::record::RecordError) when a string reaches past the end of the record.
            #[inline]
            #[allow(unused_mut, unused_variables, unused_assignments)]
            pub fn decode(record: &$crate::record::Record<'a>) -> Result<Self, $crate::record::RecordError> {
                let fixed = $fixed::decode(record.fixed_bytes());
                let mut strings = record.string_bytes();
                $( let $string = $crate::record::take_string(&mut strings, fixed.$len, record.header.kind, stringify!($string))?; )*
                Ok(Self { fixed, $( $string, )* _borrow: core::marker::PhantomData })
            }

            /// Appends a whole record: header, fixed part, strings, zero padding to 8 bytes.
            ///
            /// `kind`, `len` and `fixed_len` of `header` and every `*_len` field are filled in here. A string longer than its
            /// `u16` length can express is cut, and the record flagged [`flags::TRUNCATED`](crate::record::flags::TRUNCATED).
            #[allow(unused_mut)]
            pub fn encode(&self, mut header: $crate::record::Header, out: &mut Vec<u8>) {
                let start = out.len();
                let mut fixed = self.fixed;
                $( fixed.$len = $crate::record::string_len(self.$string, &mut header.flags); )*
                header.kind = $kind;
                header.fixed_len = const { $crate::record::layout::fixed_len($fixed::SIZE) };
                header.encode(out);
                fixed.encode(out);
                $( out.extend(self.$string.iter().take(usize::from(fixed.$len))); )*
                $crate::record::finish_record(out, start);
            }
        }
    };
}

pub(crate) use {layout, record};
