//! How SSH is framed before it is encrypted: a line, then binary packets (RFC 4253, sections 4.2 and 6).

/// Length of what is read of a packet before the rest: its length, that of its padding, and the number of its message.
pub const HEAD_LEN: usize = 6;

/// The server's answer to the key exchange, which begins with its host key (RFC 4253, section 8, and RFC 5656, section 4); where
/// the server chooses the group, the group.
pub const KEX_REPLY: u8 = 31;

/// The server's answer where it chose the group (RFC 4419, section 5).
pub const KEX_GEX_REPLY: u8 = 33;

/// Where the stream of a side is, followed through pieces of it to find the host key. Between pieces bytes may be missing, but not
/// heads of packets.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    /// The opening line has ended.
    in_packets: bool,
    /// The head of a packet, as far as it is there.
    head: Vec<u8>,
    /// Where in the stream the next packet begins, while there is more of one.
    next: u32,
    /// Where in the stream the next bytes are expected, in a line or a head.
    at: u32,
    /// A host key began, or nothing that is certain came.
    is_over: bool,
}

impl Follower {
    /// At the beginning of a stream, which is at `offset`.
    pub fn new(offset: u32) -> Self {
        Self { at: offset, ..Self::default() }
    }

    /// How many of the bytes at `offset` come before a host key; what comes after one is not told apart.
    pub fn before_host_key(&mut self, data: &[u8], offset: u32) -> usize {
        let mut at = 0;
        while at < data.len() && !self.is_over {
            let place = offset.wrapping_add(u32::try_from(at).unwrap_or(u32::MAX));
            let rest = data.get(at..).unwrap_or_default();
            if self.in_packets && self.head.is_empty() && place < self.next {
                // Inside of a packet: up to the next one.
                at += usize::try_from(self.next - place).unwrap_or(usize::MAX).min(rest.len());
                self.at = self.next;
            } else if place != self.at {
                self.is_over = true;
            } else if !self.in_packets {
                let end = rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
                at += end.unwrap_or(rest.len());
                self.in_packets = end.is_some();
                self.at = offset.wrapping_add(u32::try_from(at).unwrap_or(u32::MAX));
                self.next = self.at;
            } else {
                at += self.take_head(rest);
            }
        }
        at.min(data.len())
    }

    /// Takes in what there is of a head; returns how many bytes of `rest` may be kept.
    fn take_head(&mut self, rest: &[u8]) -> usize {
        let missing = HEAD_LEN.saturating_sub(self.head.len());
        let head = rest.get(..missing.min(rest.len())).unwrap_or_default();
        self.head.extend_from_slice(head);
        self.at = self.at.wrapping_add(u32::try_from(head.len()).unwrap_or(0));
        let Some([a, b, c, d, _, message]) = self.head.first_chunk().copied() else { return head.len() };
        let len = u32::from_be_bytes([a, b, c, d]);
        let start = self.at.wrapping_sub(u32::try_from(HEAD_LEN).unwrap_or(0));
        match start.checked_add(4).and_then(|end| end.checked_add(len)) {
            Some(next) if next > self.at => self.next = next,
            _ => self.is_over = true,
        }
        self.is_over |= matches!(message, KEX_REPLY | KEX_GEX_REPLY);
        self.head.clear();
        head.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(message: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(2 + body.len() + 4).unwrap_or(0);
        [&len.to_be_bytes()[..], &[4, message], body, &[0; 4]].concat()
    }

    #[test]
    fn what_comes_before_a_host_key_is_kept_however_it_is_cut() {
        let before = [&b"SSH-2.0-x\r\n"[..], &packet(20, &[7; 50])].concat();
        let reply = packet(KEX_REPLY, b"\0\0\0\x0bssh-ed25519");
        let all = [&before[..], &reply].concat();
        let kept = before.len() + HEAD_LEN;
        for cut in 0..=all.len() {
            let mut follower = Follower::new(0);
            let first = follower.before_host_key(&all[..cut], 0);
            let second = follower.before_host_key(&all[cut..], u32::try_from(cut).expect("short"));
            assert_eq!((first, second), (cut.min(kept), kept.saturating_sub(cut)), "cut at {cut}");
        }
    }

    #[test]
    fn what_capture_left_out_inside_of_packets_is_stepped_over() {
        let line = b"SSH-2.0-x\n";
        let (guess, offers) = (packet(30, &[1; 32]), packet(20, &[2; 32]));
        let mut follower = Follower::new(0);
        assert_eq!(follower.before_host_key(line, 0), line.len());
        assert_eq!(follower.before_host_key(&guess[..10], 10), 10);
        let at = 10 + u32::try_from(guess.len()).expect("short");
        assert_eq!(follower.before_host_key(&offers, at), offers.len());
        // Where something is missing that is not inside of a packet, nothing is certain.
        assert_eq!(follower.before_host_key(&offers, 4000), 0);
        assert_eq!(follower.before_host_key(&offers, 4000), 0);
    }
}
