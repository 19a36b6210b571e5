//! What two sides agree on: of each list the first name of the client's that the server has (RFC 4253 section 7.1).

use super::kexinit::{KexInit, Names, Offers};

/// What is used in one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Direction {
    /// The cipher.
    pub cipher: Option<Box<[u8]>>,
    /// The message authentication code. None also where the cipher authenticates by itself.
    pub mac: Option<Box<[u8]>>,
    /// Compression.
    pub compression: Option<Box<[u8]>>,
}

/// What was agreed on. None: they have nothing in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The method of key exchange.
    pub kex: Option<Box<[u8]>>,
    /// The kind of host key, and how it signs.
    pub host_key: Option<Box<[u8]>>,
    /// From client to server.
    pub to_server: Direction,
    /// From server to client.
    pub to_client: Direction,
    /// Of a client whose guess of the server's choice followed: whether it was right. A wrong one is ignored.
    pub guessed_right: Option<bool>,
    /// Lists without a name in common.
    pub nothing_in_common: Vec<&'static str>,
    /// Both sides know strict key exchange.
    pub strict_kex: bool,
}

impl Agreed {
    /// By what both offer.
    pub fn new(client: &KexInit, server: &KexInit) -> Self {
        let mut agreed = Self {
            kex: first(&client.kex, &server.kex),
            host_key: first(&client.host_keys, &server.host_keys),
            to_server: direction(&client.to_server, &server.to_server),
            to_client: direction(&client.to_client, &server.to_client),
            strict_kex: client.strict_kex.is_some() && server.strict_kex.is_some(),
            ..Self::default()
        };
        let same_first = |one: &Names, other: &Names| one.first().is_some_and(|name| Some(name) == other.first());
        let right = if client.kexguess2 && server.kexguess2 {
            agreed.kex.as_ref() == client.kex.first() && agreed.host_key.as_ref() == client.host_keys.first()
        } else {
            same_first(&client.kex, &server.kex) && same_first(&client.host_keys, &server.host_keys)
        };
        agreed.guessed_right = client.first_kex_packet_follows.then_some(right);
        agreed.nothing_in_common = agreed.missing();
        agreed
    }

    fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        let (to_server, to_client) = (&self.to_server, &self.to_client);
        let lacks_mac =
            |of: &Direction| of.mac.is_none() && of.cipher.as_deref().is_some_and(|cipher| !authenticates(cipher));
        for (is, name) in [
            (self.kex.is_none(), "kex"),
            (self.host_key.is_none(), "host_key"),
            (to_server.cipher.is_none(), "cipher_client_to_server"),
            (to_client.cipher.is_none(), "cipher_server_to_client"),
            (lacks_mac(to_server), "mac_client_to_server"),
            (lacks_mac(to_client), "mac_server_to_client"),
            (to_server.compression.is_none(), "compression_client_to_server"),
            (to_client.compression.is_none(), "compression_server_to_client"),
        ] {
            if is {
                missing.push(name);
            }
        }
        missing
    }

    /// Whether the method of key exchange resists a quantum computer.
    pub fn post_quantum(&self) -> Option<bool> {
        post_quantum(self.kex.as_deref()?)
    }
}

fn direction(client: &Offers, server: &Offers) -> Direction {
    let cipher = first(&client.ciphers, &server.ciphers);
    let mac = if cipher.as_deref().is_some_and(authenticates) { None } else { first(&client.macs, &server.macs) };
    Direction { mac, cipher, compression: first(&client.compression, &server.compression) }
}

fn first(client: &Names, server: &Names) -> Option<Box<[u8]>> {
    client.iter().find(|name| server.contains(name)).cloned()
}

/// Whether a cipher authenticates what it encrypts: OpenSSH's, and those of RFC 5647.
fn authenticates(cipher: &[u8]) -> bool {
    let ends = |suffix: &[u8]| cipher.ends_with(suffix);
    cipher.starts_with(b"chacha20-poly1305")
        || cipher.starts_with(b"AEAD_")
        || ends(b"-gcm@openssh.com")
        || ends(b"-gcm")
}

/// What is in the names of methods that resist a quantum computer, alone or with a classical one: ML-KEM, Streamlined NTRU
/// Prime, and the drafts of them and of others that vendors name.
const POST_QUANTUM: &[&[u8]] = &[b"mlkem", b"ml-kem", b"sntrup", b"kyber", b"frodokem", b"bike", b"hqc"];

/// Beginnings of names of methods that do not: RFC 4253, 4419, 4432, 4462, 5656, 8268, 8731, 8732, and draft names.
const CLASSICAL: &[&[u8]] = &[
    b"diffie-hellman-",
    b"ecdh-sha2-",
    b"curve25519-sha256",
    b"curve448-sha512",
    b"ecmqv-sha2",
    b"rsa1024-sha1",
    b"rsa2048-sha256",
    b"gss-group",
    b"gss-gex-",
    b"gss-nistp",
    b"gss-curve",
    b"sm2kep-sha2-",
];

/// Whether a method of key exchange resists a quantum computer. None of a name that is not known.
pub fn post_quantum(kex: &[u8]) -> Option<bool> {
    let lower = kex.to_ascii_lowercase();
    if POST_QUANTUM.iter().any(|part| memchr::memmem::find(&lower, part).is_some()) {
        return Some(true);
    }
    CLASSICAL.iter().any(|start| lower.starts_with(start)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        text.split(',').map(|name| name.as_bytes().into()).collect()
    }

    fn offers(ciphers: &str, macs: &str) -> Offers {
        Offers { ciphers: names(ciphers), macs: names(macs), compression: names("none") }
    }

    fn offer(kex: &str, host_keys: &str, ciphers: &str, macs: &str) -> KexInit {
        let both = offers(ciphers, macs);
        KexInit {
            kex: names(kex),
            host_keys: names(host_keys),
            to_server: both.clone(),
            to_client: both,
            ..KexInit::default()
        }
    }

    #[test]
    fn the_clients_first_that_the_server_has_is_agreed_on() {
        let client = offer("a,b,c", "rsa,ed", "aes256-gcm@openssh.com,aes128-ctr", "hmac-x,hmac-y");
        let server = offer("c,b", "ed,rsa", "aes128-ctr,aes256-gcm@openssh.com", "hmac-y");
        let agreed = Agreed::new(&client, &server);
        assert_eq!((agreed.kex.as_deref(), agreed.host_key.as_deref()), (Some(&b"b"[..]), Some(&b"rsa"[..])));
        assert_eq!(agreed.to_server.cipher.as_deref(), Some(&b"aes256-gcm@openssh.com"[..]));
        assert_eq!((agreed.to_server.mac.as_deref(), agreed.nothing_in_common.len()), (None, 0));
        let agreed = Agreed::new(&server, &client);
        assert_eq!((agreed.kex.as_deref(), agreed.to_client.mac.as_deref()), (Some(&b"c"[..]), Some(&b"hmac-y"[..])));
    }

    #[test]
    fn what_they_do_not_have_in_common_is_told() {
        let agreed = Agreed::new(&offer("a", "x", "aes128-ctr", "m"), &offer("b", "x", "aes128-ctr", "n"));
        assert_eq!(agreed.nothing_in_common, ["kex", "mac_client_to_server", "mac_server_to_client"]);
    }

    #[test]
    fn a_guess_is_right_when_both_prefer_the_same() {
        let server = offer("a,b", "x", "c", "m");
        let guess = |kex, keys| {
            let client = KexInit { first_kex_packet_follows: true, ..offer(kex, keys, "c", "m") };
            Agreed::new(&client, &server).guessed_right
        };
        assert_eq!([guess("a,b", "x"), guess("b,a", "x"), guess("a", "y,x")], [Some(true), Some(false), Some(false)]);
        assert_eq!(Agreed::new(&server, &server).guessed_right, None);
        // By dropbear's rule it is enough that the client's first is what is agreed on.
        let client = KexInit { first_kex_packet_follows: true, kexguess2: true, ..offer("b", "x", "c", "m") };
        let other = KexInit { kexguess2: true, ..server };
        assert_eq!(Agreed::new(&client, &other).guessed_right, Some(true));
    }

    #[test]
    fn methods_are_judged_by_their_names_and_unknown_ones_are_not() {
        for (name, expected) in [
            ("mlkem768x25519-sha256", Some(true)),
            ("sntrup761x25519-sha512@openssh.com", Some(true)),
            ("mlkem768nistp256-sha256", Some(true)),
            ("mlkem1024nistp384-sha384", Some(true)),
            ("ecdh-nistp384-kyber-768r3-sha384-d00@openquantumsafe.org", Some(true)),
            ("x25519-kyber-512r3-sha256-d00@amazon.com", Some(true)),
            ("curve25519-sha256@libssh.org", Some(false)),
            ("diffie-hellman-group1-sha1", Some(false)),
            ("gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==", Some(false)),
            ("own@example.test", None),
        ] {
            assert_eq!(post_quantum(name.as_bytes()), expected, "{name}");
        }
    }
}
