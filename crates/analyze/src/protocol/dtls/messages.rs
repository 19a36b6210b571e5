//! The handshake messages of one side: of fragments in any order, that overlap and are sent again.

use super::record::{fragments, records};
use crate::protocol::Said;
use crate::protocol::tls::{Part, Stream};
use crypto_trace_format::wire::tls::{ALERT, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HANDSHAKE};
use std::collections::BTreeMap;

/// More messages than a handshake has in one direction, and their fragments.
const MAX_MESSAGES: usize = 64;
const MAX_FRAGMENTS: usize = 1024;

/// Alerts that are kept of one side.
const MAX_ALERTS: usize = 16;

/// The server asks for the hello again, with a cookie (RFC 6347 section 4.2.1).
const HELLO_VERIFY_REQUEST: u8 = 3;

/// Version and random, before the session id of a ClientHello.
const BEFORE_SESSION_ID: usize = 2 + 32;

/// A message, as far as it came.
#[derive(Debug)]
struct Message<'a> {
    /// Length of its body, bytes.
    len: usize,
    /// Pieces of it by place; the first that was sent of each place counts.
    pieces: Vec<(usize, &'a [u8])>,
}

/// What one side said before it encrypts.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    /// By number and type. A server that keeps no state counts what comes after a HelloVerifyRequest as it likes.
    by_number: BTreeMap<(u16, u8), Message<'a>>,
    fragments: usize,
    changed_cipher: bool,
    alerts: Vec<&'a [u8]>,
    /// Whether there was anything at all.
    any: bool,
}

impl<'a> Messages<'a> {
    /// Those in the datagrams of one side.
    pub(super) fn of(said: &Said<'a>) -> Self {
        let mut all = Self { any: !said.chunks.is_empty(), ..Self::default() };
        for record in said.chunks.iter().flat_map(|chunk| records(chunk.bytes)).filter(|record| record.epoch == 0) {
            match record.content {
                HANDSHAKE => all.add(record.payload),
                CHANGE_CIPHER_SPEC => all.changed_cipher = true,
                // What is longer is encrypted.
                ALERT if record.payload.len() == 2 && all.alerts.len() < MAX_ALERTS => all.alerts.push(record.payload),
                _ => {}
            }
        }
        all
    }

    fn add(&mut self, payload: &'a [u8]) {
        for fragment in fragments(payload) {
            let key = (fragment.number, fragment.kind);
            if self.fragments == MAX_FRAGMENTS
                || self.by_number.len() == MAX_MESSAGES && !self.by_number.contains_key(&key)
            {
                return;
            }
            let message =
                self.by_number.entry(key).or_insert_with(|| Message { len: fragment.len, pieces: Vec::new() });
            // Another length under the same number is another message.
            if message.len == fragment.len && !message.pieces.contains(&(fragment.offset, fragment.bytes)) {
                self.fragments += 1;
                let at = message.pieces.partition_point(|(other, _)| *other <= fragment.offset);
                message.pieces.insert(at, (fragment.offset, fragment.bytes));
            }
        }
    }

    /// Whether a message between others is missing, or a part of one.
    pub(super) fn is_missing_one(&self) -> bool {
        let mut numbers: Vec<u16> = self.by_number.keys().map(|(number, _)| *number).collect();
        numbers.dedup();
        let hole = numbers.windows(2).any(|pair| matches!(pair, [one, next] if one.checked_add(1) != Some(*next)));
        hole || self.by_number.values().any(|message| message.body().len() < message.len)
    }

    /// What it said, as TLS says it; None if nothing was seen.
    pub(super) fn stream(&self) -> Option<Stream> {
        let cookie_sent = |(key, message): (&(u16, u8), &Message<'_>)| {
            (key.1 == CLIENT_HELLO && has_cookie(&message.body())).then_some(key.0)
        };
        // The hello that a cookie was asked for is the same again: what counts is the one that the server answers.
        let begins_at = self.by_number.iter().find_map(cookie_sent).unwrap_or(0);
        let messages = self
            .by_number
            .iter()
            .filter(|((number, kind), _)| {
                *kind != HELLO_VERIFY_REQUEST && (*kind != CLIENT_HELLO || *number >= begins_at)
            })
            .filter_map(|((_, kind), message)| message.as_tls(*kind))
            .map(Part::Message);
        let changed = self.changed_cipher.then_some(Part::ChangeCipherSpec);
        let alerts = self.alerts.iter().map(|payload| Part::Alert(payload));
        self.any.then(|| Stream::of_parts(messages.chain(changed).chain(alerts)))
    }
}

impl Message<'_> {
    /// Its body, up to the first byte that is missing.
    fn body(&self) -> Vec<u8> {
        let mut body: Vec<u8> = Vec::new();
        for (offset, piece) in &self.pieces {
            let Some(known) = body.len().checked_sub(*offset) else { break };
            body.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        body
    }

    /// As TLS writes it: with a head of four bytes, and without a cookie. None where its beginning is missing.
    fn as_tls(&self, kind: u8) -> Option<Vec<u8>> {
        let mut body = self.body();
        let mut len = self.len;
        if body.is_empty() && len > 0 {
            return None;
        }
        if kind == CLIENT_HELLO
            && let Some(at) = cookie_at(&body)
        {
            let cookie_len = body.get(at).map_or(0, |len| usize::from(*len) + 1);
            body.drain(at..body.len().min(at + cookie_len));
            len = len.saturating_sub(cookie_len);
        }
        let [_, high, mid, low] = u32::try_from(len).ok()?.to_be_bytes();
        Some([&[kind, high, mid, low], &*body].concat())
    }
}

/// Where in the body of a ClientHello the cookie's length is.
fn cookie_at(body: &[u8]) -> Option<usize> {
    let session_id_len = usize::from(*body.get(BEFORE_SESSION_ID)?);
    let at = BEFORE_SESSION_ID + 1 + session_id_len;
    (at < body.len()).then_some(at)
}

fn has_cookie(body: &[u8]) -> bool {
    cookie_at(body).and_then(|at| body.get(at)).is_some_and(|len| *len > 0)
}
