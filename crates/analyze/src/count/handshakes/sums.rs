//! Sums of handshakes: how they ended, what their key exchanges are worth, what libraries said of them.

use super::facts::{Exchange, Facts};
use crate::capture::connections::Outcome;
use crate::capture::libraries::HandshakeCall;
use std::ops::AddAssign;

/// Handshakes by how they ended, as far as the wire tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// The server chose version and suite.
    pub answered: u64,
    /// An alert in the clear ended it.
    pub failed: u64,
    /// Those of them that the server had answered: what it chose is counted.
    pub answered_then_failed: u64,
    /// No answer was seen.
    pub unanswered: u64,
}

impl Outcomes {
    pub(super) fn add(&mut self, facts: &Facts) {
        self.count(facts.outcome, facts.was_answered());
    }

    /// One more that came so far; `answered`: the server chose something, whatever came of it.
    pub(in crate::count) fn count(&mut self, outcome: Outcome, answered: bool) {
        match outcome {
            Outcome::ServerHello => self.answered += 1,
            Outcome::Alert => {
                self.failed += 1;
                self.answered_then_failed += u64::from(answered);
            }
            Outcome::None => self.unanswered += 1,
        }
    }

    /// Those in which the server chose something, whatever came of them.
    pub fn answered_in_all(self) -> u64 {
        self.answered + self.answered_then_failed
    }

    /// All of them.
    pub fn all(self) -> u64 {
        self.answered + self.failed + self.unanswered
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.answered_then_failed += other.answered_then_failed;
        self.unanswered += other.unanswered;
    }
}

/// Key exchanges by whether a quantum computer is known to break them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantum {
    /// Post-quantum.
    pub post_quantum: u64,
    /// Classical.
    pub classical: u64,
    /// In groups of which nothing is known.
    pub unknown: u64,
}

impl Quantum {
    /// All of them.
    pub fn all(self) -> u64 {
        self.post_quantum + self.classical + self.unknown
    }

    pub(in crate::count) fn add(&mut self, exchange: &Exchange) {
        match exchange {
            Exchange::Known(_, Some(true)) => self.post_quantum += 1,
            Exchange::Known(_, Some(false)) => self.classical += 1,
            Exchange::Known(_, None) => self.unknown += 1,
            Exchange::Earlier | Exchange::NotSeen => {}
        }
    }
}

impl AddAssign for Quantum {
    fn add_assign(&mut self, other: Self) {
        self.post_quantum += other.post_quantum;
        self.classical += other.classical;
        self.unknown += other.unknown;
    }
}

/// Handshakes by what libraries said of them: also of those that the wire cannot tell the end of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Completed.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// A call was seen, its result was not.
    pub unknown: u64,
}

impl Told {
    pub(super) fn add(&mut self, call: &HandshakeCall) {
        match call.succeeded {
            Some(true) => self.ok += 1,
            Some(false) => self.failed += 1,
            None => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn all(self) -> u64 {
        self.ok + self.failed + self.unknown
    }
}
