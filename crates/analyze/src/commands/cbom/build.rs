//! Components, what depends on what, and how complete that is, out of what was counted.

use super::Seen;
use super::args::Spec;
use super::bom::{
    AlgorithmProperties, Component, CryptoProperties, Dependency, Evidence, MaterialProperties, Occurrence, Property,
    ProtocolProperties, Suite,
};
use super::registry;
use crate::capture::libraries::{FileId, product};
use crate::count::Span;
use crate::count::handshakes::{Exchange, MAX_PROGRAMS, Place};
use crate::count::paths::library_of;
use crate::protocol::iana::{CipherSuite, Version, groups};
use crate::report::session::Session;
use crate::rules::{self, Primitive};
use crate::words::escape;
use crate::words::text::{hex, plural};
use crate::words::timestamp::timestamp;
use crypto_trace_format::catalog::{FileType, file_name};
use std::collections::{BTreeMap, BTreeSet};

/// Occurrences of one component that are listed.
const MAX_OCCURRENCES: usize = 100;

/// A component, and what is still being gathered of it.
#[derive(Default)]
struct Asset {
    component: Component,
    occurrences: BTreeSet<Occurrence>,
    /// Occurrences beyond those that are listed.
    unlisted: u64,
    depends_on: BTreeSet<String>,
    provides: BTreeSet<String>,
}

/// What is made of what was counted.
pub(super) struct Built {
    pub components: Vec<Component>,
    pub dependencies: Vec<Dependency>,
}

pub(super) struct Builder<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) seen: &'a Seen,
    pub(super) spec: Spec,
    /// By `bom-ref`.
    assets: BTreeMap<String, Asset>,
    /// Names of programs, which may look the same when they are shown.
    programs: BTreeMap<Vec<u8>, String>,
    libraries: BTreeMap<(String, FileId), String>,
}

impl<'a> Builder<'a> {
    pub fn new(session: &'a Session<'a>, seen: &'a Seen, spec: Spec) -> Self {
        let (assets, programs, libraries) = Default::default();
        Self { session, seen, spec, assets, programs, libraries }
    }

    pub fn build(mut self) -> Built {
        self.libraries();
        self.files();
        self.algorithms();
        self.calls();
        self.protocols();
        self.certificates();
        self.programs_seen();
        let mut built = Built { components: Vec::new(), dependencies: Vec::new() };
        let known: BTreeSet<String> = self.assets.keys().cloned().collect();
        for (reference, asset) in self.assets {
            let Asset { mut component, occurrences, unlisted, depends_on, provides } = asset;
            if unlisted > 0 {
                component.properties.push(Property::new("occurrences-not-listed", unlisted));
            }
            let occurrences: Vec<Occurrence> = occurrences.into_iter().collect();
            component.evidence = (!occurrences.is_empty()).then_some(Evidence { occurrences });
            component.properties.sort();
            built.components.push(component);
            built.dependencies.push(Dependency {
                reference,
                // What did not fit in memory is nowhere, and referred to by nothing.
                depends_on: depends_on.into_iter().filter(|on| known.contains(on)).collect(),
                provides: provides.into_iter().filter(|on| known.contains(on)).collect(),
            });
        }
        built
    }

    /// A `bom-ref` that nothing has yet: what is redacted may look the same.
    fn fresh(&self, wanted: String) -> String {
        if !self.assets.contains_key(&wanted) {
            return wanted;
        }
        let numbered = (2u64..).map(|number| format!("{wanted}#{number}"));
        numbered.into_iter().find(|name| !self.assets.contains_key(name)).unwrap_or(wanted)
    }

    pub(super) fn put(&mut self, component: Component) -> String {
        let reference = component.bom_ref.clone();
        self.assets.entry(reference.clone()).or_insert_with(|| Asset { component, ..Asset::default() });
        reference
    }

    pub(super) fn say(&mut self, reference: &str, name: &str, value: impl ToString) {
        if let Some(asset) = self.assets.get_mut(reference) {
            asset.component.properties.push(Property::new(name, value));
        }
    }

    pub(super) fn depends(&mut self, reference: &str, on: &str) {
        if let Some(asset) = self.assets.get_mut(reference).filter(|_| reference != on) {
            asset.depends_on.insert(on.to_owned());
        }
    }

    pub(super) fn occurs(&mut self, reference: &str, location: String, symbol: Option<String>, context: String) {
        let Some(asset) = self.assets.get_mut(reference) else { return };
        let occurrence = Occurrence { location, symbol, additional_context: Some(context) };
        if asset.occurrences.len() < MAX_OCCURRENCES {
            asset.occurrences.insert(occurrence);
        } else if !asset.occurrences.contains(&occurrence) {
            asset.unlisted += 1;
        }
    }

    /// Of many programs only the first few are kept.
    pub(super) fn cut_programs(&mut self, reference: &str, programs: usize) {
        if programs >= MAX_PROGRAMS {
            self.say(reference, "programs", format!("the first {MAX_PROGRAMS}; there may be more"));
        }
    }

    fn times(&mut self, reference: &str, span: Span) {
        self.say(reference, "first-seen", timestamp(span.first));
        self.say(reference, "last-seen", timestamp(span.last));
    }

    fn host(&self, number: u32) -> String {
        let capture = self.session.captures.get(number as usize);
        capture.map(|capture| shown_host(&capture.meta.host)).unwrap_or_default()
    }

    pub(super) fn hosts(&mut self, reference: &str, numbers: &BTreeSet<u32>) {
        let names: BTreeSet<String> = numbers.iter().map(|number| self.host(*number)).collect();
        names.into_iter().for_each(|name| self.say(reference, "host", name));
    }

    /// The component of a program, by its executable, or the thread's name where that is not known.
    pub(super) fn program(&mut self, name: &[u8]) -> String {
        if let Some(known) = self.programs.get(name) {
            return known.clone();
        }
        let shown = self.session.shown(name);
        let bom_ref = self.fresh(format!("program:{shown}"));
        self.programs.insert(name.to_vec(), bom_ref.clone());
        let component = Component { kind: "application", bom_ref, name: shown.clone(), ..Component::default() };
        let reference = self.put(component);
        if name.first() == Some(&b'/') {
            self.occurs(&reference, shown, None, "executable".to_owned());
        }
        reference
    }

    fn programs_seen(&mut self) {
        for (name, row) in &self.seen.totals.handshakes.programs {
            let Some(name) = name else { continue };
            let reference = self.program(name);
            for (what, count) in [("client", row.client), ("server", row.server), ("unknown-role", row.unknown_role)] {
                if count > 0 {
                    self.say(&reference, &format!("tls-handshakes:{what}"), count);
                }
            }
            self.hosts(&reference, &row.hosts);
            for version in &row.versions {
                self.depends(&reference, &format!("protocol:{version}"));
            }
        }
        let names: Vec<(Vec<u8>, String)> = self.programs.clone().into_iter().collect();
        for (name, reference) in names {
            if let Some(program) = self.seen.totals.programs.get(&name) {
                self.say(&reference, "processes", program.processes);
            }
        }
    }

    fn libraries(&mut self) {
        for row in self.seen.paths.libraries() {
            let (id, path) = library_of(row.key);
            let of_host = self.session.captures.iter().filter(|capture| capture.meta.host == row.host);
            let info = of_host.filter_map(|capture| capture.libraries.get(id)).next();
            let family = info.map(|info| &info.family[..]).unwrap_or_default();
            let location = self.session.shown(path);
            let name = match product::known_as(path, family) {
                Some(name) => name.to_owned(),
                None => self.session.shown(file_name(path)),
            };
            let version = info.map(|info| self.session.shown(&info.version)).filter(|version| !version.is_empty());
            let host = shown_host(row.host);
            let bom_ref = self.fresh(format!("library:{host}:{location}"));
            let library = self.put(Component { kind: "library", bom_ref, name, version, ..Component::default() });
            self.occurs(&library, location, None, format!("mapped on host {host}"));
            self.say(&library, "host", host);
            self.say(&library, "loads", row.used.loads);
            self.say(&library, "already-mapped", row.used.already_mapped);
            if let Some(info) = info {
                self.say(&library, "probes", info.state.name());
                if !info.build_id.is_empty() {
                    self.say(&library, "build-id", hex(&info.build_id));
                }
            }
            self.times(&library, row.used.span);
            for (program, _) in &row.programs {
                let program = self.program(program);
                self.depends(&program, &library);
            }
            self.libraries.insert((row.host.to_owned(), id), library);
        }
    }

    /// Files that were opened; what they hold is not known, and no value of a key is here.
    fn files(&mut self) {
        for row in self.seen.paths.files().filter(|row| row.used.was_opened()) {
            let location = self.session.shown(row.key);
            let host = shown_host(row.host);
            let file_type = row.used.file_type();
            let (kind, material) = match material(file_type) {
                Some(kind) => ("cryptographic-asset", Some(kind)),
                None => ("file", None),
            };
            let crypto_properties = material.map(|kind| CryptoProperties {
                asset_type: "related-crypto-material",
                related_crypto_material_properties: Some(MaterialProperties { kind, ..MaterialProperties::default() }),
                ..CryptoProperties::default()
            });
            let bom_ref = self.fresh(format!("file:{host}:{location}"));
            let name = location.clone();
            let component = Component { kind, bom_ref, name, crypto_properties, ..Component::default() };
            let file = self.put(component);
            for (program, used) in &row.programs {
                let context = format!("opened by {} on host {host}", self.session.shown(program));
                self.occurs(&file, location.clone(), None, context);
                if used.uses > used.failed {
                    let program = self.program(program);
                    self.depends(&program, &file);
                }
            }
            self.say(&file, "host", host);
            self.say(&file, "file-type", file_type.name());
            if let Some(by) = row.used.known_by() {
                self.say(&file, "file-type-known-by", by.name());
            }
            if row.used.is_guess() {
                self.say(&file, "file-type-is-a-guess", true);
            }
            self.say(&file, "opens", row.used.opens);
            self.say(&file, "opens-failed", row.used.failed());
            self.say(&file, "already-open", row.used.already_open);
            self.say(&file, "mode", row.used.mode());
            self.times(&file, row.used.span);
        }
    }

    /// The component of an algorithm by its name in the catalog, with the parts of a hybrid.
    pub(super) fn algorithm(&mut self, name: &str) -> String {
        let shown = self.session.shown(name.as_bytes());
        let reference = format!("algorithm:{shown}");
        if self.assets.contains_key(&reference) {
            return reference;
        }
        let row = registry::row(name);
        let known = rules::algorithm(name);
        let primitive = registry::primitive(name);
        let properties = AlgorithmProperties {
            parameter_set_identifier: row.and_then(|row| row.set.clone()),
            mode: row.and_then(|row| row.mode.clone()),
            padding: row.and_then(|row| row.padding.clone()),
            crypto_functions: registry::functions(primitive).to_vec(),
            classical_security_level: known.and_then(|known| known.classical_bits),
            nist_quantum_security_level: known.and_then(|known| known.nist_level),
            // 1.6 knows no key wrapping.
            primitive: if self.spec == Spec::V1_6 && primitive == "key-wrap" { "other" } else { primitive },
            ..AlgorithmProperties::default()
        };
        let family = row.and_then(|row| row.family.clone());
        let curve = row.and_then(|row| row.curve.clone());
        self.put_algorithm(&reference, shown, properties, family, curve);
        if let Some(vulnerable) = known.and_then(|known| known.quantum_vulnerable) {
            self.say(&reference, "quantum-vulnerable", vulnerable);
        }
        for part in row.map(|row| row.parts.as_slice()).unwrap_or_default() {
            let part = self.algorithm(part);
            self.depends(&reference, &part);
            // Who reads that a part can be broken has to know that it does not stand alone, where it does not.
            self.say(&part, "part-of", &reference);
        }
        reference
    }

    /// Where family and curve go depends on the version.
    pub(super) fn put_algorithm(
        &mut self,
        reference: &str,
        name: String,
        mut properties: AlgorithmProperties,
        family: Option<String>,
        curve: Option<String>,
    ) {
        let mut said = None;
        match self.spec {
            Spec::V1_6 => {
                properties.curve = curve;
                said = family;
            }
            Spec::V1_7 => {
                properties.elliptic_curve = curve;
                properties.algorithm_family = family;
            }
        }
        let crypto_properties = Some(CryptoProperties {
            asset_type: "algorithm",
            algorithm_properties: Some(properties),
            ..CryptoProperties::default()
        });
        self.put(Component {
            kind: "cryptographic-asset",
            bom_ref: reference.to_owned(),
            name,
            crypto_properties,
            ..Component::default()
        });
        if let Some(family) = said {
            self.say(reference, "algorithm-family", family);
        }
    }

    fn algorithms(&mut self) {
        for (name, row) in &self.seen.totals.handshakes.algorithms {
            let known = rules::algorithm(name);
            // Versions are protocols; keys of certificates are reported with their exact sizes.
            let is_class = known.is_some_and(|known| known.primitive == Primitive::PublicKey);
            let only_keys = row.places.iter().all(|place| *place == Place::CertificateKey);
            let only_version = row.places.iter().all(|place| *place == Place::Protocol);
            if only_version || (is_class && only_keys) {
                continue;
            }
            let reference = self.algorithm(name);
            let places: Vec<&str> = row.places.iter().map(|place| place.name()).collect();
            // Which program used it where is counted only together.
            let some = if places.len() > 1 && row.programs.len() > 1 { "one or more of " } else { "" };
            self.cut_programs(&reference, row.programs.len());
            for (what, count) in [("handshakes", row.handshakes), ("calls", row.calls)] {
                if count > 0 {
                    self.say(&reference, what, count);
                }
            }
            self.hosts(&reference, &row.hosts);
            for place in &places {
                self.say(&reference, "seen-in", place);
            }
            if name.starts_with("DH-") {
                for bits in self.prime_bits(name) {
                    self.say(&reference, "prime-bits", bits);
                }
            }
            for program in &row.programs {
                let user = self.program(program);
                self.depends(&user, &reference);
                let location = self.session.shown(program);
                self.occurs(&reference, location, None, format!("used: {some}{}", places.join(", ")));
            }
        }
    }

    /// Exact sizes of what a row for primes from some size on stands for.
    fn prime_bits(&self, name: &str) -> Vec<usize> {
        let exchanges = self.seen.totals.handshakes.exchanges.keys().filter_map(|exchange| match exchange {
            Exchange::Known(text, _) => text.strip_prefix("DH, ")?.strip_suffix(" bits")?.parse().ok(),
            Exchange::Earlier | Exchange::NotSeen => None,
        });
        let row = |bits: usize| crate::protocol::tls::KeyExchange::FiniteField { prime_bits: bits };
        exchanges.filter(|bits| rules::key_exchange(row(*bits)).is_some_and(|row| row.name == name)).collect()
    }

    /// Which function of which library used which algorithm.
    fn calls(&mut self) {
        for (key, row) in &self.seen.totals.handshakes.calls {
            let calls = row.used.own().saturating_sub(row.used.failed);
            let Some(name) = key.algorithm.as_ref().filter(|_| calls > 0) else { continue };
            let algorithm = self.algorithm(name);
            let host = self.session.captures.get(key.capture as usize).map(|capture| capture.meta.host.clone());
            let library = host.and_then(|host| self.libraries.get(&(host, key.library))).cloned();
            let of = if key.library == (0, 0) { "the kernel" } else { library.as_deref().unwrap_or("a library") };
            // Calls of several programs are counted together.
            let among = if row.programs.len() > 1 { "among " } else { "" };
            let context = format!("{among}{} of {of} on host {}", plural(calls, "call"), self.host(key.capture));
            let function = self.session.shown(&key.function);
            for program in &row.programs {
                let location = self.session.shown(program);
                self.occurs(&algorithm, location, Some(function.clone()), context.clone());
            }
            if let Some(asset) = library.and_then(|library| self.assets.get_mut(&library)) {
                asset.provides.insert(algorithm);
            }
        }
    }

    fn protocols(&mut self) {
        let survey = &self.seen.totals.handshakes;
        let mut agreed: BTreeMap<Option<Version>, BTreeMap<CipherSuite, Parts>> = BTreeMap::new();
        for ((version, suite, exchange), count) in &survey.agreed {
            let suites = agreed.entry(*version).or_default();
            let Some(suite) = suite else { continue };
            let parts = suites.entry(*suite).or_default();
            parts.handshakes = parts.handshakes.saturating_add(*count);
            if let Exchange::Known(name, _) = exchange
                && (name.starts_with("0x") || groups().iter().any(|(_, group)| group == name))
            {
                parts.groups.insert(name.clone());
            }
        }
        for (version, suite, scheme) in survey.schemes.keys() {
            let suites = agreed.entry(*version).or_default();
            if let Some(parts) = suite.and_then(|suite| suites.get_mut(&suite)) {
                parts.schemes.insert(scheme.to_string());
            }
        }
        for (version, suites) in agreed {
            let name = version.map_or_else(|| "TLS".to_owned(), |version| version.to_string());
            let reference = format!("protocol:{name}");
            let mut properties = Vec::new();
            let mut depends_on = BTreeSet::new();
            let mut listed = Vec::new();
            for (suite, parts) in suites {
                let names = rules::suite(suite).map(|parts| parts.names()).unwrap_or_default();
                let groups = parts.groups.iter().map(String::as_str);
                let algorithms: BTreeSet<String> =
                    names.into_iter().chain(groups).map(|name| self.algorithm(name)).collect();
                depends_on.extend(algorithms.iter().cloned());
                let mut written = Suite {
                    name: suite.to_string(),
                    algorithms: algorithms.into_iter().collect(),
                    identifiers: [format!("0x{:04X}", suite.0)],
                    ..Suite::default()
                };
                properties.push(Property::new(&format!("handshakes:{suite}"), parts.handshakes));
                let (groups, schemes) = (parts.groups.into_iter(), parts.schemes.into_iter());
                match self.spec {
                    Spec::V1_6 => {
                        properties.extend(groups.map(|group| Property::new(&format!("tls-group:{suite}"), group)));
                        properties.extend(
                            schemes.map(|scheme| Property::new(&format!("tls-signature-scheme:{suite}"), scheme)),
                        );
                    }
                    Spec::V1_7 => {
                        written.tls_groups = groups.collect();
                        written.tls_signature_schemes = schemes.collect();
                    }
                }
                listed.push(written);
            }
            if let Some(count) = version.and_then(|version| survey.versions.get(&version)) {
                properties.push(Property::new("handshakes", count));
            }
            let protocol = ProtocolProperties {
                kind: "tls",
                // SSL 3.0 is no version of TLS: it keeps its name.
                version: version.map(|_| name.strip_prefix("TLS ").unwrap_or(&name).to_owned()),
                cipher_suites: listed,
            };
            let crypto_properties = Some(CryptoProperties {
                asset_type: "protocol",
                protocol_properties: Some(protocol),
                ..CryptoProperties::default()
            });
            let bom_ref = reference.clone();
            let kind = "cryptographic-asset";
            self.put(Component { kind, bom_ref, name, crypto_properties, properties, ..Component::default() });
            depends_on.iter().for_each(|on| self.depends(&reference, on));
        }
        for (program, row) in survey.programs.iter().filter_map(|(name, row)| Some((name.as_ref()?, row))) {
            for version in &row.versions {
                let context = "negotiated in a handshake".to_owned();
                self.occurs(&format!("protocol:{version}"), self.session.shown(program), None, context);
            }
        }
    }
}

/// What was agreed on with one suite.
#[derive(Default)]
struct Parts {
    handshakes: u64,
    groups: BTreeSet<String>,
    schemes: BTreeSet<String>,
}

fn shown_host(host: &str) -> String {
    escape::for_people(host.as_bytes())
}

/// What of key material a file of a type holds. None of those that hold none, or something else as well.
fn material(file_type: FileType) -> Option<&'static str> {
    Some(match file_type {
        FileType::PrivateKey => "private-key",
        FileType::PublicKey | FileType::AuthorizedKeys => "public-key",
        FileType::Keytab => "secret-key",
        FileType::Keystore | FileType::Pgp => "other",
        FileType::Credentials => "credential",
        FileType::Signature => "signature",
        FileType::Certificate
        | FileType::CertificateRequest
        | FileType::RevocationList
        | FileType::TrustStore
        | FileType::Parameters
        | FileType::CryptoConfig
        | FileType::Unknown => return None,
    })
}
