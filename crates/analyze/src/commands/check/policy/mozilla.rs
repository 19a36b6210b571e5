//! Mozilla's Server Side TLS guidelines as it publishes them for programs: `guidelines/6.0.json`.
//!
//! They speak of servers. What is judged is what was agreed on: versions, suites, curves, sizes of keys; the rest is named as not
//! judged, so that it never reads as kept.

use super::super::rule::{Asked, Condition};
use super::super::scope::Scope;
use super::imported::{Document, KEY_EXCHANGE, named, only, suite};
use super::{Checked, Policy, Wrong};
use crate::capture::connections::Role;
use crate::rules::Primitive;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Deserialize)]
struct Guidelines {
    version: serde_json::Value,
    href: Option<String>,
    configurations: BTreeMap<String, Configuration>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    tls_versions: Vec<String>,
    #[serde(default)]
    ciphersuites: Vec<String>,
    ciphers: Ciphers,
    tls_curves: Vec<String>,
    rsa_key_size: Option<u32>,
    dh_param_size: Option<u32>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Ciphers {
    #[serde(default)]
    iana: Vec<String>,
}

/// What no handshake is asked: preferences, and what is said for people.
const NOT_RULES: [&str; 2] = ["oldest_clients", "server_preferred_order"];

/// Rules of one configuration. `chosen`: which, where there are several.
pub(super) fn parse(text: &str, chosen: Option<&str>) -> Checked<Policy> {
    let guidelines: Guidelines = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        Wrong(offset(text, error.line(), error.column()), format!("not Mozilla's guidelines: {what}"))
    })?;
    let names = || guidelines.configurations.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let found = match chosen {
        Some(chosen) => guidelines.configurations.get_key_value(chosen),
        None if guidelines.configurations.len() == 1 => guidelines.configurations.first_key_value(),
        None => None,
    };
    let Some((name, configuration)) = found else {
        let what = match chosen {
            Some(chosen) => format!("there is no configuration `{chosen}`: there are {}", names()),
            None => format!("say which configuration is meant, FILE.json#NAME: there are {}", names()),
        };
        return Err(Wrong(0..0, what));
    };
    let version = guidelines.version.to_string();
    let version = version.trim_matches('"');
    let document = Document {
        name: format!("mozilla-{name}-{version}"),
        title: format!("Mozilla, Server Side TLS {version}, {name}"),
        url: guidelines.href.clone(),
    };
    let rules = configuration.rules(&document, text)?;
    Ok(Policy { name: document.name, dated: None, extends: Vec::new(), rules, waivers: Vec::new() })
}

/// Where a line and a column, both from 1, are.
fn offset(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = (before + column.saturating_sub(1)).min(text.len());
    at..at
}

/// Something in a list that is not known, where it stands.
fn unknown(text: &str, name: &str, what: &str) -> Wrong {
    let at = text.find(&format!("\"{name}\"")).unwrap_or_default();
    Wrong(at..at, format!("`{name}` is no {what} that is known here"))
}

impl Configuration {
    fn rules(&self, document: &Document, text: &str) -> Checked<Vec<Asked>> {
        let servers = || Scope { role: Some(Role::Server), ..Scope::of_protocol("tls") };
        let list = |member: &str, names: &[String]| format!("{member}: {}", names.join(", "));
        let mut rules = Vec::new();

        let version = |name: &String| {
            let known = name.replace("TLSv1", "TLS 1").replace("SSLv", "SSL ");
            let known = if known.contains('.') { known } else { format!("{known}.0") };
            named(&known, &[Primitive::Protocol]).ok_or_else(|| unknown(text, name, "version"))
        };
        let versions = self.tls_versions.iter().map(version).collect::<Checked<Vec<_>>>()?;
        let condition = only(versions, &[Primitive::Protocol]);
        rules.push(document.rule("tls_versions", list("tls_versions", &self.tls_versions), servers(), condition));

        let suites: Vec<String> = self.ciphersuites.iter().chain(&self.ciphers.iana).cloned().collect();
        let of_name = |name: &String| suite(name).ok_or_else(|| unknown(text, name, "cipher suite of IANA's registry"));
        let condition = Condition::Suites(suites.iter().map(of_name).collect::<Checked<BTreeSet<_>>>()?);
        rules.push(document.rule("ciphers", list("ciphersuites, ciphers", &suites), servers(), condition));

        let curve = |name: &String| {
            // As OpenSSL calls it.
            let known = if name == "prime256v1" { "secp256r1" } else { name };
            named(known, KEY_EXCHANGE).ok_or_else(|| unknown(text, name, "group"))
        };
        let mut groups = self.tls_curves.iter().map(curve).collect::<Checked<Vec<_>>>()?;
        // The method is the suites' business, and so are the groups of finite fields, whose size is asked below.
        groups.push("ECDHE".to_owned());
        let is_dhe = suites.iter().any(|name| name.contains("_DHE_"));
        let all = crate::rules::algorithms().iter().map(|row| &row.name);
        let finite =
            all.filter(|name| is_dhe && (*name == "DHE" || name.starts_with("ffdhe") || name.starts_with("DH-")));
        groups.extend(finite.cloned());
        let condition = only(groups, &[Primitive::KeyAgreement, Primitive::Kem, Primitive::HybridKem]);
        rules.push(document.rule("tls_curves", list("tls_curves", &self.tls_curves), servers(), condition));

        for (member, kind, bits) in
            [("rsa_key_size", "RSA", self.rsa_key_size), ("dh_param_size", "DH", self.dh_param_size)]
        {
            let Some(bits) = bits else { continue };
            let condition = Condition::Minimum(BTreeMap::from([(kind, bits)]));
            rules.push(document.rule(member, format!("{member}: {bits}"), servers(), condition));
        }
        let rest: Vec<&str> =
            self.rest.keys().map(String::as_str).filter(|member| !NOT_RULES.contains(member)).collect();
        if !rest.is_empty() {
            let what = rest.join(", ");
            rules.push(document.rule("rest", what.clone(), Scope::default(), Condition::NotJudged(what)));
        }
        Ok(rules)
    }
}
