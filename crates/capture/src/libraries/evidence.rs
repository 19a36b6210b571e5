//! What a file says of a library that it holds without the names of its functions: a text in its read-only data, and what Go's
//! linker wrote. It is no more than that, and is reported as such.

use super::elf::{Elf, MAX_VERSION, version_text};
use super::plan::Plan;
use super::table::{ProbeTable, Text};
use crypto_trace_format::record::library_features as features;

/// Why nothing is probed where only a text is known.
const BY_TEXT: &str = "recognised only by a text in it: its functions have no names, so none is probed";

/// What Go calls the functions of its own TLS.
const GO_TLS: &str = "crypto/tls.(*Conn).";

/// Bytes that are looked at behind the begin of a text.
const MAX_TEXT: usize = 2 * MAX_VERSION;

/// Adds to the plan what is found.
pub fn look(plan: &mut Plan, elf: &Elf, table: &ProbeTable) {
    if elf.is_go {
        if elf.go_has(GO_TLS) {
            plan.families.push("go-crypto-tls".to_owned());
            plan.version = elf.go_version().unwrap_or_default();
            plan.features |= features::TEXT | features::TLS;
        }
        return;
    }
    plan.runtime = table.runtimes.iter().position(|runtime| elf.function(&runtime.defines).is_some());
    if plan.runtime.is_some() {
        return;
    }
    let needed = elf.needed();
    let is_needed = |prefix: &String| needed.iter().any(|name| name.starts_with(prefix.as_str()));
    // Of libraries whose functions were found they say nothing new: `openssl` of `openssl-crypto`.
    let is_known = |text: &Text| plan.families.iter().any(|family| family.starts_with(&text.family));
    let texts = table.texts.iter().filter(|text| !is_known(text) && !text.unless_needs.iter().any(is_needed));
    let finders: Vec<(&Text, memchr::memmem::Finder<'_>)> =
        texts.map(|text| (text, memchr::memmem::Finder::new(&text.text))).collect();
    let found = elf.search_data(MAX_TEXT, |data| finders.iter().find_map(|(text, finder)| find(text, finder, data)));
    match found {
        Ok(Some((family, version))) => {
            plan.families.push(family.to_owned());
            // The libraries of functions that were found tell theirs.
            if plan.version.is_empty() {
                plan.version = version;
            }
            plan.features |= features::TEXT | features::TLS;
            BY_TEXT.clone_into(&mut plan.message);
        }
        Ok(None) => {}
        Err(error) if plan.message.is_empty() => plan.message = error.to_string(),
        Err(_) => {}
    }
}

fn find<'a>(text: &'a Text, finder: &memchr::memmem::Finder<'_>, data: &[u8]) -> Option<(&'a str, String)> {
    finder.find_iter(data).find_map(|at| {
        let rest = data.get(at + text.text.len()..)?;
        let rest = rest.get(..MAX_VERSION.min(rest.len()))?;
        if !text.version {
            return Some((text.family.as_str(), String::new()));
        }
        // Texts of Rust follow each other without an end.
        let end = if text.then.is_empty() { None } else { Some(memchr::memmem::find(rest, text.then.as_bytes())?) };
        let version = version_text(end.map_or(rest, |end| rest.get(..end).unwrap_or_default()))?;
        Some((text.family.as_str(), version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_tell_a_library() {
        let table = ProbeTable::load().expect("the table");
        let check = |data: &[u8], expected: Option<(&str, &str)>| {
            let found = table.texts.iter().find_map(|text| find(text, &memchr::memmem::Finder::new(&text.text), data));
            let found = found.as_ref().map(|(family, version)| (*family, version.as_str()));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(data));
        };
        check(b"x\0OpenSSL 3.5.8 4 Aug 2026\0", Some(("openssl", "3.5.8")));
        check(b"OpenSSL 1.1.1w  11 Sep 2023\0", Some(("openssl", "1.1.1w")));
        check(b"OpenSSL 3's legacy provider failed to load\0", None);
        check(b"needs OpenSSL 3.0\0", None);
        check(b"../../third_party/boringssl/src/ssl/ssl_lib.cc\0", Some(("boringssl", "")));
        check(b"/x/rustls-0.23.46/src/conn.rslibrary/core/src", Some(("rustls", "0.23.46")));
        check(b"/x/rustls-webpki-0.103.1/src/cert.rs", None);
        check(b"LibreSSL 4.1.0\0", Some(("libressl", "4.1.0")));
        check(b"OpenSSL ", None);
        check(b"", None);
    }
}
