//! Calls of library functions, counted; and the algorithms that they use.

use super::{Place, Survey, name_program, row};
use crate::api::FileId;
use crate::catalog;
use crate::escape;
use crypto_trace_format::record::ApiMeaning;
use std::collections::BTreeSet;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Number of the capture.
    pub capture: u32,
    /// The library; (0, 0) is the kernel.
    pub library: FileId,
    /// What it is for.
    pub meaning: ApiMeaning,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// The algorithm as the call names it; empty where the call uses none.
    pub algorithm: Box<[u8]>,
}

/// Calls.
#[derive(Debug, Clone, Default)]
pub struct CallRow {
    /// How many.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that the library itself made.
    pub internal: u64,
    /// Programs, the first few.
    pub programs: BTreeSet<Vec<u8>>,
}

/// Whether calls for this use an algorithm.
pub fn uses_algorithm(meaning: ApiMeaning) -> bool {
    matches!(
        meaning,
        ApiMeaning::CIPHER
            | ApiMeaning::DIGEST
            | ApiMeaning::PUBLIC_KEY
            | ApiMeaning::MAC
            | ApiMeaning::KEY_DERIVATION
            | ApiMeaning::KERNEL_ALGORITHM
            | ApiMeaning::MECHANISM
    )
}

impl Survey {
    /// Adds calls of one program.
    pub fn add_calls(&mut self, key: CallKey, calls: &CallRow, program: Option<&[u8]>) {
        // What the library does of itself, such as its random numbers, is not what the program asked for.
        let own = calls.calls.saturating_sub(calls.internal);
        if uses_algorithm(key.meaning) && own > 0 {
            let name = algorithm_name(&key.algorithm);
            if let Some(row) = row(&mut self.algorithms, name, &mut self.overflowed) {
                row.calls += own;
                row.places.insert(Place::LibraryCall);
                name_program(&mut row.programs, program);
            }
        }
        let Some(row) = row(&mut self.calls, key, &mut self.overflowed) else { return };
        row.calls += calls.calls;
        row.failed += calls.failed;
        row.internal += calls.internal;
        name_program(&mut row.programs, program);
    }
}

/// Names that libraries have for algorithms of the catalog, where they differ by more than case, `-` and `_`.
const ALIASES: &[(&str, &str)] = &[
    ("id-aes128-GCM", "AES-128-GCM"),
    ("id-aes256-GCM", "AES-256-GCM"),
    ("id-aes128-CCM", "AES-128-CCM"),
    ("id-aes256-CCM", "AES-256-CCM"),
    ("DES-EDE3-CBC", "3DES-EDE"),
    ("DES-EDE3", "3DES-EDE"),
    ("DES-CBC", "DES"),
    ("RC4", "RC4-128"),
    ("SHA2-256", "SHA-256"),
    ("SHA2-384", "SHA-384"),
    ("SHA2-512", "SHA-512"),
];

/// The catalog's name for what a library calls an algorithm, or that itself.
fn algorithm_name(given: &[u8]) -> String {
    let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let text = escape::for_people(given);
    let wanted = plain(&text);
    let alias = ALIASES.iter().find(|(name, _)| plain(name) == wanted).map(|(_, name)| (*name).to_owned());
    let known = || catalog::algorithms().iter().find(|row| plain(&row.name) == wanted).map(|row| row.name.clone());
    alias.or_else(known).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_those_of_the_catalog_where_they_mean_the_same() {
        for (given, expected) in [
            ("AES-256-GCM", "AES-256-GCM"),
            ("aes_256_gcm", "AES-256-GCM"),
            ("SHA256", "SHA-256"),
            ("SHA2-256", "SHA-256"),
            ("DES-EDE3-CBC", "3DES-EDE"),
            ("chacha20-poly1305", "ChaCha20-Poly1305"),
            // Not the catalog's hash of signatures.
            ("SHA1", "SHA1"),
            ("gost89\x1b", "gost89\\u{1b}"),
        ] {
            assert_eq!(algorithm_name(given.as_bytes()), expected);
        }
        assert!(ALIASES.iter().all(|(_, name)| catalog::algorithm(name).is_some()));
    }

    #[test]
    fn what_a_library_does_of_itself_is_no_use_of_the_program() {
        let key = |algorithm: &str| CallKey {
            capture: 0,
            library: (1, 2),
            meaning: ApiMeaning::CIPHER,
            function: b"EVP_CipherInit_ex"[..].into(),
            algorithm: algorithm.as_bytes().into(),
        };
        let mut survey = Survey::default();
        let calls = CallRow { calls: 10, failed: 1, internal: 4, ..CallRow::default() };
        survey.add_calls(key("AES-128-CBC"), &calls, Some(b"/usr/bin/a"));
        survey.add_calls(key("AES-128-CBC"), &calls, Some(b"/usr/bin/b"));
        survey.add_calls(key("AES-256-CTR"), &CallRow { calls: 4, internal: 4, ..CallRow::default() }, None);
        let row = &survey.algorithms["AES-128-CBC"];
        assert_eq!((row.calls, row.handshakes, row.programs.len()), (12, 0, 2));
        assert!(!survey.algorithms.contains_key("AES-256-CTR"));
        assert_eq!(survey.calls.values().map(|row| (row.calls, row.internal)).collect::<Vec<_>>(), [(20, 8), (4, 4)]);
    }
}
