//! What the programs are told of libraries: the functions that can be probed, and what is known of each file.

use std::mem::offset_of;

use libbpf_rs::{MapCore as _, MapFlags};

use crate::error::LoadError;
use crate::numbers::{
    ACCESSOR_STEPS, ACCESSORS, AGAIN_MAX, ALGORITHM_NONE, ALGORITHM_NUMBER, ALGORITHM_OBJECT, ALGORITHM_POINTER,
    ALGORITHM_TEXT, BY, DOES_COUNT, DOES_DESCRIPTOR, DOES_FORGET, DOES_HANDSHAKE, DOES_TELL, FUNCTION_MAX, NO_ACCESSOR,
    RETURNS_INT, RETURNS_NOTHING, RETURNS_POINTER,
};
use crate::programs::Programs;
use crate::skel::types;

/// What a probe on a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Does {
    /// Records the call.
    Tell = DOES_TELL,
    /// Records the call that ends a handshake.
    Handshake = DOES_HANDSHAKE,
    /// Remembers the connection's descriptor, which is its number argument.
    Descriptor = DOES_DESCRIPTOR,
    /// Forgets the connection.
    Forget = DOES_FORGET,
    /// Counts the call by the algorithm it is given.
    Count = DOES_COUNT,
}

/// How a function is told which algorithm to use. Numbers are those of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// It is the function's own.
    Own,
    /// A text ended by NUL.
    Text(u8),
    /// A number.
    Number(u8),
    /// A pointer to a number.
    Pointer(u8),
    /// An object, whose name or number accessors tell.
    Object(u8),
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Returns {
    /// `int`.
    Int = RETURNS_INT,
    /// A pointer: recorded as 1, or 0 when it is null.
    Pointer = RETURNS_POINTER,
    /// Nothing that is recorded.
    Nothing = RETURNS_NOTHING,
}

/// A function that can be probed. Arguments are counted from 0, at most 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRow {
    /// Its name, at most [`FunctionRow::MAX_NAME`] bytes.
    pub name: String,
    /// What a probe on it does.
    pub does: Does,
    /// What it returns.
    pub returns: Returns,
    /// See `ApiMeaning` of the format crate.
    pub meaning: u16,
    /// The connection or context.
    pub object: Option<u8>,
    /// A text ended by NUL.
    pub text: Option<u8>,
    /// Length of the text, which then is not ended by NUL.
    pub length: Option<u8>,
    /// A number.
    pub number: Option<u8>,
    /// Only calls that have this value in this argument.
    pub only: Option<(u8, u32)>,
    /// What a handshake returns that succeeded.
    pub success: i64,
    /// What a handshake returns that is to be called again.
    pub again: Vec<i64>,
    /// Which algorithm a call that is counted is for.
    pub algorithm: Algorithm,
    /// Accessors of the library, by number, that tell the algorithm's name or number; at most [`FunctionRow::MAX_BY`].
    pub by: Vec<u8>,
    /// Asked when the algorithm is null: argument and accessors of the object that has one already.
    pub context: Option<(u8, Vec<u8>)>,
}

impl FunctionRow {
    /// Longest name in bytes.
    pub const MAX_NAME: usize = FUNCTION_MAX - 1;
    /// Most values of [`FunctionRow::again`].
    pub const MAX_AGAIN: usize = AGAIN_MAX;
    /// Most accessors that are tried for one algorithm.
    pub const MAX_BY: usize = BY;

    /// The arguments that are looked at.
    pub fn arguments(&self) -> Vec<u8> {
        let algorithm = match self.algorithm {
            Algorithm::Own => None,
            Algorithm::Text(n) | Algorithm::Number(n) | Algorithm::Pointer(n) | Algorithm::Object(n) => Some(n),
        };
        let (only, context) = (self.only.map(|(n, _)| n), self.context.as_ref().map(|(n, _)| *n));
        [self.object, self.text, self.length, self.number, only, algorithm, context].into_iter().flatten().collect()
    }
}

/// How to come from an object to a number in it: pointers at all offsets but the last are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Accessor {
    /// At most [`Accessor::MAX_STEPS`].
    pub offsets: Vec<u16>,
    /// Bytes of the number: 2, 4, or 8 when it is a pointer to a text.
    pub size: u8,
    /// Only objects that have this value there.
    pub guard: Option<Guard>,
}

impl Accessor {
    /// Most pointers that are followed, and the number.
    pub const MAX_STEPS: usize = ACCESSOR_STEPS;
}

/// A condition on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Where.
    pub offset: u16,
    /// Bytes: 1 or 4.
    pub size: u8,
    /// What must be there.
    pub value: u32,
}

/// What is known of one library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LibraryRow {
    /// Device in the kernel's form.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// See [`Programs::real_inode`]; 0: not known.
    pub inode: u64,
    /// A connection's version.
    pub version: Option<Accessor>,
    /// What is added to it to make it a code point.
    pub version_base: u16,
    /// Versions from here on have no code point; 0: all have.
    pub version_limit: u16,
    /// A connection's cipher suite, by its code point.
    pub suite: Option<Accessor>,
    /// What tells algorithms, by number; at most [`LibraryRow::MAX_ACCESSORS`].
    pub accessors: Vec<Option<Accessor>>,
    /// What a connection waits for whose call did not succeed, and the value that means: for nothing.
    pub waiting: Option<(Accessor, u32)>,
}

impl LibraryRow {
    /// Most accessors for algorithms.
    pub const MAX_ACCESSORS: usize = ACCESSORS;
}

impl Programs {
    /// Tells the programs what functions there are.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_functions(&self, rows: &[FunctionRow]) -> Result<(), LoadError> {
        for (i, row) in (0u32..).zip(rows) {
            self.skel
                .maps
                .functions
                .update(&i.to_ne_bytes(), &function_row(row), MapFlags::ANY)
                .map_err(|e| LoadError::new("set the probed functions", e))?;
        }
        Ok(())
    }

    /// Tells the programs that a library has been examined: loads of it are not urgent any more.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn know_file(&self, dev: u64, ino: u64) -> Result<(), LoadError> {
        let key = [dev.to_ne_bytes(), ino.to_ne_bytes()].concat();
        let known = &self.skel.maps.known_files;
        known.update(&key, &[1], MapFlags::ANY).map_err(|e| LoadError::new("set a known library", e))
    }

    /// That a library is looked at no more: its next load is urgent again.
    pub fn forget_file(&self, dev: u64, ino: u64) {
        // It may have been pushed out by others.
        let _ = self.skel.maps.known_files.delete(&[dev.to_ne_bytes(), ino.to_ne_bytes()].concat());
    }
}

/// The bytes of a map's value, put together by the layout that the skeleton tells.
struct Value<const N: usize>([u8; N]);

impl<const N: usize> Value<N> {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_accessor(&mut self, at: usize, accessor: Option<&Accessor>) {
        let Some(accessor) = accessor.filter(|accessor| accessor.offsets.len() <= Accessor::MAX_STEPS) else { return };
        let mut put = |offset: usize, bytes: &[u8]| self.put(at + offset, bytes);
        for (i, offset) in accessor.offsets.iter().enumerate() {
            put(offset_of!(types::ct_accessor, offsets) + 2 * i, &offset.to_ne_bytes());
        }
        put(offset_of!(types::ct_accessor, steps), &[u8::try_from(accessor.offsets.len()).unwrap_or(0)]);
        put(offset_of!(types::ct_accessor, size), &[accessor.size]);
        if let Some(guard) = accessor.guard {
            put(offset_of!(types::ct_accessor, guard_offset), &guard.offset.to_ne_bytes());
            put(offset_of!(types::ct_accessor, guard_value), &guard.value.to_ne_bytes());
            put(offset_of!(types::ct_accessor, guard_size), &[guard.size]);
        }
    }
}

fn function_row(row: &FunctionRow) -> [u8; size_of::<types::ct_function>()] {
    let mut value = Value([0; size_of::<types::ct_function>()]);
    let name = row.name.as_bytes();
    let name = name.get(..FunctionRow::MAX_NAME).unwrap_or(name);
    let argument = |n: Option<u8>| n.map_or(-1, |n| i8::try_from(n).unwrap_or(-1)).to_ne_bytes();
    value.put(offset_of!(types::ct_function, name), name);
    value.put(offset_of!(types::ct_function, name_len), &u16::try_from(name.len()).unwrap_or(0).to_ne_bytes());
    value.put(offset_of!(types::ct_function, only_arg), &argument(row.only.map(|(n, _)| n)));
    let only = row.only.map_or(0, |(_, value)| u64::from(value));
    value.put(offset_of!(types::ct_function, only_value), &only.to_ne_bytes());
    value.put(offset_of!(types::ct_function, success), &row.success.to_ne_bytes());
    let again = row.again.get(..FunctionRow::MAX_AGAIN).unwrap_or(&row.again);
    for (i, result) in again.iter().enumerate() {
        value.put(offset_of!(types::ct_function, again) + 8 * i, &result.to_ne_bytes());
    }
    value.put(offset_of!(types::ct_function, again_count), &[u8::try_from(again.len()).unwrap_or(0)]);
    value.put(offset_of!(types::ct_function, meaning), &row.meaning.to_ne_bytes());
    value.put(offset_of!(types::ct_function, does), &[row.does as u8]);
    value.put(offset_of!(types::ct_function, returns), &[row.returns as u8]);
    value.put(offset_of!(types::ct_function, object_arg), &argument(row.object));
    value.put(offset_of!(types::ct_function, text_arg), &argument(row.text));
    value.put(offset_of!(types::ct_function, length_arg), &argument(row.length));
    value.put(offset_of!(types::ct_function, number_arg), &argument(row.number));
    let (algorithm, place) = match row.algorithm {
        Algorithm::Own => (ALGORITHM_NONE, None),
        Algorithm::Text(place) => (ALGORITHM_TEXT, Some(place)),
        Algorithm::Number(place) => (ALGORITHM_NUMBER, Some(place)),
        Algorithm::Pointer(place) => (ALGORITHM_POINTER, Some(place)),
        Algorithm::Object(place) => (ALGORITHM_OBJECT, Some(place)),
    };
    value.put(offset_of!(types::ct_function, algorithm), &[algorithm]);
    value.put(offset_of!(types::ct_function, algorithm_arg), &argument(place));
    let accessors = |of: &[u8]| [of.first(), of.get(1)].map(|n| n.copied().unwrap_or(NO_ACCESSOR));
    value.put(offset_of!(types::ct_function, by), &accessors(&row.by));
    value.put(offset_of!(types::ct_function, context_arg), &argument(row.context.as_ref().map(|(n, _)| *n)));
    let context_by = row.context.as_ref().map_or(&[][..], |(_, by)| by);
    value.put(offset_of!(types::ct_function, context_by), &accessors(context_by));
    value.0
}

pub(crate) fn library_row(row: &LibraryRow) -> [u8; size_of::<types::ct_library>()] {
    let mut value = Value([0; size_of::<types::ct_library>()]);
    value.put(offset_of!(types::ct_library, dev), &row.dev.to_ne_bytes());
    value.put(offset_of!(types::ct_library, ino), &row.ino.to_ne_bytes());
    value.put(offset_of!(types::ct_library, inode), &row.inode.to_ne_bytes());
    value.put_accessor(offset_of!(types::ct_library, version), row.version.as_ref());
    value.put_accessor(offset_of!(types::ct_library, suite), row.suite.as_ref());
    for (i, accessor) in row.accessors.iter().take(LibraryRow::MAX_ACCESSORS).enumerate() {
        let at = offset_of!(types::ct_library, accessors) + i * size_of::<types::ct_accessor>();
        value.put_accessor(at, accessor.as_ref());
    }
    value.put_accessor(offset_of!(types::ct_library, waiting), row.waiting.as_ref().map(|(accessor, _)| accessor));
    let not_waiting = row.waiting.as_ref().map_or(0, |(_, idle)| *idle);
    value.put(offset_of!(types::ct_library, not_waiting), &not_waiting.to_ne_bytes());
    value.put(offset_of!(types::ct_library, version_base), &row.version_base.to_ne_bytes());
    value.put(offset_of!(types::ct_library, version_limit), &row.version_limit.to_ne_bytes());
    value.0
}
