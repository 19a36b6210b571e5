//! What the file name of a library tells, what its functions are called, and which part of what it says of itself is its version.

use crypto_trace_format::catalog;

/// What libraries are called of which the capture tells the family, data/probes.toml of crypto-trace-capture.
const PRODUCTS: &[(&str, &str)] = &[
    ("openssl", "OpenSSL"),
    ("openssl-crypto", "OpenSSL"),
    ("boringssl", "BoringSSL"),
    ("boringssl-crypto", "BoringSSL"),
    ("aws-lc", "AWS-LC"),
    ("aws-lc-crypto", "AWS-LC"),
    ("libressl", "LibreSSL"),
    ("gnutls", "GnuTLS"),
    ("nss", "NSS"),
    ("nss-pk11", "NSS"),
    ("pkcs11", "PKCS #11"),
    ("mbedtls", "Mbed TLS"),
    ("wolfssl", "wolfSSL"),
    ("libgcrypt", "Libgcrypt"),
    ("libsodium", "libsodium"),
    ("nettle", "Nettle"),
    ("go-crypto-tls", "Go crypto/tls"),
    ("rustls", "rustls"),
];

/// What a library is called, by the first of its families that is known.
pub fn product(families: &[u8]) -> Option<&'static str> {
    let name = |family: &[u8]| PRODUCTS.iter().find(|(known, _)| known.as_bytes() == family).map(|(_, name)| *name);
    families.split(|byte| *byte == b',').find_map(name)
}

/// What this program calls a library, in whatever spelling: letters and digits count alone, and small letters are as large ones.
pub fn by_name(name: &str) -> Option<&'static str> {
    let letters = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let wanted = letters(name);
    let of_catalog = catalog::LIBRARY_PREFIXES.iter().map(|(_, name)| *name);
    let mut known = PRODUCTS.iter().map(|(_, name)| *name).chain(of_catalog);
    known.find(|known| letters(known) == wanted)
}

/// The number of what a library tells of its version: `3.0.17` of `3.0.17 1 Jul 2025`, as older captures have it; empty when there is
/// none, as in the `3's legacy provider failed` that they have, too.
pub fn version_number(told: &[u8]) -> &[u8] {
    let word = told.split(|byte| *byte == b' ').next().unwrap_or(told);
    let is_dotted =
        |part: &[u8]| matches!(part, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit());
    if word.windows(3).any(is_dotted) { word } else { b"" }
}

/// The version of the binary interface in a library's file name: `3` of `libssl.so.3`, `1.0.2` of `libssl-1.0.2.so`.
pub fn soname_version(file_name: &[u8]) -> Option<&[u8]> {
    let is_version = |text: &[u8]| {
        text.first().is_some_and(u8::is_ascii_digit)
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(byte))
    };
    let so = memchr::memmem::find(file_name, b".so")?;
    let after = file_name.get(so + 3..)?;
    if let Some(version) = after.strip_prefix(b".") {
        return is_version(version).then_some(version);
    }
    let stem = file_name.get(..so).filter(|_| after.is_empty())?;
    let dash = stem.iter().rposition(|byte| *byte == b'-')?;
    stem.get(dash + 1..).filter(|version| {
        version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(|b| b.is_ascii_digit() || *b == b'.')
    })
}

/// Beginnings of the file names of libraries that speak TLS, as opposed to those that only encrypt, hash or sign.
const TLS_LIBRARIES: &[&str] = &[
    "libssl.",
    "libssl-",
    "libssl3.",
    "libgnutls.",
    "libgnutls-",
    "libmbedtls",
    "libwolfssl",
    "libboringssl",
    "libaws-lc",
    "libs2n",
    "librustls",
    "libbotan",
    "libtcnative",
    "libnetty_tcnative",
    "libconscrypt",
    "_ssl.",
];

/// Whether a library speaks TLS, by its file name.
pub fn speaks_tls(file_name: &[u8]) -> bool {
    TLS_LIBRARIES.iter().any(|prefix| file_name.starts_with(prefix.as_bytes()))
}

/// What a library is called: by the catalog, which goes by its path, or else by its family.
pub fn known_as(path: &[u8], family: &[u8]) -> Option<&'static str> {
    catalog::library(path).or_else(|| product(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_speak_tls() {
        for (name, expected) in [
            ("libssl.so.3", true),
            ("libssl-8bd944e8.so.3", true),
            ("libgnutls.so.30", true),
            ("libcrypto.so.3", false),
            ("libssh.so.4", false),
            ("libgnutlsxx.so.30", false),
        ] {
            assert_eq!(speaks_tls(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn products_and_their_numbers() {
        let shown = |families: &str| product(families.as_bytes());
        assert_eq!((shown("openssl,openssl-crypto"), shown("x,boringssl")), (Some("OpenSSL"), Some("BoringSSL")));
        assert_eq!((shown(""), shown("unheard-of")), (None, None));
        let number = |told: &'static str| version_number(told.as_bytes());
        assert_eq!(number("3's legacy provider failed to load"), b"");
        assert_eq!(
            (number("3.0.17 1 Jul 2025"), number("go1.27.3"), number("")),
            (&b"3.0.17"[..], &b"go1.27.3"[..], &b""[..])
        );
    }

    #[test]
    fn versions() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(soname_version(name.as_bytes()), expected.map(str::as_bytes), "{name}");
        };
        check("libssl.so.3", Some("3"));
        check("libgnutls.so.30.34.3", Some("30.34.3"));
        check("libcrypto.so.1.0.2k", Some("1.0.2k"));
        check("libssl-1.0.2.so", Some("1.0.2"));
        check("libssl.so", None);
        check("libp11-kit.so", None);
        check("_ssl.cpython-311-x86_64-linux-gnu.so", None);
        check("libssl.so.debug", None);
        check("x", None);
    }
}
