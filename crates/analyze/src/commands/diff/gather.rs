//! What one side used, out of what is counted elsewhere: counted one after the other, as they would take much room together.

use super::inventory::{Areas, Category, Inventory, Named, Share, Text};
use super::names;
use crate::capture::Capture;
use crate::capture::connections::Role;
use crate::capture::libraries::product;
use crate::count::handshakes::{AlgorithmRow, Exchange, HandshakeTotals, MAX_PROGRAMS, PeerKey, Place, Quantum};
use crate::count::keys::Keys;
use crate::count::paths::{ByPath, library_of};
use crate::count::totals::Totals;
use crate::protocol::iana::Version;
use crate::read::faults::FaultLog;
use crate::read::{Fold, LiveBatch, LiveSink, Plan, Tally};
use crate::words::kernel::errno_name;
use crypto_trace_format::catalog::FileType;
use std::io;

/// Programs that are named with a finding.
const FEW_PROGRAMS: usize = 3;

/// Gathers one side.
#[derive(Debug, Default)]
pub(super) struct Gather {
    pub inventory: Inventory,
    /// Names as they are.
    exact: bool,
    tally: Tally,
    left_out: Option<String>,
}

impl Fold for Gather {
    fn read(&mut self, plan: &Plan<'_>, faults: &mut FaultLog) -> io::Result<()> {
        let mut totals = Totals::default();
        totals.read(plan, faults)?;
        self.tally = totals.tally();
        self.left_out = totals.left_out();
        self.programs(&totals);
        self.handshakes(&totals.handshakes);
        self.calls(&totals.handshakes);
        self.inventory.algorithms = std::mem::take(&mut totals.handshakes.algorithms);
        self.algorithms();
        drop(totals);
        // What is wrong with the files is told once already.
        let mut paths = ByPath::default();
        paths.read(plan, &mut FaultLog::default())?;
        self.left_out = self.left_out.take().or_else(|| paths.left_out());
        self.libraries(&paths, plan.captures);
        self.files(&paths);
        drop(paths);
        let mut keys = Keys::default();
        keys.read(plan, &mut FaultLog::default())?;
        self.left_out = self.left_out.take().or_else(|| keys.left_out());
        keys.settle();
        self.keys(&keys);
        if self.inventory.is_cut() {
            self.left_out.get_or_insert_with(|| "too many things to compare: some are left out".to_owned());
        }
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn needs_all_handshakes(&self) -> bool {
        true
    }

    fn left_out(&self) -> Option<String> {
        self.left_out.clone()
    }
}

/// Streams are not compared.
impl LiveSink for Gather {
    fn batch(&mut self, _: LiveBatch<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// What key exchanges there were.
fn exchanges(quantum: Quantum) -> impl Iterator<Item = Text> {
    let kinds = [(quantum.post_quantum, "post-quantum"), (quantum.classical, "classical")];
    kinds.into_iter().filter(|(count, _)| *count > 0).map(|(_, kind)| bytes(kind))
}

fn bytes(text: &str) -> Text {
    text.as_bytes().into()
}

fn of(versions: &std::collections::BTreeSet<Version>) -> impl Iterator<Item = Text> {
    versions.iter().map(|version| bytes(&version.to_string()))
}

impl Gather {
    /// Nothing yet. `exact`: names as they are.
    pub fn new(exact: bool) -> Self {
        Self { exact, ..Self::default() }
    }

    /// A path, or a thread's name.
    fn named(&self, category: Category, name: &[u8], areas: Areas) -> Named {
        match names::path(name).filter(|_| !self.exact) {
            Some(same) => Named { seen_as: Some(name.into()), ..Named::new(category, same, areas) },
            None => Named::new(category, name, areas),
        }
    }

    fn same(&self, name: &[u8]) -> Text {
        match names::path(name).filter(|_| !self.exact) {
            Some(same) => same.into(),
            None => name.into(),
        }
    }

    fn programs(&mut self, totals: &Totals) {
        let (wire, files, libraries) = (Areas::HANDSHAKES, Areas::FILES, Areas::LIBRARIES);
        for (name, row) in &totals.programs {
            let mut areas = Areas::default();
            let opened = row.opens > row.failed;
            for (holds, area) in [(opened, files), (row.loads > 0, libraries)] {
                areas = if holds { areas.and(area) } else { areas };
            }
            if areas == Areas::default() {
                continue;
            }
            let named = self.named(Category::Program, name, areas);
            let types = row.types.iter().filter(|_| opened).map(|file_type| bytes(file_type.name()));
            let loaded = row.libraries.iter().filter(|name| **name != "other").map(|name| bytes(name));
            self.inventory.entry(named, 0).all("opens", files, types).all("libraries", libraries, loaded);
        }
        for (name, row) in &totals.handshakes.programs {
            let Some(name) = name else { continue };
            let roles = [(row.client, "client"), (row.server, "server")];
            let roles = roles.into_iter().filter(|(count, _)| *count > 0).map(|(_, role)| bytes(role));
            let named = self.named(Category::Program, name, wire);
            let entry = self.inventory.entry(named, 0).all("tls_as", wire, roles);
            entry.all("tls_versions", wire, of(&row.versions)).all("key_exchange", wire, exchanges(row.quantum));
        }
    }

    fn handshakes(&mut self, all: &HandshakeTotals) {
        let wire = Areas::HANDSHAKES;
        let mut plain = |category, name: &str, count| {
            let _ = self.inventory.entry(Named::new(category, bytes(name), wire), count);
        };
        for (version, count) in &all.versions {
            plain(Category::TlsVersion, &version.to_string(), *count);
        }
        for (suite, count) in &all.suites {
            plain(Category::CipherSuite, &suite.to_string(), *count);
        }
        for (exchange, count) in &all.exchanges {
            if let Exchange::Known(name, _) = exchange {
                plain(Category::Group, name, *count);
            }
        }
        for ((alert, role), count) in &all.alerts {
            let by = if *role == Role::Client { "client" } else { "server" };
            plain(Category::Failure, &format!("alert {alert} of the {by}"), *count);
        }
        for ((_, _, scheme), count) in &all.schemes {
            let named = Named::new(Category::SignatureScheme, bytes(&scheme.to_string()), Areas::PROOFS);
            self.inventory.entry(named, *count);
        }
        let names = Areas::NAMES;
        for (name, row) in &all.server_names {
            let named = Named::new(Category::ServerName, name.clone(), names);
            let entry = self.inventory.entry(named, row.outcomes.all()).all("tls_versions", names, of(&row.versions));
            entry.all("key_exchange", names, exchanges(row.quantum));
        }
        for (peer, row) in &all.peers {
            let named = Named::new(Category::Peer, bytes(&self.peer(peer)), names);
            let entry = self.inventory.entry(named, row.outcomes.all());
            entry.all("tls_versions", names, of(&row.versions));
        }
        self.certificates(all);
        self.shares(all);
    }

    fn peer(&self, peer: &PeerKey) -> String {
        let address = match (self.exact, peer.port) {
            (true, Some(port)) => std::net::SocketAddr::new(peer.address, port).to_string(),
            (_, port) => names::address(peer.address, port),
        };
        if peer.role == Some(Role::Server) { format!("clients at {address}") } else { address }
    }

    /// By whom they are for: one that is renewed is another one of the same.
    fn certificates(&mut self, all: &HandshakeTotals) {
        // Pseudonyms are not in them: a recording that hides names leaves certificates out.
        let names = Areas::NAMES.and(Areas::PROOFS);
        for (sha256, row) in &all.certificates {
            let certificate = &row.certificate;
            let subject = certificate.subject.as_deref().filter(|subject| !subject.is_empty());
            let named = Named::new(Category::Certificate, bytes(subject.unwrap_or(sha256)), names);
            let key = certificate.key_type.as_ref().map(|kind| match (&certificate.curve, certificate.key_bits) {
                (Some(curve), _) => format!("{kind} {curve}"),
                (None, Some(bits)) => format!("{kind} {bits} bits"),
                (None, None) => kind.clone(),
            });
            let by = row.shown_by.iter().map(|role| bytes(if *role == Role::Client { "client" } else { "server" }));
            let text = |text: &Option<String>| text.as_deref().map(bytes);
            let entry = self.inventory.entry(named, row.handshakes);
            let entry = entry.fact("sha256", names, Some(bytes(sha256))).all("shown_by", names, by);
            let facts = [
                ("issuer", text(&certificate.issuer)),
                ("valid_to", text(&certificate.not_after)),
                ("key", key.as_deref().map(bytes)),
                ("signed_with", text(&certificate.signature_algorithm)),
            ];
            facts.into_iter().fold(entry, |entry, (name, value)| entry.fact(name, names, value));
        }
    }

    fn shares(&mut self, all: &HandshakeTotals) {
        let tls13: u64 = all.versions.iter().filter(|(version, _)| version.is_tls13()).map(|(_, count)| count).sum();
        self.inventory.hidden = tls13;
        let shares = [
            ("post_quantum_key_exchange", all.quantum.post_quantum, all.quantum.all()),
            ("tls_1_3", tls13, all.versions.values().sum()),
            ("resumed", all.resumed, all.outcomes.answered_in_all()),
            ("failed", all.outcomes.failed, all.outcomes.all()),
        ];
        for (name, part, all) in shares {
            self.inventory.shares.insert(name, Share { part, all });
        }
    }

    /// Calls that failed, by function.
    fn calls(&mut self, all: &HandshakeTotals) {
        for (key, row) in all.calls.iter().filter(|(_, row)| row.used.failed > 0) {
            let name = [b"call ", &key.function[..]].concat();
            let programs = row.programs.iter().map(|program| self.same(program)).collect::<Vec<Text>>();
            let named = Named::new(Category::Failure, name, Areas::CALLS);
            let entry = self.inventory.entry(named, row.used.failed);
            let entry = entry.all("programs", Areas::CALLS, programs.into_iter());
            entry.cut_if(row.programs.len() >= MAX_PROGRAMS, "programs");
        }
    }

    fn algorithms(&mut self) {
        let mut algorithms = std::mem::take(&mut self.inventory.algorithms);
        for (name, row) in &mut algorithms {
            let all_programs = std::mem::take(&mut row.programs);
            // Names may be long, and both sides are kept.
            row.programs = all_programs.iter().take(FEW_PROGRAMS).cloned().collect();
            // Versions are things of their own.
            if row.places.iter().all(|place| *place == Place::Protocol) {
                continue;
            }
            let areas = areas_of(row);
            let programs = all_programs.iter().map(|program| self.same(program)).collect::<Vec<Text>>();
            let named = Named::new(Category::Algorithm, bytes(name), areas);
            let mut entry = self.inventory.entry(named, row.handshakes.saturating_add(row.calls));
            for place in &row.places {
                entry = entry.is("seen_in", area_of(*place), bytes(place.name()));
            }
            let entry = entry.all("programs", areas, programs.into_iter());
            entry.cut_if(all_programs.len() >= MAX_PROGRAMS, "programs");
        }
        self.inventory.algorithms = algorithms;
    }

    fn libraries(&mut self, paths: &ByPath, captures: &[Capture]) {
        let area = Areas::LIBRARIES;
        for row in paths.libraries() {
            let (id, path) = library_of(row.key);
            let of_host = captures.iter().filter(|capture| capture.meta.host == row.host);
            let info = of_host.filter_map(|capture| capture.libraries.get(id)).next();
            let family = info.map(|info| &info.family[..]).unwrap_or_default();
            let name = if self.exact { path.to_vec() } else { names::library(path) };
            let seen_as = (name != path).then(|| path.into());
            let programs: Vec<Text> = row.programs.iter().map(|(program, _)| self.same(program)).collect();
            let named = Named { seen_as, ..Named::new(Category::Library, name, area) };
            let entry = self.inventory.entry(named, row.used.loads.saturating_add(row.used.already_mapped));
            let version = info.map(|info| product::version_number(&info.version));
            let build = info.map(|info| crate::words::text::hex(&info.build_id));
            let file = crypto_trace_format::catalog::file_name(path);
            let entry = entry.fact("product", area, product::known_as(path, family).map(bytes));
            let entry = entry.fact("version", area, version).fact("build_id", area, build.as_deref().map(bytes));
            let entry = entry.fact("soname_version", area, product::soname_version(file));
            entry.all("programs", area, programs.into_iter());
        }
    }

    /// Files but keys, which are counted by themselves.
    fn files(&mut self, paths: &ByPath) {
        let area = Areas::FILES;
        for row in paths.files() {
            let file_type = row.used.file_type();
            let category = match file_type {
                FileType::PrivateKey | FileType::Keystore => Category::KeyFile,
                FileType::Certificate
                | FileType::TrustStore
                | FileType::CertificateRequest
                | FileType::RevocationList => Category::CertificateFile,
                _ => Category::OtherFile,
            };
            for (errno, count) in &row.used.failures {
                let error = errno_name(*errno).map_or_else(|| format!("errno {errno}"), str::to_owned);
                let name = [b"open ", &*self.same(row.key), b": ", error.as_bytes()].concat();
                let failed = row.programs.iter().filter(|(_, used)| used.failed > 0);
                let programs: Vec<Text> = failed.map(|(program, _)| self.same(program)).collect();
                let named = Named::new(Category::Failure, name, area);
                self.inventory.entry(named, *count).all("programs", area, programs.into_iter());
            }
            if category == Category::KeyFile || !row.used.was_opened() {
                continue;
            }
            let readers = row.programs.iter().filter(|(_, used)| used.uses > used.failed);
            let readers: Vec<Text> = readers.map(|(program, _)| self.same(program)).collect();
            let named = self.named(category, row.key, area);
            let opens = row.used.opens.saturating_add(row.used.already_open).saturating_sub(row.used.failed());
            let entry = self.inventory.entry(named, opens).fact("type", area, Some(bytes(file_type.name())));
            entry.all("readers", area, readers.into_iter());
        }
    }

    fn keys(&mut self, keys: &Keys) {
        let area = Areas::FILES;
        for (at, row) in &keys.rows {
            let Some(whole) = row.whole() else { continue };
            let opened = whole.opens.saturating_add(whole.already_open).saturating_sub(whole.failed());
            if opened == 0 && whole.loads.succeeded == 0 && whole.changes.iter().all(|(done, _)| *done == 0) {
                continue;
            }
            let readers = row.users.iter().filter(|(_, user)| user.used.reads());
            let readers: Vec<Text> = readers.map(|(user, _)| self.same(&user.program)).collect();
            let writes = |granted: crate::count::files::Access| granted.writes + granted.both > 0;
            let writers = row.users.iter().filter(|(_, user)| writes(user.used.granted));
            let writers: Vec<Text> = writers.map(|(user, _)| self.same(&user.program)).collect();
            let named = self.named(Category::KeyFile, &at.path, area);
            let entry = self.inventory.entry(named, opened);
            let entry = entry.all("readers", area, readers.into_iter()).all("writers", area, writers.into_iter());
            entry.fact("mode", area, row.mode().map(|mode| bytes(&format!("{mode:04o}"))));
        }
    }
}

/// Where a use of an algorithm is seen.
fn area_of(place: Place) -> Areas {
    match place {
        Place::LibraryCall | Place::KernelCall => Areas::CALLS,
        Place::Authentication | Place::CertificateKey | Place::CertificateSignature => Areas::PROOFS,
        _ => Areas::HANDSHAKES,
    }
}

/// Where an algorithm is seen. What is in the clear somewhere would have been seen there.
pub(super) fn areas_of(row: &AlgorithmRow) -> Areas {
    let areas = || row.places.iter().map(|place| area_of(*place));
    let are_in_the_clear = areas().any(|areas| areas != Areas::PROOFS);
    areas().filter(|areas| !are_in_the_clear || *areas != Areas::PROOFS).fold(Areas::default(), Areas::and)
}
