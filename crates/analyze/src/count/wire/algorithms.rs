//! Algorithms of SSH, IKE and WireGuard, by their names in the catalog, and where in the handshake they were used; sizes of keys and groups.

use crate::count::handshakes::Place;
use crate::protocol::ike::{Transform, TransformType};
use crate::protocol::{View, ike, ssh, wireguard};
use crate::rules;

/// The size of something that has one: `RSA`, `DSA`, `EC` keys, `DH` groups; in bits.
pub type Size = (&'static str, u32);

/// What one end of a connection shows of it. Only what was agreed on is used.
#[derive(Debug, Default)]
pub struct Algorithms {
    /// Each once for each place.
    pub algorithms: Vec<(String, Place)>,
    /// Sizes of the server's key and of the group.
    pub sizes: Vec<Size>,
    /// The method, of SSH, leaves the group to the server, and what it chose was not seen.
    pub no_group: bool,
}

impl Algorithms {
    /// Of a connection; nothing of TLS, of which [`crate::count::handshakes::Facts`] tells.
    pub fn new(view: &View) -> Self {
        match view {
            View::Ssh(view) => Self::of_ssh(view),
            View::Ike(view) => Self::of_ike(view),
            View::Wireguard(view) => Self::of_wireguard(view),
            View::Tls(_) => Self::default(),
        }
    }

    /// Of what both sides of SSH say; nothing where they have nothing in common of something.
    pub fn of_ssh(view: &ssh::View) -> Self {
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

    /// Of what the responder of IKE chose.
    pub fn of_ike(view: &ike::View) -> Self {
        let mut used = Self::default();
        let (Some(chosen), Some(responder)) = (view.chosen.as_deref(), view.responder.as_deref()) else { return used };
        let (major, minor) = responder.version;
        used.put(Place::Protocol, [format!("IKE {major}.{minor}")]);
        let parts = |one: &Transform| rules::ike_transform(&one.name(), one.key_bits);
        for one in &chosen.transforms {
            match one.ty {
                TransformType::ENCRYPTION | TransformType::INTEGRITY => used.put(Place::CipherSuite, parts(one)),
                TransformType::PRF => used.put(Place::KeyExchange, parts(one)),
                _ => {}
            }
        }
        let mut exchanges = view.key_exchanges();
        match (exchanges.next(), exchanges.next()) {
            (Some(one), None) => {
                used.put(Place::KeyExchange, parts(one));
                used.sizes.extend(modp_bits(&one.name()).map(|bits| ("DH", bits)));
            }
            // The keys are those of all together: none of them is judged by itself.
            (Some(_), Some(_)) => used.put(Place::KeyExchange, view.exchange_name()),
            (None, _) => {}
        }
        used
    }

    /// Of a handshake of WireGuard that was answered.
    pub fn of_wireguard(view: &wireguard::View) -> Self {
        let mut used = Self::default();
        if view.responder.is_some() {
            used.put(Place::Protocol, [wireguard::NAME.to_owned()]);
            used.put(Place::KeyExchange, [wireguard::KEY_EXCHANGE, wireguard::HASH].map(str::to_owned));
            used.put(Place::CipherSuite, [wireguard::CIPHER.to_owned()]);
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

/// Bits of a group of integers, by the name of it: `2048-bit MODP Group`.
fn modp_bits(name: &str) -> Option<u32> {
    let (bits, kind) = name.split_once("-bit ")?;
    kind.starts_with("MODP").then(|| bits.parse().ok()).flatten()
}
