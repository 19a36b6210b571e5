//! Rules held against uses: what each finds, and what leaves it open.

use super::rule::{Algorithms, Asked, Condition, Files, Level, Libraries};
use super::scope::Scope;
use super::versions::is_below;
use crate::capture::clock::WallNs;
use crate::count::handshakes::{Exchange, Place};
use crate::count::uses::{Handshake, Library, Party, Places, Seen, Uses};
use crate::count::wire::is_said_of;
use crate::protocol::iana::CipherSuite;
use crate::report::coverage::Coverage;
use crate::rules::{Primitive, algorithm};
use crate::words::text::{counted, plural};
use crypto_trace_format::catalog::FileType;
use std::collections::{BTreeMap, BTreeSet};

/// How a rule judges a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Fail,
    Warn,
    Unknown,
    Pass,
}

impl Verdict {
    /// In output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Pass => "pass",
        }
    }
}

/// What a use was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Handshake,
    Call,
    Open,
    Load,
}

impl Unit {
    /// In output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Call => "call",
            Self::Open => "open",
            Self::Load => "load",
        }
    }
}

/// A use against a rule.
#[derive(Debug, Clone)]
pub(super) struct Evidence<'u> {
    /// The algorithm, the size, the file or the library, as it was recorded.
    pub what: Vec<u8>,
    /// Where it was used, or by which function.
    pub place: Vec<u8>,
    pub unit: Unit,
    pub party: &'u Party,
    /// Of a handshake.
    pub handshake: Option<&'u Handshake>,
    pub seen: Seen,
    /// Number of the waiver that covers it.
    pub waiver: Option<usize>,
}

/// How a rule judges, and why.
#[derive(Debug)]
pub(super) struct Judged<'u> {
    pub verdict: Verdict,
    /// Uses that the rule was held against: handshakes, calls, opens or loads.
    pub looked_at: u64,
    pub evidence: Vec<Evidence<'u>>,
    /// Why more may be there than was seen, a sentence each.
    pub open: Vec<String>,
}

/// What is judged, and by what it is known.
pub(super) struct Case<'u> {
    pub uses: &'u Uses,
    /// Of each capture, its host.
    pub hosts: &'u [String],
    pub coverage: &'u Coverage,
}

/// Handshakes that a rule speaks of.
#[derive(Debug, Clone, Copy, Default)]
struct Of<'r> {
    /// Of this protocol; of all when `None`.
    protocol: Option<&'r str>,
    /// Of these versions, where they are known; empty: of all.
    versions: &'r [String],
}

impl Of<'_> {
    fn takes_in_protocol(self, protocol: &str) -> bool {
        self.protocol.is_none_or(|one| is_said_of(one, protocol))
    }

    fn speaks_of(self, handshake: &Handshake) -> bool {
        let of_version = || handshake.version_name().is_none_or(|version| self.versions.contains(&version));
        self.takes_in_protocol(handshake.protocol) && (self.versions.is_empty() || of_version())
    }
}

/// What was found so far.
#[derive(Default)]
struct Finding<'u> {
    evidence: Vec<Evidence<'u>>,
    looked_at: u64,
    open: Vec<String>,
    /// Whether the rule's scope takes in anything at all.
    met: bool,
}

impl<'u> Case<'u> {
    /// How a rule judges. `waived`: the number of the waiver that covers a use, where one does.
    pub fn judge(&self, rule: &Asked, waived: impl Fn(&Evidence<'u>) -> Option<usize>) -> Judged<'u> {
        let mut found = Finding::default();
        match &rule.condition {
            Condition::Algorithms(algorithms) => self.algorithms(&rule.scope, algorithms, &mut found),
            Condition::Minimum(sizes) => self.minimum(&rule.scope, sizes, &mut found),
            Condition::Suites(suites) => self.suites(&rule.scope, suites, &mut found),
            Condition::PostQuantum => self.post_quantum(&rule.scope, &mut found),
            Condition::Files(files) => self.files(&rule.scope, files, &mut found),
            Condition::Libraries(libraries) => self.libraries(&rule.scope, libraries, &mut found),
            Condition::NotJudged(what) => {
                found.met = true;
                found.open.push(format!("not judged here: {what}"));
            }
        }
        let Finding { mut evidence, looked_at, mut open, met } = found;
        if !met {
            open.push(if rule.scope.is_whole() {
                "nothing the rule applies to was seen".to_owned()
            } else {
                "nothing recorded is within the rule's scope".to_owned()
            });
        }
        open.extend(self.coverage.of_any().cloned());
        evidence.sort_by(|a, b| (a.seen.first, &a.what, a.party).cmp(&(b.seen.first, &b.what, b.party)));
        for one in &mut evidence {
            one.waiver = waived(one);
        }
        let is_violated = evidence.iter().any(|one| one.waiver.is_none());
        let verdict = match (is_violated, rule.level, open.is_empty()) {
            (true, Level::Fail, _) => Verdict::Fail,
            (true, Level::Warn, _) => Verdict::Warn,
            (false, _, false) => Verdict::Unknown,
            (false, _, true) => Verdict::Pass,
        };
        Judged { verdict, looked_at, evidence, open }
    }

    pub fn host(&self, party: &Party) -> &'u str {
        self.hosts.get(party.host as usize).map(String::as_str).unwrap_or_default()
    }

    /// Handshakes of a scope; those that a rule does not speak of left out.
    fn handshakes<'s>(&'s self, scope: &'s Scope, of: Of<'s>) -> impl Iterator<Item = (&'u Handshake, Seen)> + 's {
        let taken_in = |handshake: &Handshake| scope.takes_in_handshake(handshake, self.host(&handshake.party));
        let all = self.uses.handshakes.iter().map(|(handshake, seen)| (handshake, *seen));
        all.filter(move |(handshake, _)| taken_in(handshake) && of.speaks_of(handshake))
    }

    /// What of handshakes leaves a rule open that asks about `places`.
    fn handshakes_open(&self, scope: &Scope, of: Of<'_>, places: Places, found: &mut Finding<'u>) {
        let asks = |protocol: &str| scope.takes_in_protocol(protocol) && of.takes_in_protocol(protocol);
        if asks("tls") {
            found.open.extend(self.coverage.handshakes.iter().cloned());
        } else {
            let others = self.coverage.others.iter().filter(|(protocol, _)| asks(protocol));
            found.open.extend(others.map(|(_, why)| why.clone()));
        }
        let (mut hidden, mut unanswered) = (0, 0);
        for (handshake, seen) in self.handshakes(scope, of) {
            if handshake.unanswered {
                unanswered += seen.count;
            } else if handshake.hidden.meet(places) {
                hidden += seen.count;
            }
        }
        if hidden > 0 {
            let ends = counted(hidden, "handshake does", "handshakes do");
            found.open.push(format!("{ends} not show on the wire everything the rule asks about"));
        }
        if unanswered > 0 {
            let ends = plural(unanswered, "handshake");
            found.open.push(format!("no answer was seen for {ends}: what they agreed on is not known"));
        }
    }

    fn algorithms(&self, scope: &Scope, rule: &Algorithms, found: &mut Finding<'u>) {
        let names: Vec<&String> = rule.deny.iter().chain(&rule.allow).collect();
        let places = names.iter().fold(Places::default(), |places, name| places.and(places_of(name)));
        let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
        if rule.in_handshakes {
            let of_protocol = Of { protocol: rule.protocol.as_deref(), versions: &[] };
            let of = Of { versions: &rule.versions, ..of_protocol };
            found.met |= self.handshakes(scope, of_protocol).next().is_some();
            for (handshake, seen) in self.handshakes(scope, of) {
                found.looked_at += seen.count;
                for (name, place) in &handshake.algorithms {
                    if rule.handshake_only && *place == Place::CertificateSignature {
                        continue;
                    }
                    match rule.judges(name, Some(*place)) {
                        Some(true) => {
                            let place = place.name().into();
                            found.handshake(name.clone().into(), place, handshake, seen);
                        }
                        Some(false) => {}
                        None => *unknown.entry(name).or_default() += seen.count,
                    }
                }
            }
            self.handshakes_open(scope, of, places, found);
            if rule.offers {
                let offers = "the rule also covers what clients offer: only what was agreed is judged";
                found.open.push(offers.to_owned());
            }
        }
        let handshakes_alone = scope.is_of_handshakes();
        if rule.in_calls && !handshakes_alone {
            let mut silent = 0u64;
            for (call, seen) in &self.uses.calls {
                if !scope.takes_in(&call.party, self.host(&call.party)) {
                    continue;
                }
                found.met = true;
                found.looked_at = found.looked_at.saturating_add(seen.count);
                let Some(name) = &call.algorithm else {
                    silent = silent.saturating_add(seen.count);
                    continue;
                };
                match rule.judges(name, None) {
                    Some(true) => found.evidence.push(Evidence {
                        what: name.as_bytes().to_vec(),
                        place: call.function.to_vec(),
                        unit: Unit::Call,
                        party: &call.party,
                        handshake: None,
                        seen: *seen,
                        waiver: None,
                    }),
                    Some(false) => {}
                    None => *unknown.entry(name).or_default() += seen.count,
                }
            }
            found.open.extend(self.coverage.of_calls().cloned());
            if silent > 0 {
                let calls = counted(silent, "call does", "calls do");
                found.open.push(format!("{calls} not name the algorithm used"));
            }
        }
        if !unknown.is_empty() {
            let names: Vec<String> =
                unknown.keys().map(|name| crate::words::escape::for_people(name.as_bytes())).collect();
            let names = crate::words::text::few(&names);
            found.open.push(format!("not in the catalog, so no list of kinds includes it: {names}"));
        }
    }

    fn minimum(&self, scope: &Scope, smallest: &BTreeMap<&'static str, u32>, found: &mut Finding<'u>) {
        found.met = self.handshakes(scope, Of::default()).next().is_some();
        for (handshake, seen) in self.handshakes(scope, Of::default()) {
            found.looked_at += seen.count;
            for (kind, bits) in &handshake.sizes {
                if smallest.get(kind).is_some_and(|least| bits < least) {
                    found.handshake(format!("{kind}, {bits} bits").into(), Vec::new(), handshake, seen);
                }
            }
        }
        let of_keys =
            smallest.keys().any(|kind| *kind != "DH").then_some(Places::of(&[Place::CertificateKey, Place::HostKey]));
        let of_groups = smallest.contains_key("DH").then_some(Places::of(&[Place::KeyExchange]));
        let places = of_keys.unwrap_or_default().and(of_groups.unwrap_or_default());
        self.handshakes_open(scope, Of::default(), places, found);
    }

    fn suites(&self, scope: &Scope, allowed: &BTreeSet<CipherSuite>, found: &mut Finding<'u>) {
        // No other protocol has suites.
        let of = Of { protocol: Some("tls"), versions: &[] };
        found.met = self.handshakes(scope, of).next().is_some();
        for (handshake, seen) in self.handshakes(scope, of) {
            found.looked_at += seen.count;
            if let Some(suite) = handshake.suite.filter(|suite| !allowed.contains(suite)) {
                found.handshake(suite.to_string().into(), Place::CipherSuite.name().into(), handshake, seen);
            }
        }
        self.handshakes_open(scope, of, Places::of(&[Place::CipherSuite]), found);
    }

    fn post_quantum(&self, scope: &Scope, found: &mut Finding<'u>) {
        let mut unknown = 0;
        let mut resumed = 0;
        for (handshake, seen) in self.handshakes(scope, Of::default()) {
            found.met = true;
            found.looked_at += seen.count;
            match &handshake.exchange {
                Exchange::Known(name, Some(false)) => {
                    found.handshake(name.clone().into(), Place::KeyExchange.name().into(), handshake, seen);
                }
                Exchange::Known(_, None) => unknown += seen.count,
                Exchange::Earlier if handshake.answered => resumed += seen.count,
                Exchange::Known(_, Some(true)) | Exchange::Earlier | Exchange::NotSeen => {}
            }
        }
        self.handshakes_open(scope, Of::default(), Places::of(&[Place::KeyExchange]), found);
        if unknown > 0 {
            let ends = counted(unknown, "handshake uses", "handshakes use");
            found.open.push(format!("{ends} a group that is not known to be post-quantum or classical"));
        }
        if resumed > 0 {
            let ends = counted(resumed, "handshake resumes", "handshakes resume");
            found.open.push(format!("{ends} an earlier session or key, whose key exchange was not seen"));
        }
    }

    fn files(&self, scope: &Scope, rule: &Files, found: &mut Finding<'u>) {
        for (file, (seen, judged)) in &self.uses.files {
            if !scope.takes_in(&file.party, self.host(&file.party)) {
                continue;
            }
            found.met = true;
            found.looked_at = found.looked_at.saturating_add(seen.count);
            let file_type = judged.map_or(FileType::Unknown, |judged| judged.file_type);
            let is_meant =
                rule.types.contains(&file_type) && rule.paths.as_ref().is_none_or(|paths| paths.matches(&file.path));
            let is_reader = file.party.program.as_deref().is_some_and(|program| rule.readers.matches(program));
            if is_meant && !rule.known.matches(&file.path) && !is_reader {
                found.evidence.push(Evidence {
                    what: file.path.to_vec(),
                    place: file_type.name().into(),
                    unit: Unit::Open,
                    party: &file.party,
                    handshake: None,
                    seen: *seen,
                    waiver: None,
                });
            }
        }
        found.open.extend(self.coverage.files.iter().cloned());
    }

    fn libraries(&self, scope: &Scope, rule: &Libraries, found: &mut Finding<'u>) {
        let mut unknown = 0u64;
        let is_meant = |library: &Library| {
            rule.globs.matches(&library.path)
                || library.name.is_some_and(|name| rule.names.iter().any(|one| one.eq_ignore_ascii_case(name)))
        };
        for (library, seen) in &self.uses.libraries {
            if !scope.takes_in(&library.party, self.host(&library.party)) {
                continue;
            }
            found.met = true;
            found.looked_at = found.looked_at.saturating_add(seen.count);
            if !is_meant(library) {
                continue;
            }
            let version = library.version.as_deref();
            let is_below = match (&rule.below, version) {
                (None, _) => true,
                (Some(below), Some(version)) => is_below(version, below),
                (Some(_), None) => {
                    unknown = unknown.saturating_add(seen.count);
                    false
                }
            };
            if is_below {
                found.evidence.push(Evidence {
                    what: library.path.to_vec(),
                    place: version.map(|version| format!("version {version}")).unwrap_or_default().into(),
                    unit: Unit::Load,
                    party: &library.party,
                    handshake: None,
                    seen: *seen,
                    waiver: None,
                });
            }
        }
        found.open.extend(self.coverage.libraries.iter().cloned());
        if unknown > 0 {
            let loads = plural(unknown, "load");
            found.open.push(format!("the version of such a library is not known for {loads}"));
        }
    }
}

impl<'u> Finding<'u> {
    fn handshake(&mut self, what: Vec<u8>, place: Vec<u8>, handshake: &'u Handshake, seen: Seen) {
        let (party, handshake) = (&handshake.party, Some(handshake));
        self.evidence.push(Evidence { what, place, unit: Unit::Handshake, party, handshake, seen, waiver: None });
    }
}

impl Evidence<'_> {
    /// Whether a scope takes it in.
    pub fn is_in(&self, scope: &Scope, host: &str) -> bool {
        match self.handshake {
            Some(handshake) => scope.takes_in_handshake(handshake, host),
            None => !scope.is_of_handshakes() && scope.takes_in(self.party, host),
        }
    }

    /// The protocol it was seen in.
    pub fn protocol(&self) -> Option<&'static str> {
        self.handshake.map(|handshake| handshake.protocol)
    }

    /// When the first was.
    pub fn first(&self) -> WallNs {
        self.seen.first
    }
}

impl Algorithms {
    /// Whether a use is against the rule. None: a list of what may be used cannot say.
    fn judges(&self, name: &str, place: Option<Place>) -> Option<bool> {
        if self.deny.iter().any(|denied| denied == name) {
            return Some(true);
        }
        if self.allow.is_empty() || self.allow.iter().any(|allowed| allowed == name) {
            return Some(false);
        }
        // Whoever lists versions of TLS does not speak of SSH.
        let is_alike = |one: &str| {
            let family = |name: &str| name.split(' ').next().map(|word| word.replace("SSL", "TLS"));
            family(one) == family(name)
        };
        match algorithm(name) {
            Some(row) if row.primitive == Primitive::Protocol => Some(self.allow.iter().any(|name| is_alike(name))),
            Some(row) => {
                Some(self.allow.iter().filter_map(|name| algorithm(name)).any(|one| one.primitive == row.primitive))
            }
            None => {
                let may_be =
                    place.is_none_or(|place| self.allow.iter().any(|name| places_of(name).meet(Places::of(&[place]))));
                if may_be { None } else { Some(false) }
            }
        }
    }
}

/// Where in a handshake an algorithm may be used.
fn places_of(name: &str) -> Places {
    let Some(row) = algorithm(name) else { return Places::default() };
    Places::of(match row.primitive {
        Primitive::Protocol => &[Place::Protocol],
        Primitive::KeyAgreement | Primitive::KeyTransport | Primitive::Kem | Primitive::HybridKem => {
            &[Place::KeyExchange]
        }
        Primitive::Signature => &[Place::Authentication, Place::CertificateSignature],
        Primitive::PublicKey => &[Place::CertificateKey, Place::HostKey],
        Primitive::Cipher | Primitive::Aead | Primitive::Mac => &[Place::CipherSuite],
        Primitive::Hash if name.ends_with("signature hash") => &[Place::Authentication, Place::CertificateSignature],
        Primitive::Hash => &[Place::CipherSuite, Place::Authentication, Place::CertificateSignature],
        Primitive::Xof | Primitive::Kdf => &[],
    })
}
