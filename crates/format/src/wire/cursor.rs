//! Reads big-endian fields and length-prefixed vectors from bytes that may be cut short.

use std::cell::Cell;

/// Why bytes could not be read as a handshake message at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The message is of another type.
    #[error("handshake message of type {found}, not {expected}")]
    WrongType {
        /// What was asked for.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// Cut before anything of use.
    #[error("handshake message cut after {available_bytes} bytes")]
    TooShort {
        /// How much of it there is.
        available_bytes: usize,
    },
}

/// What was found wrong while reading one message.
#[derive(Debug, Default)]
pub struct Shape {
    /// The message goes on where the bytes end.
    pub truncated: Cell<bool>,
    /// A length in it contradicts another.
    pub malformed: Cell<bool>,
}

/// A place in a message, or in a vector inside it.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// Where `rest` is in the message.
    at: usize,
    /// Whether bytes that are missing at the end are so because the message was cut.
    cut: bool,
    /// Whether there are as many bytes as the length before them promised.
    complete: bool,
    shape: &'a Shape,
}

impl<'a> Cursor<'a> {
    /// The body of a handshake message of one type; `bytes` may go on after it, or end before.
    ///
    /// # Errors
    /// Another type of message, or cut within its header.
    pub fn message(bytes: &'a [u8], expected: u8, shape: &'a Shape) -> Result<Self, ParseError> {
        let mut header = Self::cut(bytes, shape);
        let too_short = ParseError::TooShort { available_bytes: bytes.len() };
        let found = header.u8().ok_or(too_short)?;
        if found != expected {
            return Err(ParseError::WrongType { expected, found });
        }
        let len = header.u24().ok_or(too_short)?;
        Ok(header.part(len))
    }

    /// Bytes that are known to be all there is.
    pub fn whole(bytes: &'a [u8], shape: &'a Shape) -> Self {
        Self { rest: bytes, at: 0, cut: false, complete: true, shape }
    }

    /// Bytes that would go on, had they not been cut.
    pub fn cut(bytes: &'a [u8], shape: &'a Shape) -> Self {
        Self { rest: bytes, at: 0, cut: true, complete: true, shape }
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    #[inline]
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Where what is left is: its offset in what the first cursor was made of.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether bytes at the end are missing because the message was cut.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether it is as long as the length before it promised.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes, as a number.
    #[inline]
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes, as a number.
    #[inline]
    pub fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// Takes `N` bytes, or everything that is left when there are fewer.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                self.at += N;
                Some(*array)
            }
            None => {
                self.at += self.rest.len();
                self.rest = &[];
                self.short();
                None
            }
        }
    }

    /// The next `len` bytes, or as many of them as there are.
    #[inline]
    pub fn part(&mut self, len: usize) -> Self {
        let at = self.at;
        self.at += len.min(self.rest.len());
        match self.rest.split_at_checked(len) {
            Some((part, rest)) => {
                self.rest = rest;
                Self { rest: part, at, cut: false, complete: true, shape: self.shape }
            }
            None => {
                self.short();
                Self { rest: std::mem::take(&mut self.rest), at, complete: false, ..*self }
            }
        }
    }

    /// A vector with a length of one byte before it.
    #[inline]
    pub fn vec8(&mut self) -> Option<Self> {
        let len = self.u8()?;
        Some(self.part(len.into()))
    }

    /// A vector with a length of two bytes before it.
    #[inline]
    pub fn vec16(&mut self) -> Option<Self> {
        let len = self.u16()?;
        Some(self.part(len.into()))
    }

    /// A vector with a length of three bytes before it.
    #[inline]
    pub fn vec24(&mut self) -> Option<Self> {
        let len = self.u24()?;
        Some(self.part(len))
    }

    /// The rest as numbers of two bytes.
    pub fn u16s(mut self) -> impl Iterator<Item = u16> {
        std::iter::from_fn(move || if self.is_empty() { None } else { self.u16() })
    }

    fn short(&self) {
        let flag = if self.cut { &self.shape.truncated } else { &self.shape.malformed };
        flag.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_not_a_contradiction() {
        let check = |bytes: &[u8], truncated: bool, malformed: bool| {
            let shape = Shape::default();
            let mut body = Cursor::message(bytes, 1, &shape).expect("a header");
            let numbers: Vec<u16> = body.vec8().map(|list| list.u16s().collect()).unwrap_or_default();
            assert_eq!((shape.truncated.get(), shape.malformed.get()), (truncated, malformed), "{bytes:?}");
            numbers.len()
        };
        assert_eq!(check(&[1, 0, 0, 5, 4, 1, 2, 3, 4], false, false), 2);
        // Trailing bytes belong to the next message.
        assert_eq!(check(&[1, 0, 0, 5, 4, 1, 2, 3, 4, 99], false, false), 2);
        // The message goes on after the bytes.
        assert_eq!(check(&[1, 0, 0, 5, 4, 1, 2, 3], true, false), 1);
        assert_eq!(check(&[1, 0, 0, 5], true, false), 0);
        // The vector is longer than the message.
        assert_eq!(check(&[1, 0, 0, 5, 6, 1, 2, 3, 4], false, true), 2);
        // Half a number at the end of a vector that is all there.
        assert_eq!(check(&[1, 0, 0, 5, 3, 1, 2, 3, 4], false, true), 1);
    }

    #[test]
    fn not_the_message_asked_for() {
        let shape = Shape::default();
        let error = |bytes| Cursor::message(bytes, 1, &shape).expect_err("no message");
        assert_eq!(error(&[2, 0, 0, 0]), ParseError::WrongType { expected: 1, found: 2 });
        assert_eq!(error(&[1, 0, 0]), ParseError::TooShort { available_bytes: 3 });
        assert_eq!(error(&[]), ParseError::TooShort { available_bytes: 0 });
    }
}
