//! Algorithms of SSH, by their names in the catalog, and where in the handshake they were used; sizes of keys and groups.

use crate::count::handshakes::Place;
use crate::protocol::ssh::View;
use crate::rules;

/// The size of something that has one: `RSA`, `DSA`, `EC` keys, `DH` groups; in bits.
pub type Size = (&'static str, u32);

/// What one end of a connection shows of it. Only what was agreed on is used.
#[derive(Debug, Default)]
pub struct SshAlgorithms {
    /// Each once for each place.
    pub algorithms: Vec<(String, Place)>,
    /// Sizes of the server's key and of the group.
    pub sizes: Vec<Size>,
    /// The method leaves the group to the server, and what it chose was not seen.
    pub no_group: bool,
}

impl SshAlgorithms {
    /// Of what both sides say; nothing where they have nothing in common of something.
    pub fn new(view: &View) -> Self {
        let mut used = Self::default();
        let agreed = view.agreed.as_deref().filter(|agreed| agreed.nothing_in_common.is_empty());
        let Some(agreed) = agreed else { return used };
        used.put(Place::Protocol, ["SSH 2.0".to_owned()]);
        used.put(Place::KeyExchange, rules::ssh_key_exchange(agreed, view.group_bits));
        used.put(Place::Authentication, rules::ssh_signature(agreed));
        used.put(Place::CipherSuite, rules::ssh_ciphers(agreed));
        let kex = agreed.kex.as_deref().unwrap_or_default();
        let is_chosen =
            ["group-exchange", "gss-gex"].iter().any(|part| memchr::memmem::find(kex, part.as_bytes()).is_some());
        used.no_group = is_chosen && view.group_bits.is_none();
        used.sizes.extend(view.group_bits.or_else(|| rules::ssh_group_bits(kex)).map(|bits| ("DH", bits)));
        if let Some((name, size)) = view.host_key.as_deref().and_then(rules::ssh_host_key) {
            used.put(Place::HostKey, [name]);
            used.sizes.extend(size);
        }
        used
    }

    fn put(&mut self, place: Place, names: impl IntoIterator<Item = String>) {
        for name in names {
            if !self.algorithms.iter().any(|(known, at)| *known == name && *at == place) {
                self.algorithms.push((name, place));
            }
        }
    }
}
