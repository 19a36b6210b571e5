//! The opening line: `SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10`.

/// Longest line that is kept, in bytes; RFC 4253 allows 255.
const MAX_LINE: usize = 512;

/// An opening line. Bytes of the peer: it may hold anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// The whole line without its end.
    pub line: Vec<u8>,
    /// Its end was seen.
    pub is_complete: bool,
    /// It ends in LF without CR.
    pub bare_lf: bool,
}

impl Banner {
    /// The line that `bytes` begin with, and how long it is with its end. None when they do not begin with "SSH-".
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        const START: &[u8] = b"SSH-";
        let start = bytes.get(..START.len().min(bytes.len()))?;
        if start.is_empty() || !START.starts_with(start) {
            return None;
        }
        let line = bytes.get(..bytes.len().min(MAX_LINE)).unwrap_or_default();
        let (line, len, is_complete) = match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => (line.get(..end)?, end + 1, true),
            None => (line, line.len(), false),
        };
        let without_cr = line.strip_suffix(b"\r");
        let bare_lf = is_complete && without_cr.is_none();
        Some((Self { line: without_cr.unwrap_or(line).to_vec(), is_complete, bare_lf }, len))
    }

    /// The version of the protocol: `2.0`, or `1.99` of who speaks both.
    pub fn version(&self) -> Option<&[u8]> {
        self.part(0)
    }

    /// Which software it is, with its version, as it says: `OpenSSH_9.2p1`.
    pub fn software(&self) -> Option<&[u8]> {
        let software = self.part(1)?;
        let end = software.iter().position(|byte| *byte == b' ').unwrap_or(software.len());
        software.get(..end).filter(|name| !name.is_empty())
    }

    /// What comes after a space.
    pub fn comments(&self) -> Option<&[u8]> {
        let software = self.part(1)?;
        let space = software.iter().position(|byte| *byte == b' ')?;
        software.get(space + 1..).filter(|text| !text.is_empty())
    }

    /// What is between the hyphens: the version, or all that follows it.
    fn part(&self, number: usize) -> Option<&[u8]> {
        self.line.strip_prefix(b"SSH-")?.splitn(2, |byte| *byte == b'-').nth(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a [u8]>);

    fn check(bytes: &[u8], expected: Parts<'_>, complete: bool, bare_lf: bool) {
        let (banner, len) = Banner::parse(bytes).expect("a line");
        assert_eq!((banner.version(), banner.software(), banner.comments()), expected, "{bytes:?}");
        assert_eq!((banner.is_complete, banner.bare_lf), (complete, bare_lf), "{bytes:?}");
        assert!(len <= bytes.len());
    }

    #[test]
    fn lines_of_real_software_are_taken_apart() {
        let debian: Parts<'_> = (Some(b"2.0"), Some(b"OpenSSH_9.2p1"), Some(b"Debian-2+deb12u10"));
        check(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\nrest", debian, true, false);
        check(b"SSH-2.0-JSCH-0.1.54\n", (Some(b"2.0"), Some(b"JSCH-0.1.54"), None), true, true);
        check(b"SSH-1.99-Cisco-1.25\r\n", (Some(b"1.99"), Some(b"Cisco-1.25"), None), true, false);
        check(b"SSH-2.0-Go\r\n", (Some(b"2.0"), Some(b"Go"), None), true, false);
    }

    #[test]
    fn what_is_odd_or_cut_is_read_as_far_as_it_goes() {
        check(b"SSH-2.0-Open", (Some(b"2.0"), Some(b"Open"), None), false, false);
        check(b"SSH-2.0", (Some(b"2.0"), None, None), false, false);
        check(b"SSH-2.0- \r\n", (Some(b"2.0"), None, None), true, false);
        check(b"SS", (None, None, None), false, false);
        assert!(
            Banner::parse(b"").is_none() && Banner::parse(b"HTTP/1.1").is_none() && Banner::parse(b"SSL-").is_none()
        );
        let (long, len) = Banner::parse(&[&b"SSH-2.0-"[..], &[b'x'; 5000]].concat()).expect("a line");
        assert_eq!((long.line.len(), len, long.is_complete), (MAX_LINE, MAX_LINE, false));
    }
}
