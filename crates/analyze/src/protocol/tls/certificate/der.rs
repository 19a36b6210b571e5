//! Takes the encodings of ASN.1 apart: DER (ITU-T X.690), and of BER what other readers of certificates accept too: lengths
//! that are longer than need be, and lengths that are not given.

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET.
pub(super) const SET: u8 = 0x31;
/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// NULL.
pub(super) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub(super) const OID: u8 = 0x06;
/// `[number]` of a context, with elements in it.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Elements without a given length may lie in one another so deep.
const MAX_DEPTH: usize = 8;

/// Why an element could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DerError {
    /// There are fewer bytes than its length says, or none.
    #[error("it ends too early")]
    Short,
    /// The length cannot be read.
    #[error("a length that cannot be read")]
    Length,
    /// It is something else.
    #[error("tag {found:#04x} in place of {expected:#04x}")]
    Tag {
        /// The identifier octet that should be there.
        expected: u8,
        /// The one that is.
        found: u8,
    },
    /// It has no legal value.
    #[error("an illegal value")]
    Value,
}

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Its first identifier octet: class, whether it is made of others, number.
    pub tag: u8,
    /// What is in it.
    pub body: &'a [u8],
    /// All of it.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements in it, if it is one of `tag`.
    pub fn within(self, tag: u8) -> Result<Elements<'a>, DerError> {
        self.as_tag(tag).map(Elements::new)
    }

    /// What is in it, if it is one of `tag`.
    pub fn as_tag(self, tag: u8) -> Result<&'a [u8], DerError> {
        if self.tag == tag { Ok(self.body) } else { Err(DerError::Tag { expected: tag, found: self.tag }) }
    }

    /// An object identifier in dotted form.
    pub fn oid(self) -> Result<String, DerError> {
        oid(self.as_tag(OID)?).ok_or(DerError::Value)
    }

    /// What a BIT STRING of whole bytes holds.
    pub fn bits(self) -> Result<&'a [u8], DerError> {
        match self.as_tag(BIT_STRING)?.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(DerError::Value),
        }
    }
}

/// Elements, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next.
    pub fn next_element(&mut self) -> Result<Element<'a>, DerError> {
        let (element, rest) = element(self.rest, 0)?;
        self.rest = rest;
        Ok(element)
    }

    /// Takes the next when it is one of `tag`.
    pub fn next_if(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.peek() == Some(tag) { self.next_element().map(Some) } else { Ok(None) }
    }
}

/// Until there are none, or one cannot be taken: what comes after it has no beginning then.
impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, DerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.next_element();
        if taken.is_err() {
            self.rest = &[];
        }
        Some(taken)
    }
}

/// An element, and what comes after it.
fn element(bytes: &[u8], depth: usize) -> Result<(Element<'_>, &[u8]), DerError> {
    let mut at = 0;
    let mut octet = || {
        let octet = bytes.get(at).copied().ok_or(DerError::Short);
        at += 1;
        octet
    };
    let tag = octet()?;
    if tag & 0x1f == 0x1f {
        while octet()? & 0x80 != 0 {}
    }
    let len = match octet()? {
        0x80 => return without_length(bytes, tag, at, depth),
        short @ 0..0x80 => usize::from(short),
        long => {
            let mut len = 0_usize;
            for _ in 0..long & 0x7f {
                let digit = usize::from(octet()?);
                // What does not fit is longer than anything that is read here.
                len = len.checked_mul(256).and_then(|len| len.checked_add(digit)).ok_or(DerError::Length)?;
            }
            len
        }
    };
    let end = at.checked_add(len).ok_or(DerError::Length)?;
    let (whole, rest) = bytes.split_at_checked(end).ok_or(DerError::Short)?;
    Ok((Element { tag, body: whole.get(at..).unwrap_or_default(), whole }, rest))
}

/// An element that goes on until two zero bytes (X.690, section 8.1.3.6).
fn without_length(bytes: &[u8], tag: u8, header: usize, depth: usize) -> Result<(Element<'_>, &[u8]), DerError> {
    const CONSTRUCTED: u8 = 0x20;
    if tag & CONSTRUCTED == 0 || depth >= MAX_DEPTH {
        return Err(DerError::Length);
    }
    let body = bytes.get(header..).unwrap_or_default();
    let mut rest = body;
    loop {
        if let [0, 0, after @ ..] = rest {
            let body = body.get(..body.len() - rest.len()).unwrap_or_default();
            let whole = bytes.get(..bytes.len() - after.len()).unwrap_or_default();
            return Ok((Element { tag, body, whole }, after));
        }
        rest = element(rest, depth + 1)?.1;
    }
}

/// Dotted form. None of what is not the one encoding of an identifier: a second one of `2.5.4.3` must not pass for it.
fn oid(body: &[u8]) -> Option<String> {
    if body.last().is_none_or(|last| last & 0x80 != 0) {
        return None;
    }
    let mut text = String::new();
    let mut arc = 0_u128;
    let mut begins = true;
    for octet in body {
        if begins && *octet == 0x80 {
            return None;
        }
        arc = arc.checked_mul(128)? | u128::from(octet & 0x7f);
        begins = octet & 0x80 == 0;
        if begins {
            if text.is_empty() {
                let root = (arc / 40).min(2);
                text = format!("{root}.{}", arc - root * 40);
            } else {
                text.push('.');
                text.push_str(&arc.to_string());
            }
            arc = 0;
        }
    }
    Some(text)
}

/// A whole number: whether it is negative, and its digits to the base of 256, without zeros before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Integer {
    pub negative: bool,
    pub magnitude: Vec<u8>,
}

impl Integer {
    /// Reads the body of an INTEGER: two's complement (X.690, section 8.3).
    pub fn new(body: &[u8]) -> Result<Self, DerError> {
        let negative = body.first().ok_or(DerError::Value)? & 0x80 != 0;
        let mut magnitude = body.to_vec();
        if negative {
            let mut carry = true;
            for octet in magnitude.iter_mut().rev() {
                let (digit, over) = (!*octet).overflowing_add(u8::from(carry));
                *octet = digit;
                carry = over;
            }
        }
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        magnitude.drain(..zeros);
        Ok(Self { negative, magnitude })
    }

    /// How many bits its magnitude has; 0 of zero.
    pub fn bits(&self) -> usize {
        self.magnitude.first().map_or(0, |first| self.magnitude.len() * 8 - first.leading_zeros() as usize)
    }

    /// In hexadecimal, with its sign, as OpenSSL prints serial numbers.
    pub fn hex(&self) -> String {
        let digits = crate::words::text::hex(&self.magnitude);
        let sign = if self.negative { "-" } else { "" };
        if digits.is_empty() { "00".to_owned() } else { format!("{sign}{digits}") }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "of what the tests themselves made")]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_kind_of_length() {
        let check = |bytes: &[u8], tag: u8, body: &[u8], rest: &[u8]| {
            let (element, after) = element(bytes, 0).expect("an element");
            assert_eq!((element.tag, element.body, after), (tag, body, rest), "{bytes:02x?}");
            assert_eq!(element.whole, &bytes[..bytes.len() - rest.len()]);
        };
        check(&[2, 1, 5, 9], INTEGER, &[5], &[9]);
        check(&[2, 0x81, 1, 5], INTEGER, &[5], &[]);
        check(&[2, 0x84, 0, 0, 0, 1, 5], INTEGER, &[5], &[]);
        check(&[0x30, 0x80, 2, 1, 5, 0, 0, 9], SEQUENCE, &[2, 1, 5], &[9]);
        check(&[0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0], SEQUENCE, &[0x30, 0x80, 0, 0], &[]);
        check(&[0xbf, 0x87, 0x01, 1, 7], 0xbf, &[7], &[]);
    }

    #[test]
    fn no_element() {
        let check = |bytes: &[u8], error| assert_eq!(element(bytes, 0).map(|_| ()), Err(error), "{bytes:02x?}");
        check(&[], DerError::Short);
        check(&[2], DerError::Short);
        check(&[2, 2, 1], DerError::Short);
        check(&[2, 0x82, 1], DerError::Short);
        check(&[0xff], DerError::Short);
        check(&[0x30, 0x80, 0], DerError::Short);
        check(&[2, 0x80, 0, 0], DerError::Length);
        check(&[2, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0], DerError::Length);
        check(&[2, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], DerError::Length);
        let nested: Vec<u8> = [0x30, 0x80].repeat(5_000);
        check(&nested, DerError::Length);
    }

    #[test]
    fn an_identifier_has_one_encoding() {
        let check = |body: &[u8], text: Option<&str>| assert_eq!(oid(body).as_deref(), text, "{body:02x?}");
        check(&[0x55, 4, 3], Some("2.5.4.3"));
        check(&[0x2a, 0x86, 0x48, 0xce, 0x3d], Some("1.2.840.10045"));
        check(&[0x88, 0x37], Some("2.999"));
        check(&[0x55, 4, 0x80, 3], None);
        check(&[0x55, 4, 0x83], None);
        check(&[], None);
        check(&[0xff; 40], None);
        let uuid = [&[0x69, 0x83][..], &[0xff; 17], &[0x7f]].concat();
        check(&uuid, Some("2.25.340282366920938463463374607431768211455"));
    }

    #[test]
    fn whole_numbers() {
        let check = |body: &[u8], bits: usize, hex: &str| {
            let number = Integer::new(body).expect("a number");
            assert_eq!((number.bits(), &*number.hex()), (bits, hex), "{body:02x?}");
        };
        check(&[0], 0, "00");
        check(&[0x7f], 7, "7f");
        check(&[0, 0x80], 8, "80");
        check(&[0x80], 8, "-80");
        check(&[0xff], 1, "-01");
        check(&[0xff, 0], 9, "-0100");
        check(&[0xf4, 0x8e], 12, "-0b72");
        check(&[0, 0, 1], 1, "01");
        assert_eq!(Integer::new(&[]), Err(DerError::Value));
    }
}
