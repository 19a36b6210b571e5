//! The Certificate message: a list of certificates, each with its length before it.

use super::super::ParseError;
use super::{CERTIFICATE, Certificate};
use crypto_trace_format::wire::cursor::{Cursor, Shape};

/// Longer chains are not read further.
const MAX_CHAIN: usize = 32;

/// The certificates of one side, its own first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateChain {
    /// Each in its place, also what could not be read.
    pub certificates: Vec<Certificate>,
    /// How many more there are than are kept.
    pub more: usize,
    /// The bytes ended before the chain did: certificates may be missing.
    pub truncated: bool,
    /// Lengths contradict each other.
    pub malformed: bool,
}

impl CertificateChain {
    /// Reads a Certificate message from its start.
    ///
    /// # Errors
    /// Another type of message, or cut inside its header.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let shape = Shape::default();
        let mut body = Cursor::message(bytes, CERTIFICATE, &shape)?;
        let mut chain = Self::default();
        if let Some(mut list) = body.vec24() {
            while !list.is_empty() {
                let certificate = match list.vec24() {
                    Some(der) if der.is_complete() => {
                        if chain.certificates.len() >= MAX_CHAIN {
                            chain.more += 1;
                            continue;
                        }
                        Certificate::parse(der.rest())
                    }
                    _ if shape.malformed.get() => Certificate::incomplete("its length goes beyond the list"),
                    _ => Certificate::incomplete("its end was not recorded"),
                };
                if chain.certificates.len() < MAX_CHAIN {
                    chain.certificates.push(certificate);
                } else {
                    chain.more += 1;
                }
            }
        }
        chain.truncated = shape.truncated.get();
        chain.malformed = shape.malformed.get();
        Ok(chain)
    }
}
