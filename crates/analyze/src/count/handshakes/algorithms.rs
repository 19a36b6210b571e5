//! Calls of library functions, counted; and the algorithms that they use.

use super::{HandshakeTotals, Place, name_program};
use crate::capture::libraries::{FileId, uses_algorithm};
use crate::count::calls::CallUse;
use crate::count::room::row;
use crypto_trace_format::record::ApiMeaning;
use std::collections::BTreeSet;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlgorithmCall {
    /// Number of the capture.
    pub capture: u32,
    /// The library; (0, 0) is the kernel.
    pub library: FileId,
    /// What it is for.
    pub meaning: ApiMeaning,
    /// Name of the function.
    pub function: Box<[u8]>,
    /// The algorithm, by its name in the catalog where it has one. None where the call uses none, or does not say.
    pub algorithm: Option<String>,
}

/// Calls.
#[derive(Debug, Clone, Default)]
pub struct CallRow {
    /// How many.
    pub used: CallUse,
    /// Programs, the first few.
    pub programs: BTreeSet<Vec<u8>>,
}

impl HandshakeTotals {
    /// Calls that use an algorithm and do not show which; as far as they are counted as a use.
    pub fn calls_without_algorithm(&self) -> u64 {
        let silent = |key: &AlgorithmCall| key.algorithm.is_none() && uses_algorithm(key.meaning);
        let uses = |row: &CallRow| row.used.own().saturating_sub(row.used.failed);
        self.calls.iter().filter(|(key, _)| silent(key)).fold(0, |sum, (_, row)| sum.saturating_add(uses(row)))
    }

    /// Adds calls of one program.
    pub fn add_calls(&mut self, key: AlgorithmCall, calls: CallUse, program: Option<&[u8]>) {
        // What the library does of itself, such as its random numbers, is not what the program asked for; and what was refused
        // was not used.
        let own = calls.own().saturating_sub(calls.failed);
        if let Some(name) = &key.algorithm
            && own > 0
            && let Some(row) = row(&mut self.algorithms, name.clone(), (&mut self.budget, &mut self.overflowed))
        {
            row.calls = row.calls.saturating_add(own);
            let kernel = key.library == (0, 0);
            row.places.insert(if kernel { Place::KernelCall } else { Place::LibraryCall });
            row.hosts.insert(key.capture);
            name_program(&mut row.programs, program, &mut self.budget);
        }
        let Some(row) = row(&mut self.calls, key, (&mut self.budget, &mut self.overflowed)) else { return };
        row.used.add(calls);
        name_program(&mut row.programs, program, &mut self.budget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_does_of_itself_is_no_use_of_the_program() {
        let key = |algorithm: &str| AlgorithmCall {
            capture: 0,
            library: (1, 2),
            meaning: ApiMeaning::CIPHER,
            function: b"EVP_CipherInit_ex"[..].into(),
            algorithm: Some(algorithm.to_owned()),
        };
        let mut survey = HandshakeTotals::default();
        let calls = CallUse { calls: 10, failed: 1, internal: 4 };
        survey.add_calls(key("AES-128-CBC"), calls, Some(b"/usr/bin/a"));
        survey.add_calls(key("AES-128-CBC"), calls, Some(b"/usr/bin/b"));
        survey.add_calls(key("AES-256-CTR"), CallUse { calls: 4, failed: 0, internal: 4 }, None);
        let row = &survey.algorithms["AES-128-CBC"];
        assert_eq!((row.calls, row.handshakes, row.programs.len()), (10, 0, 2));
        assert!(!survey.algorithms.contains_key("AES-256-CTR"));
        assert_eq!(survey.calls_without_algorithm(), 0);
        let silent = CallUse { calls: 5, failed: 1, internal: 1 };
        survey.add_calls(AlgorithmCall { algorithm: None, ..key("") }, silent, None);
        survey.add_calls(AlgorithmCall { algorithm: None, meaning: ApiMeaning::HANDSHAKE, ..key("") }, silent, None);
        assert_eq!(survey.calls_without_algorithm(), 3, "a handshake is no use of one algorithm");
        survey.calls.retain(|key, _| key.algorithm.is_some());
        assert_eq!(
            survey.calls.values().map(|row| (row.used.calls, row.used.internal)).collect::<Vec<_>>(),
            [(20, 8), (4, 4)]
        );
    }
}
