//! The data types of SSH (RFC 4251 section 5), read from bytes that may be cut short.

/// A place in bytes. What is not there in full is None, and nothing after it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes with their length before them.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// How many bits a positive number has.
    pub fn mpint_bits(&mut self) -> Option<u32> {
        mpint_bits(self.string()?)
    }
}

/// How many bits a positive number has, of which these are the bytes.
pub(super) fn mpint_bits(bytes: &[u8]) -> Option<u32> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let digits = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
    let Some(first) = digits.first() else { return Some(0) };
    u32::try_from(digits.len()).ok()?.checked_mul(8)?.checked_sub(first.leading_zeros())
}
