//! Names of crypto libraries. To teach crypto-trace a new one, add a row; where its calls are to be probed, the probing tables
//! need it too.

use super::file_name;

/// Beginnings of library file names and the library each belongs to. The longest match wins. Where a beginning ends in a letter or
/// digit, no letter may follow: `libcrypto` is not `libcryptominisat`. The kernel knows the beginnings only and records more.
pub const LIBRARY_PREFIXES: &[(&str, &str)] = &[
    // TLS and all that it needs.
    ("libssl", "OpenSSL"),
    ("libcrypto", "OpenSSL"),
    ("libcrypto-vala", "Dino"),
    ("libecpg_crypto", "OpenSSL"),
    ("legacy.so", "OpenSSL"),
    ("fips.so", "OpenSSL"),
    ("pkcs11.so", "OpenSSL"),
    ("afalg.so", "OpenSSL"),
    ("padlock.so", "OpenSSL"),
    ("loader_attic.so", "OpenSSL"),
    ("libtls", "LibreSSL libtls"),
    ("libgnutls", "GnuTLS"),
    ("libgnutlsxx", "GnuTLS"),
    ("libssl3.", "NSS"),
    ("libnss3", "NSS"),
    ("libnssutil3", "NSS"),
    ("libnssdbm3", "NSS"),
    ("libnsssysinit", "NSS"),
    ("libsmime3", "NSS"),
    ("libsoftokn3", "NSS"),
    ("libfreebl", "NSS"),
    ("libfreeblpriv", "NSS"),
    ("libnssckbi", "NSS"),
    ("libmbedtls", "Mbed TLS"),
    ("libmbedcrypto", "Mbed TLS"),
    ("libmbedx509", "Mbed TLS"),
    ("libtfpsacrypto", "Mbed TLS"),
    ("libpolarssl", "Mbed TLS"),
    ("libwolfssl", "wolfSSL"),
    ("libcyassl", "wolfSSL"),
    ("libbearssl", "BearSSL"),
    ("libmatrixssl", "MatrixSSL"),
    ("libgmssl", "GmSSL"),
    ("libboringssl", "BoringSSL"),
    ("libaws-lc", "AWS-LC"),
    ("libs2n", "s2n-tls"),
    ("librustls", "rustls"),
    ("libngtcp2_crypto_", "ngtcp2"),
    // Engines and providers of OpenSSL.
    ("gost.so", "GOST engine"),
    ("gostprov.so", "GOST engine"),
    ("libgost.so", "GOST engine"),
    ("oqsprovider", "liboqs"),
    ("tpm2.so", "tpm2-openssl"),
    ("libtpm2tss", "tpm2-tss-engine"),
    ("tpm2tss.so", "tpm2-tss-engine"),
    ("qatengine.so", "QAT engine"),
    ("qatprovider.so", "QAT engine"),
    ("ibmca", "IBMCA engine"),
    // Algorithms.
    ("libnettle", "Nettle"),
    ("libhogweed", "Nettle"),
    ("libgcrypt", "Libgcrypt"),
    ("libsodium", "libsodium"),
    ("libbotan", "Botan"),
    ("libcryptopp", "Crypto++"),
    ("libcrypto++", "Crypto++"),
    ("libtomcrypt", "LibTomCrypt"),
    ("liboqs", "liboqs"),
    ("libsecp256k1", "libsecp256k1"),
    ("libmcrypt", "libmcrypt"),
    ("libmhash", "mhash"),
    ("libscrypt", "libscrypt"),
    ("libscrypt-kdf", "libscrypt"),
    ("libargon2", "Argon2"),
    ("libbcrypt", "bcrypt"),
    ("libb2", "BLAKE2"),
    ("libblake3", "BLAKE3"),
    ("libdecaf", "libdecaf"),
    ("libmonocypher", "Monocypher"),
    ("libsymcrypt", "SymCrypt"),
    ("libisal_crypto", "ISA-L crypto"),
    ("libIPSec_MB", "Intel IPsec MB"),
    ("libica", "libica"),
    ("libcrypt.", "libcrypt"),
    ("libcrypt-", "libcrypt"),
    ("libxcrypt", "libcrypt"),
    ("libowcrypt", "libcrypt"),
    // OpenPGP, S/MIME, XML, JOSE.
    ("libgpgme", "GPGME"),
    ("libgpgmepp", "GPGME"),
    ("libqgpgme", "GPGME"),
    ("libksba", "Libksba"),
    ("libassuan", "Libassuan"),
    ("librnp", "RNP"),
    ("libsequoia_openpgp", "Sequoia"),
    ("libxmlsec1", "XMLSec"),
    ("libxml-security-c", "Apache XML Security"),
    ("libjose", "JOSE"),
    ("libcjose", "cjose"),
    ("libjwt", "libjwt"),
    ("libl8w8jwt", "l8w8jwt"),
    ("librhonabwy", "Rhonabwy"),
    // Messages and media.
    ("libsrtp", "libsrtp"),
    ("libotr", "libotr"),
    ("libolm", "libolm"),
    ("libsignal-protocol-c", "libsignal"),
    ("libsignal_", "libsignal"),
    ("libomemo", "libomemo"),
    ("libzrtpcpp", "ZRTPCPP"),
    ("libbzrtp", "bzrtp"),
    // SSH, VPN, DNSSEC.
    ("libssh", "libssh"),
    ("libssh2", "libssh2"),
    ("libstrongswan", "strongSwan"),
    ("libcharon", "strongSwan"),
    ("libldns", "ldns"),
    ("libunbound", "Unbound"),
    ("libopendkim", "OpenDKIM"),
    // Kerberos, SASL.
    ("libkrb5", "Kerberos"),
    ("libkrb5support", "Kerberos"),
    ("libk5crypto", "Kerberos"),
    ("libgssapi", "Kerberos"),
    ("libgssrpc", "Kerberos"),
    ("libkdb5", "Kerberos"),
    ("libkadm5", "Kerberos"),
    ("libkadm5clnt", "Kerberos"),
    ("libkadm5clnt_mit", "Kerberos"),
    ("libkadm5srv", "Kerberos"),
    ("libkadm5srv_mit", "Kerberos"),
    ("libhcrypto", "Heimdal"),
    ("libhx509", "Heimdal"),
    ("libheimntlm", "Heimdal"),
    ("libheimbase", "Heimdal"),
    ("libhdb.", "Heimdal"),
    ("libkdc.", "Heimdal"),
    ("libshishi", "Shishi"),
    ("libgss.", "GNU GSS"),
    ("libgsasl", "GNU SASL"),
    ("libsasl2", "Cyrus SASL"),
    // Tokens, cards, TPMs.
    ("libp11", "PKCS#11"),
    ("libpkcs11", "PKCS#11"),
    ("libp11-kit", "p11-kit"),
    ("p11-kit-", "p11-kit"),
    ("libgck-", "GCR"),
    ("libgcr-", "GCR"),
    ("libsecret-1", "libsecret"),
    ("gnome-keyring-pkcs11.so", "GNOME Keyring"),
    ("opensc-pkcs11", "OpenSC"),
    ("onepin-opensc-pkcs11", "OpenSC"),
    ("libopensc", "OpenSC"),
    ("libsmm-local", "OpenSC"),
    ("libsofthsm", "SoftHSM"),
    ("libopencryptoki", "openCryptoki"),
    ("libpkcs11_cca", "openCryptoki"),
    ("libpkcs11_ica", "openCryptoki"),
    ("libpkcs11_icsf", "openCryptoki"),
    ("libpkcs11_sw", "openCryptoki"),
    ("libpkcs11_tpm", "openCryptoki"),
    ("PKCS11_API.so", "openCryptoki"),
    ("libcoolkeypk", "CoolKey"),
    ("libcackey", "CACKey"),
    ("libbeidpkcs", "eID"),
    ("libtpm2_pkcs11", "tpm2-pkcs11"),
    ("libykcs11", "YubiKey"),
    ("libykpiv", "YubiKey"),
    ("libykpers", "YubiKey"),
    ("libyubihsm", "YubiHSM"),
    ("libyubikey", "YubiKey"),
    ("yubihsm_pkcs11", "YubiHSM"),
    ("libnitrokey", "Nitrokey"),
    ("libfido2", "libfido2"),
    ("libu2f-host", "libu2f"),
    ("libu2f-server", "libu2f"),
    ("libpcsclite", "PCSC-Lite"),
    ("libpcscspy", "PCSC-Lite"),
    ("libccid", "CCID"),
    ("libccidtwin", "CCID"),
    ("libtss2", "tpm2-tss"),
    ("libtspi", "TrouSerS"),
    ("libtpms", "libtpms"),
    ("libtpm_", "libtpm"),
    ("libibmtss", "IBM TSS"),
    ("libimaevm", "ima-evm-utils"),
    ("liboath", "OATH"),
    ("libpskc", "OATH"),
    // Disks and files.
    ("libcryptsetup", "cryptsetup"),
    ("libluksmeta", "cryptsetup"),
    ("libvolume_key", "volume_key"),
    ("libecryptfs", "eCryptfs"),
    ("libkeyutils", "keyutils"),
    // Of languages and frameworks.
    ("libsunec", "Java SunEC"),
    ("libj2pkcs11", "Java SunPKCS11"),
    ("libj2gss", "Java SunJGSS"),
    ("libj2pcsc", "Java SunPCSC"),
    ("libtcnative", "Tomcat Native"),
    ("libnetty_tcnative", "Netty tcnative"),
    ("libconscrypt", "Conscrypt"),
    ("libQt5Network", "Qt Network"),
    ("libQt6Network", "Qt Network"),
    ("libqca-", "QCA"),
    ("_ssl.", "Python ssl"),
    ("_hashlib.", "Python hashlib"),
    ("_rust.abi3.so", "Python cryptography"),
];

/// The crypto library whose file this is; `None` when the catalog does not know it.
pub fn library(path: &[u8]) -> Option<&'static str> {
    let name = file_name(path);
    let found = LIBRARY_PREFIXES
        .iter()
        .filter(|(prefix, _)| begins(name, prefix.as_bytes()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, library)| *library)?;
    // strongSwan keeps a libtls of its own beside its other libraries.
    let in_ipsec = path.rsplit(|byte| *byte == b'/').nth(1) == Some(b"ipsec");
    Some(if in_ipsec && name.starts_with(b"libtls") { "strongSwan" } else { found })
}

/// Whether a name begins so, and no other word begins so.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(prefix) else { return false };
    let is_open = prefix.last().is_some_and(u8::is_ascii_alphanumeric);
    !is_open || !rest.first().is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_library_prefix_wins() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(library(path.as_bytes()), expected, "{path}");
        check("/usr/lib/x86_64-linux-gnu/libssl.so.3", Some("OpenSSL"));
        check("/usr/lib/x86_64-linux-gnu/libssl3.so", Some("NSS"));
        check("/usr/lib/libp11-kit.so.0", Some("p11-kit"));
        check("/usr/lib/libssh2.so.1", Some("libssh2"));
        check("/usr/lib/libc.so.6", None);
        check("/usr/lib/libcrypt.so.1", Some("libcrypt"));
        check("/usr/lib/x86_64-linux-gnu/nss/libfreeblpriv3.so", Some("NSS"));
        check("/usr/lib/libkrb5support.so.0", Some("Kerberos"));
        check("/usr/lib/libcrypto-mdrandom.so.1.1", Some("OpenSSL"));
    }

    /// A SAT solver was shown as OpenSSL, a scanner of vulnerabilities as OpenSC.
    #[test]
    fn a_library_whose_name_goes_on_with_letters_is_another_one() {
        let check = |name: &str| assert_eq!(library(name.as_bytes()), None, "{name}");
        check("libcryptominisat5.so.5.8");
        check("libopenscap.so.25");
        check("libcryptofuncs.so");
        check("libQt5NetworkAuth.so.5");
        check("libQt6NetworkAuth.so.6");
        check("libsecretsmanager.so");
        check("libtlsh.so.0");
    }

    #[test]
    fn libtls_beside_strongswan_is_its_own() {
        assert_eq!(library(b"/usr/lib/ipsec/libtls.so.0"), Some("strongSwan"));
        assert_eq!(library(b"/usr/lib/libtls.so.26"), Some("LibreSSL libtls"));
    }
}
