//! System-wide policies of crypto-policies: `/etc/crypto-policies/state/CURRENT.pol`, and files like it.
//!
//! Only what it says of TLS is judged: lists without a scope, and those `@TLS`, which come later and replace them. What is for one
//! library or another protocol, and what no handshake shows, is named as not judged.

use super::super::rule::{Asked, Condition};
use super::super::scope::Scope;
use super::imported::{Document, KEY_EXCHANGE, named, only};
use super::{Checked, Policy, Wrong};
use crate::rules::Primitive;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A list, and where it stands.
#[derive(Debug, Clone)]
struct List {
    at: Range<usize>,
    words: Vec<String>,
}

/// What is said of TLS, by key.
type Lists = BTreeMap<String, List>;

/// Names that are others in TLS, or in the catalog; those that differ by case alone are not here.
const NAMES: [(&str, &str); 21] = [
    ("3DES-CBC", "3DES-EDE"),
    ("HMAC-SHA1", "HMAC-SHA-1"),
    ("HMAC-SHA2-256", "HMAC-SHA-256"),
    ("HMAC-SHA2-384", "HMAC-SHA-384"),
    ("HMAC-SHA2-512", "HMAC-SHA-512"),
    ("RSA", "RSA key transport"),
    ("DHE-RSA", "DHE"),
    ("DHE-DSS", "DHE"),
    ("FFDHE-2048", "ffdhe2048"),
    ("FFDHE-3072", "ffdhe3072"),
    ("FFDHE-4096", "ffdhe4096"),
    ("FFDHE-6144", "ffdhe6144"),
    ("FFDHE-8192", "ffdhe8192"),
    ("MLKEM768-X25519", "X25519MLKEM768"),
    ("P256-MLKEM768", "SecP256r1MLKEM768"),
    ("P384-MLKEM1024", "SecP384r1MLKEM1024"),
    ("TLS1.3", "TLS 1.3"),
    ("TLS1.2", "TLS 1.2"),
    ("TLS1.1", "TLS 1.1"),
    ("TLS1.0", "TLS 1.0"),
    ("SSL3.0", "SSL 3.0"),
];

/// Rules of a policy. `stem`: the name of its file, without its ending.
pub(super) fn parse(text: &str, stem: &str) -> Checked<Policy> {
    let (lists, rest) = lists(text)?;
    let title = format!("crypto-policies, {stem}");
    let document = Document { name: format!("crypto-policies-{stem}"), title, url: None };
    let rules = rules(&document, &lists, rest)?;
    Ok(Policy { name: document.name, dated: None, extends: Vec::new(), rules, waivers: Vec::new() })
}

/// What is said of TLS, and the keys of what is not judged.
fn lists(text: &str) -> Checked<(Lists, BTreeSet<String>)> {
    let (mut lists, mut rest) = (Lists::new(), BTreeSet::new());
    for (at, line) in lines(text) {
        let line = line.split('#').next().unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        let here = at..at + line.len();
        let Some((key, values)) = line.split_once('=') else {
            return Err(Wrong(here, "neither a comment nor `key = values`".to_owned()));
        };
        let (key, scope) = match key.trim().split_once('@') {
            Some((key, scope)) => (key.trim(), Some(scope.trim())),
            None => (key.trim(), None),
        };
        let scopes = scope.map(|scope| scope.trim_start_matches('{').trim_end_matches('}'));
        let is_of_tls = scopes.is_none_or(|scopes| scopes.split(',').any(|one| one.trim().eq_ignore_ascii_case("tls")));
        if !is_of_tls || !KEYS.contains(&key) {
            rest.insert(scope.map_or(key.to_owned(), |scope| format!("{key}@{scope}")));
            continue;
        }
        let words: Vec<String> = values.split_whitespace().map(str::to_owned).collect();
        let list = lists.entry(key.to_owned()).or_insert_with(|| List { at: here.clone(), words: Vec::new() });
        list.at = here;
        // A list stands for itself; words with a sign change the one before.
        if words.iter().all(|word| !word.starts_with(['+', '-']) && !word.ends_with('+')) {
            list.words = words;
            continue;
        }
        for word in words {
            match word.strip_prefix('-') {
                Some(gone) => {
                    let glob = globset::Glob::new(gone)
                        .map_err(|error| Wrong(list.at.clone(), format!("`{gone}`: {}", error.kind())))?
                        .compile_matcher();
                    list.words.retain(|word| !glob.is_match(word));
                }
                None => list.words.push(word.trim_matches('+').to_owned()),
            }
        }
    }
    Ok((lists, rest))
}

/// Lines with where they begin; one that ends with a backslash goes on.
fn lines(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut at, mut goes_on) = (Vec::<(usize, String)>::new(), 0, false);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let (content, more) = content.strip_suffix('\\').map_or((content, false), |content| (content, true));
        match lines.last_mut() {
            Some((_, last)) if goes_on => {
                last.push(' ');
                last.push_str(content);
            }
            _ => lines.push((at, content.to_owned())),
        }
        goes_on = more;
        at += line.len();
    }
    lines
}

/// Keys that are judged.
const KEYS: [&str; 10] = [
    "protocol",
    "arbitrary_dh_groups",
    "cipher",
    "mac",
    "group",
    "key_exchange",
    "min_rsa_size",
    "min_dsa_size",
    "min_dh_size",
    "min_ec_size",
];

/// The algorithms that words mean, and those words that mean none in TLS.
fn meant(words: &[String], kinds: &[Primitive]) -> (Vec<String>, Vec<String>) {
    let (mut known, mut others) = (Vec::new(), Vec::new());
    // A suite with authenticated encryption has no code of its own.
    for word in words.iter().filter(|word| *word != "AEAD") {
        let name = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map_or(&**word, |(_, name)| *name);
        match named(name, kinds) {
            Some(name) => known.push(name),
            None => others.push(word.clone()),
        }
    }
    (known, others)
}

fn rules(document: &Document, lists: &Lists, mut rest: BTreeSet<String>) -> Checked<Vec<Asked>> {
    let tls = || Scope::of_protocol("tls");
    let has_own_groups = lists.get("arbitrary_dh_groups").is_none_or(|list| list.words != ["0"]);
    let mut rules = Vec::new();
    let mut put = |id: &str, keys: &[&str], kinds: &[Primitive]| {
        let said: Vec<(&str, &List)> = keys.iter().filter_map(|key| Some((*key, lists.get(*key)?))).collect();
        let words: Vec<String> = said.iter().flat_map(|(_, list)| list.words.clone()).collect();
        let (mut allow, others) = meant(&words, kinds);
        // DTLS, what is SSH's, modes that TLS has not.
        rest.extend(others.into_iter().map(|word| format!("{id} {word}")));
        if allow.is_empty() {
            return;
        }
        if said.iter().any(|(key, _)| *key == "group") && said.len() == 1 {
            allow.push("ECDHE".to_owned());
        }
        // Parameters of a server's own, of any size: which sizes may be is asked on its own.
        if has_own_groups && allow.iter().any(|name| name == "DHE") {
            let all = crate::rules::algorithms().iter().map(|row| &row.name);
            allow.extend(all.filter(|name| name.starts_with("DH-")).cloned());
        }
        let quoted = said.iter().map(|(key, list)| format!("{key} = {}", list.words.join(" ")));
        rules.push(document.rule(id, quoted.collect::<Vec<_>>().join("; "), tls(), only(allow, kinds)));
    };
    put("protocol", &["protocol"], &[Primitive::Protocol]);
    put("cipher", &["cipher"], &[Primitive::Cipher, Primitive::Aead]);
    put("mac", &["mac"], &[Primitive::Mac]);
    put("key_exchange", &["key_exchange", "group"], KEY_EXCHANGE);
    for (key, kind) in [("min_rsa_size", "RSA"), ("min_dsa_size", "DSA"), ("min_dh_size", "DH"), ("min_ec_size", "EC")]
    {
        let Some(list) = lists.get(key) else { continue };
        let bits = match list.words.as_slice() {
            [bits] => bits.parse::<u32>().ok(),
            _ => None,
        };
        let Some(bits) = bits else { return Err(Wrong(list.at.clone(), format!("`{key}` is not one number of bits"))) };
        let condition = Condition::Minimum(BTreeMap::from([(kind, bits)]));
        rules.push(document.rule(key, format!("{key} = {bits}"), tls(), condition));
    }
    if rules.is_empty() {
        let what =
            "it says nothing of TLS; a module (.pmod) alone is no policy: give /etc/crypto-policies/state/CURRENT.pol";
        return Err(Wrong(0..0, what.to_owned()));
    }
    if !rest.is_empty() {
        let what = rest.into_iter().collect::<Vec<_>>().join(", ");
        rules.push(document.rule("rest", what.clone(), Scope::default(), Condition::NotJudged(what)));
    }
    Ok(rules)
}
