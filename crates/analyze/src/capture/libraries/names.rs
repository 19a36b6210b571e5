//! What libraries call algorithms, in the words of the catalog: `data/api_names.toml`.

use crate::rules;
use crate::words::escape;
use crypto_trace_format::record::{ApiCall, ApiMeaning};
use serde::Deserialize;
use std::sync::OnceLock;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(rename = "number")]
    numbers: Vec<Numbers>,
    #[serde(rename = "function")]
    functions: Vec<Function>,
    #[serde(rename = "alias")]
    aliases: Vec<Alias>,
}

/// How a kind of library numbers algorithms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    family: String,
    meanings: Vec<String>,
    names: Vec<(u64, String)>,
}

/// A function that is an algorithm of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Function {
    prefix: String,
    name: String,
}

/// A name that is not ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alias {
    given: String,
    name: String,
}

fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    // It is part of the program: a test reads it, so that this cannot fail for a user.
    NAMES.get_or_init(|| {
        toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/api_names.toml"))).unwrap_or_default()
    })
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
            | ApiMeaning::KERNEL_TLS
            | ApiMeaning::MECHANISM
    )
}

/// What OpenSSL numbers an algorithm by that has no number: `EVP_PKEY_KEYMGMT`, -1 (include/openssl/evp.h of OpenSSL 3.0).
/// Other libraries say the same in 64 bits (`CK_UNAVAILABLE_INFORMATION` of PKCS #11).
const NO_NUMBER: [u64; 2] = [u32::MAX as u64, u64::MAX];

/// Whether a number of a call says which algorithm it is.
pub fn is_number(number: u64) -> bool {
    number != 0 && !NO_NUMBER.contains(&number)
}

/// The algorithm that a call of a library of these families uses: the catalog's name for it, or else what it was called.
/// None: it uses none, or does not say.
pub fn algorithm(call: &ApiCall<'_>, families: &[u8]) -> Option<String> {
    let meaning = ApiMeaning(call.fixed.meaning);
    if !uses_algorithm(meaning) {
        return None;
    }
    let name = match (call.text, call.fixed.number) {
        // Its number is the direction.
        ([], _) if meaning == ApiMeaning::KERNEL_TLS => return None,
        ([], number) if is_number(number) => numbered(families, meaning, number),
        ([], _) => of_function(call.function)?,
        (text, _) => of_text(text),
    };
    // A MAC is often given by its hash alone.
    let is_hash = || rules::algorithm(&name).is_some_and(|row| row.primitive == rules::Primitive::Hash);
    if meaning == ApiMeaning::MAC && is_hash() { Some(format!("HMAC-{name}")) } else { Some(name) }
}

fn of_function(function: &[u8]) -> Option<String> {
    let found = names().functions.iter().find(|row| function.starts_with(row.prefix.as_bytes()))?;
    Some(found.name.clone())
}

/// Libraries that number algorithms as OpenSSL does.
const RELATIVES: &[&[u8]] = &[b"boringssl-crypto", b"aws-lc-crypto"];

fn numbered(families: &[u8], meaning: ApiMeaning, number: u64) -> String {
    let is = |family: &str| {
        // NSS numbers mechanisms as PKCS #11 does.
        let mechanism = meaning == ApiMeaning::MECHANISM && family == "pkcs11";
        let is_it = |one: &[u8]| one == family.as_bytes() || (family == "openssl-crypto" && RELATIVES.contains(&one));
        mechanism || families.split(|byte| *byte == b',').any(is_it)
    };
    let tables = names().numbers.iter().filter(|table| is(&table.family));
    let mut tables = tables.filter(|table| table.meanings.iter().any(|one| one == meaning.name()));
    let found = tables.find_map(|table| table.names.iter().find(|(known, _)| *known == number));
    match found {
        Some((_, name)) => of_text(name.as_bytes()),
        None if meaning == ApiMeaning::MECHANISM => format!("mechanism {number:#x}"),
        None if families.is_empty() => format!("number {number}"),
        None => format!("number {number} of {}", escape::for_people(families)),
    }
}

fn of_text(given: &[u8]) -> String {
    let plain = |name: &str| name.replace(['-', '_', '/'], "").to_ascii_lowercase();
    let text = escape::for_people(super::short(given, super::MAX_TEXT));
    let wanted = plain(&text);
    let alias = names().aliases.iter().find(|alias| plain(&alias.given) == wanted).map(|alias| alias.name.clone());
    let known = || rules::algorithms().iter().find(|row| plain(&row.name) == wanted).map(|row| row.name.clone());
    alias.or_else(known).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::ApiCallFixed;

    #[test]
    fn the_table_is_read_whole() {
        let names: Names =
            toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/api_names.toml"))).expect("valid");
        assert!(names.numbers.len() >= 8 && names.functions.len() >= 10 && names.aliases.len() >= 10);
        for table in &names.numbers {
            let mut numbers: Vec<u64> = table.names.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), table.names.len(), "{} has a number twice", table.family);
            for meaning in &table.meanings {
                let known = ApiMeaning::NAMES.iter().find(|(_, name)| name == meaning).expect("a meaning");
                assert!(uses_algorithm(ApiMeaning(known.0)), "{meaning}");
            }
        }
    }

    /// `algorithms --api` had HMAC, HKDF, SHAKE and others as "not in the catalog".
    #[test]
    fn macs_key_derivation_and_hashes_of_openssl_are_in_the_catalog() {
        let check = |meaning: ApiMeaning, given: &[&str]| {
            for text in given {
                let fixed = ApiCallFixed { meaning: meaning.0, ..ApiCallFixed::default() };
                let call = ApiCall { fixed, text: text.as_bytes(), ..ApiCall::default() };
                let name = algorithm(&call, b"openssl-crypto").expect("an algorithm");
                assert!(rules::algorithm(&name).is_some(), "{text}: {name} is not in the catalog");
            }
        };
        // What the functions EVP_*_get0_name of OpenSSL's own providers say (providers/implementations/include/prov/names.h).
        let kdfs = "HKDF TLS13-KDF SSKDF PBKDF1 PBKDF2 PKCS12KDF SSHKDF X942KDF-ASN1 X942KDF-CONCAT X963KDF TLS1-PRF KBKDF \
                    KRB5KDF SCRYPT id-scrypt PVKKDF HMAC-DRBG-KDF ARGON2I ARGON2D ARGON2ID";
        check(ApiMeaning::KEY_DERIVATION, &kdfs.split_whitespace().collect::<Vec<_>>());
        let macs = "HMAC CMAC GMAC KMAC-128 KMAC-256 POLY1305 SIPHASH BLAKE2BMAC BLAKE2SMAC SHA2-256";
        check(ApiMeaning::MAC, &macs.split_whitespace().collect::<Vec<_>>());
        let hashes = "SHA1 SHA2-224 SHA2-256 SHA2-384 SHA2-512 SHA2-512/224 SHA2-512/256 SHA3-224 SHA3-256 SHA3-384 SHA3-512 \
                      KECCAK-256 SHAKE-128 SHAKE-256 SHAKE128 BLAKE2S-256 BLAKE2B-512 SM3 MD5 MD5-SHA1 MD4 MDC2 WHIRLPOOL \
                      RIPEMD-160 ripemd160 BLAKE2b512";
        check(ApiMeaning::DIGEST, &hashes.split_whitespace().collect::<Vec<_>>());
        let ciphers = "AES-256-CFB AES-128-OFB AES-192-OCB AES-256-SIV AES-256-GCM-SIV AES-256-WRAP id-aes256-wrap ChaCha20 \
                       SM4-CBC CAST5-CBC BF-CBC AES-128-CBC ChaCha20-Poly1305 id-aes128-CCM";
        check(ApiMeaning::CIPHER, &ciphers.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn numbers_lead_to_the_catalog_s_spelling() {
        for (families, meaning, number, expected) in [
            ("openssl-crypto", ApiMeaning::PUBLIC_KEY, 855, "HMAC"),
            ("openssl-crypto", ApiMeaning::KEY_DERIVATION, 1021, "TLS1-PRF"),
            ("openssl-crypto", ApiMeaning::MAC, 1061, "Poly1305"),
            ("libgcrypt", ApiMeaning::MAC, 501, "Poly1305"),
            ("libgcrypt", ApiMeaning::DIGEST, 318, "BLAKE2b-512"),
            ("gnutls", ApiMeaning::MAC, 14, "HMAC-MD5+SHA-1"),
        ] {
            assert_eq!(numbered(families.as_bytes(), meaning, number), expected);
            assert!(rules::algorithm(expected).is_some());
        }
    }

    #[test]
    fn algorithms_of_calls() {
        let check = |families: &str, meaning: ApiMeaning, given: (&str, &[u8], u64), expected: Option<&str>| {
            let (function, text, number) = given;
            let fixed = ApiCallFixed { meaning: meaning.0, number, ..ApiCallFixed::default() };
            let call = ApiCall { fixed, function: function.as_bytes(), text, ..ApiCall::default() };
            assert_eq!(algorithm(&call, families.as_bytes()).as_deref(), expected, "{given:?}");
        };
        let openssl = "openssl,openssl-crypto";
        check(openssl, ApiMeaning::CIPHER, ("EVP_CipherInit_ex", b"AES-256-GCM", 0), Some("AES-256-GCM"));
        check(openssl, ApiMeaning::CIPHER, ("EVP_CipherInit_ex", b"id-aes256-GCM", 0), Some("AES-256-GCM"));
        check(openssl, ApiMeaning::CIPHER, ("EVP_CipherInit_ex", b"DES-EDE3-CBC", 0), Some("3DES-EDE"));
        check(openssl, ApiMeaning::DIGEST, ("EVP_Digest", b"sha256", 0), Some("SHA-256"));
        check(openssl, ApiMeaning::DIGEST, ("EVP_Digest", b"SHA2-512/256", 0), Some("SHA-512/256"));
        check(openssl, ApiMeaning::MAC, ("HMAC_Init_ex", b"SHA2-256", 0), Some("HMAC-SHA-256"));
        check(openssl, ApiMeaning::PUBLIC_KEY, ("EVP_DigestSignInit", b"", 6), Some("RSA"));
        check(openssl, ApiMeaning::PUBLIC_KEY, ("x", b"", 77_777), Some("number 77777 of openssl,openssl-crypto"));
        for none in NO_NUMBER {
            check(openssl, ApiMeaning::PUBLIC_KEY, ("EVP_DigestSignInit", b"", none), None);
            check(openssl, ApiMeaning::PUBLIC_KEY, ("EVP_PKEY_derive", b"HKDF", none), Some("HKDF"));
        }
        check(openssl, ApiMeaning::KEY_DERIVATION, ("PKCS5_PBKDF2_HMAC", b"", 0), Some("PBKDF2"));
        check(openssl, ApiMeaning::CIPHER, ("EVP_CipherInit_ex", b"", 0), None);
        check(openssl, ApiMeaning::CIPHERS, ("SSL_CTX_set_cipher_list", b"ALL", 0), None);
        check("gnutls", ApiMeaning::MAC, ("gnutls_hmac_init", b"", 3), Some("HMAC-SHA-1"));
        check("libgcrypt", ApiMeaning::DIGEST, ("gcry_md_open", b"", 8), Some("SHA-256"));
        check("nss-pk11", ApiMeaning::MECHANISM, ("PK11_Encrypt", b"", 0x1087), Some("AES-GCM"));
        check("nss-pk11", ApiMeaning::MECHANISM, ("PK11_Encrypt", b"", 0xce53_4351), Some("mechanism 0xce534351"));
        check("libsodium", ApiMeaning::PUBLIC_KEY, ("crypto_sign_detached", b"", 0), Some("Ed25519"));
        check("", ApiMeaning::DIGEST, ("f", b"", 3), Some("number 3"));
        check("", ApiMeaning::KERNEL_TLS, ("setsockopt", b"AES_GCM_128", 1), Some("AES-128-GCM"));
        check("", ApiMeaning::KERNEL_TLS, ("setsockopt", b"", 1), None);
        check("", ApiMeaning::KERNEL_ALGORITHM, ("bind", b"skcipher cbc(aes)", 0), Some("skcipher cbc(aes)"));
        check("", ApiMeaning::CIPHER, ("f", b"gost\x1b", 0), Some("gost\\u{1b}"));
    }
}
