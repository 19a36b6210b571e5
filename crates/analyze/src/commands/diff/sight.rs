//! What one side could not see: what is missing there may have been there, and is no difference.
//!
//! What neither of them saw, for the same reason, explains no difference between them. What was lost or damaged is never the same.

use super::inventory::Areas;
use super::names;
use crate::report::completeness;
use crate::report::coverage::Coverage;
use crate::report::session::Session;
use crate::words::redact;
use crate::words::text::{counted, few};
use std::collections::BTreeSet;

/// Why things may be missing of one side, a sentence each.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// Whatever it is.
    any: Vec<String>,
    /// By area: handshakes, calls, files, libraries.
    areas: [Vec<String>; 4],
    /// Why calls may be missing, as library files were not probed: without their versions.
    unprobed: BTreeSet<Vec<u8>>,
    names: Vec<String>,
    /// What TLS 1.3 encrypts, which is no fault of the recording.
    proofs: Vec<String>,
}

/// The areas of [`Sight::areas`], and what they are called.
pub(super) const AREAS: [(Areas, &str); 4] = [
    (Areas::HANDSHAKES, "handshakes"),
    (Areas::CALLS, "calls"),
    (Areas::FILES, "files"),
    (Areas::LIBRARIES, "libraries"),
];

/// Of calls among them.
const CALLS: usize = 1;

const NOTHING: &str = "nothing was recorded";

impl Sight {
    /// Of one side. `hidden`: handshakes whose proofs are encrypted.
    pub fn of(session: &Session<'_>, hidden: u64) -> Self {
        let coverage = Coverage::new(session);
        // Filters of the command are those of both.
        let filters: BTreeSet<String> = completeness::recordings(&session.captures)
            .filter(|capture| completeness::is_filtered(capture))
            .filter_map(|capture| completeness::recorded(&capture.meta, |text| session.shown(text), ""))
            .map(|recorded| format!("recorded {recorded}: nothing is known of the rest"))
            .collect();
        let unprobed = session.captures.iter().flat_map(|capture| capture.libraries.iter());
        let unprobed = unprobed.filter(|(_, row)| !row.is_probed()).map(|(_, row)| names::library(&row.path)).collect();
        let Coverage { mut any, names, handshakes, calls, files, libraries, .. } = coverage;
        any.extend(filters);
        let handshakes_of = counted(hidden, "handshake", "handshakes");
        let proofs =
            (hidden > 0).then(|| format!("TLS 1.3 encrypts certificates and signatures: {handshakes_of} of it"));
        Self {
            any,
            areas: [handshakes, calls, files, libraries],
            unprobed,
            names,
            proofs: proofs.into_iter().collect(),
        }
    }

    /// What this side could not see, and the other one could. Of names that were taken out neither can be compared.
    pub fn beyond(&self, other: &Self) -> Self {
        let beyond = |own: &[String], other: &[String]| -> Vec<String> {
            own.iter().filter(|why| *why == NOTHING || !other.contains(why)).cloned().collect()
        };
        let mut areas = <[Vec<String>; 4]>::default();
        for ((area, own), other) in areas.iter_mut().zip(&self.areas).zip(&other.areas) {
            *area = beyond(own, other);
        }
        let unprobed: BTreeSet<Vec<u8>> = self.unprobed.difference(&other.unprobed).cloned().collect();
        if !unprobed.is_empty() {
            let shown: Vec<String> = unprobed.iter().map(|path| redact::for_people(path, true)).collect();
            let files = counted(shown.len() as u64, "library file was", "library files were");
            areas[CALLS].push(format!("{files} not probed, so calls there are not seen: {}", few(&shown)));
        }
        Self {
            any: beyond(&self.any, &other.any),
            areas,
            unprobed,
            names: self.names.clone(),
            proofs: self.proofs.clone(),
        }
    }

    /// Why something that is seen in these areas may be missing; nothing: it was not there.
    pub fn why(&self, areas: Areas) -> Vec<String> {
        let mut why = self.any.clone();
        let in_question = || AREAS.iter().zip(&self.areas).filter(|((area, _), _)| areas.hold(*area));
        // What is seen in several areas would have been seen in any of them.
        if in_question().all(|(_, reasons)| !reasons.is_empty()) {
            why.extend(in_question().flat_map(|(_, reasons)| reasons.iter().cloned()));
        }
        if areas.hold(Areas::NAMES) {
            why.extend(self.names.iter().cloned());
        }
        if areas.hold(Areas::PROOFS) {
            why.extend(self.proofs.iter().cloned());
        }
        why
    }

    /// Why names cannot be compared.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// All of it that the other side could see, by what it is about.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let areas = AREAS.iter().zip(&self.areas).map(|((_, name), reasons)| (*name, reasons.as_slice()));
        let others = [("everything", self.any.as_slice()), ("names", self.names.as_slice())];
        others.into_iter().chain(areas).filter(|(_, reasons)| !reasons.is_empty())
    }
}
