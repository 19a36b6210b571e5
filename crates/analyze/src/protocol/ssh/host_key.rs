//! A server's host key: its type, its size, its fingerprint; of a certificate, who signed it and for how long.

use super::reader::Reader;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Ends of the names of OpenSSH's certificates.
const CERTIFICATE: &[u8] = b"-cert-v01@openssh.com";

/// Principals of a certificate that are kept.
const MAX_PRINCIPALS: usize = 64;

/// A host key. Texts are bytes of the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKey {
    /// As the key itself names it: `ssh-ed25519`, `ssh-rsa-cert-v01@openssh.com`.
    pub key_type: Box<[u8]>,
    /// Bits: of the modulus (RSA), of the prime (DSA), of the field (elliptic curves). None of a type that is not known.
    pub bits: Option<u32>,
    /// SHA-256 of the key, as `ssh-keygen -l` prints it, which for a certificate is that of the key that it is about. None when not
    /// all of it was recorded, or when a certificate is of a type that is not known.
    pub fingerprint: Option<String>,
    /// Not all of it was recorded.
    pub is_cut: bool,
    /// If it is a certificate.
    pub certificate: Option<Certificate>,
}

/// What OpenSSH's certificate says of a key. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its number, given by who signed it.
    pub serial: u64,
    /// 1: of a user, 2: of a host.
    pub kind: u32,
    /// What who signed it calls it.
    pub key_id: Box<[u8]>,
    /// The hosts, or users, that it is for; none means all.
    pub principals: Vec<Box<[u8]>>,
    /// From when it is valid, seconds since 1970.
    pub valid_after: u64,
    /// Until when; the greatest number means for ever.
    pub valid_before: u64,
    /// The type of the key that signed it.
    pub ca_key_type: Box<[u8]>,
    /// Fingerprint of the key that signed it.
    pub ca_fingerprint: String,
}

impl HostKey {
    /// Parses a key as the server's reply has it: a string, whose length is `len`, and of which `blob` was recorded.
    pub(super) fn parse(blob: &[u8], len: usize) -> Option<Self> {
        let is_cut = blob.len() < len;
        let mut reader = Reader(blob);
        let key_type: Box<[u8]> = reader.string()?.into();
        let mut key = Self { is_cut, fingerprint: (!is_cut).then(|| fingerprint(blob)), ..Self::default() };
        if let Some(plain) = key_type.strip_suffix(CERTIFICATE) {
            key.fingerprint = None;
            let _nonce = reader.string();
            let fields = reader.0;
            key.bits = skip_key(plain, &mut reader);
            if key.bits.is_some() {
                let len = fields.len().saturating_sub(reader.0.len());
                let plain_len = u32::try_from(plain.len()).unwrap_or(u32::MAX).to_be_bytes();
                let of_key = [&plain_len, plain, fields.get(..len).unwrap_or_default()].concat();
                key.fingerprint = Some(fingerprint(&of_key));
                key.certificate = Certificate::parse(&mut reader);
            }
        } else {
            key.bits = skip_key(&key_type, &mut reader);
        }
        key.key_type = key_type;
        Some(key)
    }
}

impl Certificate {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let (serial, kind, key_id) = (reader.u64()?, reader.u32()?, reader.string()?.into());
        let mut list = Reader(reader.string()?);
        let principals = std::iter::from_fn(|| list.string()).take(MAX_PRINCIPALS).map(Into::into).collect();
        let (valid_after, valid_before) = (reader.u64()?, reader.u64()?);
        let _critical_options = reader.string()?;
        let _extensions = reader.string()?;
        let _reserved = reader.string()?;
        let ca = reader.string()?;
        let ca_key_type = Reader(ca).string()?.into();
        let ca_fingerprint = fingerprint(ca);
        Some(Self { serial, kind, key_id, principals, valid_after, valid_before, ca_key_type, ca_fingerprint })
    }
}

/// Steps over the fields of a key of this type, and says how many bits it has. None of a type that is not known, and of a key that
/// is cut.
fn skip_key(key_type: &[u8], reader: &mut Reader<'_>) -> Option<u32> {
    match key_type {
        b"ssh-rsa" => {
            reader.string()?;
            reader.mpint_bits()
        }
        b"ssh-dss" => {
            let bits = reader.mpint_bits()?;
            for _ in 0..3 {
                reader.string()?;
            }
            Some(bits)
        }
        b"ssh-ed25519" => reader.string().map(|_| 256),
        b"ssh-ed448" => reader.string().map(|_| 456),
        _ => {
            let bits = match key_type.strip_prefix(b"ecdsa-sha2-")? {
                b"nistp256" => 256,
                b"nistp384" => 384,
                b"nistp521" => 521,
                // secp256k1, by its number (SEC 2).
                b"1.3.132.0.10" => 256,
                _ => return None,
            };
            reader.string()?;
            reader.string()?;
            Some(bits)
        }
    }
}

/// `SHA256:` and the digest in Base64 without padding.
fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}
