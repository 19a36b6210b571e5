//! Kept records as they leave: without names, addresses and arguments that must stay behind.

use super::need::is_known;
use crypto_trace_format::privacy::{Anonymizer, Privacy, without_argv};
use crypto_trace_format::record::{ArgvMode, CertificateFile, PrivacyMode, Record, TlsHello, hello_state};
use std::borrow::Cow;

/// Takes out of the records of one capture what was asked to be taken out.
pub(super) struct Redactor {
    anonymizer: Option<Anonymizer>,
    argv: ArgvMode,
    /// Certificates of files, which name whose they are, and records that cannot be read well enough.
    pub left_out: u64,
}

/// The key of pseudonyms: the same for all captures of an extract, and written nowhere.
pub(super) type Key = [u8; 32];

impl Redactor {
    /// For a capture whose names and addresses were recorded like this.
    pub fn new(recorded: PrivacyMode, asked: PrivacyMode, argv: ArgvMode, key: Key) -> Self {
        let privacy = match (recorded, asked) {
            // A pseudonym of what was removed would look like one of something.
            (PrivacyMode::DROP, PrivacyMode::HASH | PrivacyMode::DROP) | (_, PrivacyMode::DROP) => Some(Privacy::Drop),
            (_, PrivacyMode::HASH) => Some(Privacy::Hash(key)),
            _ => None,
        };
        Self { anonymizer: privacy.map(Anonymizer::new), argv, left_out: 0 }
    }

    /// Whether records stay as they are.
    pub fn is_idle(&self) -> bool {
        self.anonymizer.is_none() && !matches!(self.argv, ArgvMode::EXE | ArgvMode::NONE)
    }

    /// A record as it leaves; nothing when it does not. To be given all of a capture's kept records, in order.
    pub fn apply<'a>(&mut self, record: &Record<'a>) -> Option<Cow<'a, [u8]>> {
        // What is to be taken out of these, nobody knows.
        if !self.is_idle() && !is_known(record.kind()) {
            return None;
        }
        let changed = match &mut self.anonymizer {
            Some(_) if record.kind() == CertificateFile::KIND => Some(Vec::new()),
            Some(anonymizer) => anonymizer.apply(record),
            None => None,
        };
        let changed = changed.or_else(|| without_argv(record, self.argv));
        match changed {
            Some(bytes) if bytes.is_empty() => {
                self.left_out += 1;
                None
            }
            Some(bytes) => Some(Cow::Owned(bytes)),
            None => Some(Cow::Borrowed(record.bytes())),
        }
    }
}

/// A piece of a connection that is not shown, but tells whose the other end of a shown one is.
pub(super) fn as_peer(record: &Record<'_>) -> Option<Vec<u8>> {
    let mut hello = TlsHello::decode(record).ok()?;
    hello.fixed.state |= hello_state::TAKEN;
    let mut out = Vec::new();
    hello.encode(record.header, &mut out);
    Some(out)
}
