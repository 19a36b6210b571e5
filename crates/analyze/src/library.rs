//! What the file name of a library tells.

/// The version in a library's file name: `3` of `libssl.so.3`, `1.0.2` of `libssl-1.0.2.so`.
pub fn version(file_name: &[u8]) -> Option<&[u8]> {
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
    fn versions() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(version(name.as_bytes()), expected.map(str::as_bytes), "{name}");
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
