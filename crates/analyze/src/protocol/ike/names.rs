//! Names of transforms and errors, from `data/ike.toml`.

use super::message::{Transform, TransformType};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

type Names = BTreeMap<String, BTreeMap<String, String>>;

fn name(table: &str, number: u16) -> Option<&'static str> {
    static NAMES: OnceLock<Names> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let file = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/ike.toml"));
        // A test reads it: an error can only be one of the build, and then all are numbers.
        toml::from_str(file).unwrap_or_default()
    });
    names.get(table)?.get(&number.to_string()).map(String::as_str)
}

/// The name of a transform by IANA. None for one that is not known.
pub fn transform_name(ty: TransformType, id: u16) -> Option<&'static str> {
    let table = match ty {
        TransformType::ENCRYPTION => "encryption",
        TransformType::PRF => "prf",
        TransformType::INTEGRITY => "integrity",
        _ if ty.is_key_exchange() => "key_exchange",
        _ => return None,
    };
    name(table, id)
}

impl Transform {
    /// Its name by IANA, or its number.
    pub fn name(&self) -> String {
        transform_name(self.ty, self.id).map_or_else(|| self.id.to_string(), str::to_owned)
    }
}

/// Its name with the length of its key, where it says one: `ENCR_AES_GCM_16-256`
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.key_bits.map_or(Ok(()), |bits| write!(f, "-{bits}"))
    }
}

/// The name of an error that a notification tells.
pub fn error_name(number: u16) -> Option<&'static str> {
    name("error", number)
}

/// Whether a method of key exchange is one against quantum computers. None for one that is not known.
pub fn is_post_quantum(id: u16) -> Option<bool> {
    Some(name("key_exchange", id)?.starts_with("ML-KEM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read() {
        assert_eq!(transform_name(TransformType::ENCRYPTION, 20), Some("ENCR_AES_GCM_16"));
        assert_eq!(transform_name(TransformType::PRF, 7), Some("PRF_HMAC_SHA2_512"));
        assert_eq!(transform_name(TransformType::INTEGRITY, 12), Some("AUTH_HMAC_SHA2_256_128"));
        assert_eq!(transform_name(TransformType::KEY_EXCHANGE, 31), Some("Curve25519"));
        assert_eq!(transform_name(TransformType(12), 37), Some("ML-KEM-1024"));
        assert_eq!(transform_name(TransformType(13), 37), None);
        assert_eq!(error_name(14), Some("NO_PROPOSAL_CHOSEN"));
        let all: Vec<Option<bool>> = [31, 35, 36, 37, 4000].into_iter().map(is_post_quantum).collect();
        assert_eq!(all, [Some(false), Some(true), Some(true), Some(true), None]);
    }
}
