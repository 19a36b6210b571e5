//! `--wire`: whose beginnings of connections are recorded from the network.

use crypto_trace_format::record::Protocol;

use super::When;

/// What `--wire` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Whether to look at all.
    pub when: When,
    /// Of which protocols, as [`Protocol::bit`]s.
    pub protocols: u16,
}

impl Wire {
    /// `auto`, `on`, `off`, or names of protocols with commas between them.
    ///
    /// # Errors
    /// What can be given instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let usual = |when| Self { when, protocols: Protocol::DEFAULT };
        Ok(match text {
            "auto" => usual(When::Auto),
            "on" => usual(When::On),
            "off" => usual(When::Off),
            names => Self { when: When::On, protocols: protocols(names)? },
        })
    }
}

fn protocols(names: &str) -> Result<u16, String> {
    let known = Protocol::NAMES;
    let one = |name: &str| known.iter().find(|(_, known)| *known == name).map(|(code, _)| Protocol(*code).bit());
    names.split(',').try_fold(0, |bits, name| Some(bits | one(name.trim())?)).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|(_, name)| *name).collect();
        format!("can be auto, on, off, or one or more of {} with commas between them", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_named_or_the_usual_ones() {
        let (tls, ssh) = (Protocol::TLS.bit(), Protocol::SSH.bit());
        for (text, when, protocols) in [
            ("auto", When::Auto, Protocol::DEFAULT),
            ("on", When::On, Protocol::DEFAULT),
            ("off", When::Off, Protocol::DEFAULT),
            ("quic,dtls,ike,wireguard", When::On, Protocol::DATAGRAMS),
            ("ssh", When::On, ssh),
            ("tls,ssh", When::On, tls | ssh),
            ("ssh, tls", When::On, tls | ssh),
        ] {
            assert_eq!(Wire::parse(text), Ok(Wire { when, protocols }), "{text}");
        }
        for text in ["", "perhaps", "tls,", "TLS", "tls;ssh"] {
            assert!(Wire::parse(text).is_err_and(|error| error.contains("tls, ssh")), "{text}");
        }
    }
}
