//! The document of `check`: `schema check` prints its JSON Schema.

use super::judge::{Case, Evidence, Judged, Verdict};
use super::policy::{Policy, Waiver};
use super::rule::{Asked, Source};
use crate::capture::connections::Role;
use crate::report::coverage::{BLIND_TO, Coverage};
use crate::report::session::Session;
use crate::rules::{DocumentState, Pack, Rule, document};
use crate::words::escape;
use crate::words::timestamp::timestamp;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Pieces of evidence for one rule that are shown; of more it says how many.
const MAX_EVIDENCE: usize = 100;

/// Days after which what a pack says may be old: documents such as these are revised every few years.
const STALE_DAYS: i32 = 365;

/// The document.
#[derive(Serialize)]
pub(super) struct Report {
    schema_version: u32,
    /// The day that rules are asked about.
    pub as_of: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub hosts: Vec<String>,
    /// Whether a rule of any pack is violated.
    pub violated: bool,
    /// Whether evidence suffices for every rule that is not.
    pub sufficient: bool,
    /// Each on its own: there is no verdict over all of them.
    pub packs: Vec<PackReport>,
    /// Uses that are known and accepted for a time.
    pub waivers: Vec<WaiverReport>,
    /// Why uses may be missing, whatever a rule asks about.
    pub missing: Vec<String>,
    /// What no recording shows.
    pub blind_to: &'static [&'static str],
}

/// Rules that were chosen together.
#[derive(Serialize)]
pub(super) struct PackReport {
    pub pack: String,
    /// When its latest document was published.
    pub dated: Option<String>,
    /// When its rules were compared with their documents, the first of these days.
    pub compared: Option<String>,
    /// It may be old by the day that it is asked about.
    pub stale: bool,
    pub counts: Counts,
    /// Rules that hold from a later day on, and that nothing was seen against.
    pub not_in_force: u64,
    pub documents: Vec<DocumentReport>,
    pub rules: Vec<RuleReport>,
}

#[derive(Serialize)]
pub(super) struct WaiverReport {
    pub rule: String,
    pub owner: String,
    pub reason: String,
    /// The first day that it holds no more.
    pub expires: String,
    pub expired: bool,
    /// Whether a rule that is judged is the one that it is about.
    pub of_a_rule: bool,
    /// Uses that it covers.
    pub covers: u64,
}

#[derive(Serialize, Default)]
pub(super) struct Counts {
    pub pass: u64,
    pub warn: u64,
    pub fail: u64,
    pub unknown: u64,
}

#[derive(Serialize)]
pub(super) struct DocumentReport {
    pub document: String,
    pub revision: String,
    pub published: String,
    pub draft: bool,
    pub compared_with: String,
    pub url: String,
}

/// A rule, and its verdict.
#[derive(Serialize)]
pub(super) struct RuleReport {
    pub rule: String,
    pub verdict: &'static str,
    /// What a use against it makes of it: `fail` or `warn`.
    pub level: &'static str,
    /// In the rule's own words.
    pub says: String,
    pub note: Option<String>,
    /// The first day that it holds, when that is still to come.
    pub holds_from: Option<String>,
    #[serde(flatten)]
    pub source: Source,
    #[serde(skip)]
    pub told: String,
    /// Handshakes, calls, opens or loads that it was held against.
    pub looked_at: u64,
    /// Uses against it that no waiver covers.
    pub against: u64,
    /// Uses against it that waivers cover.
    pub waived: u64,
    pub evidence: Vec<EvidenceReport>,
    pub evidence_more: u64,
    /// Of each waiver, uses that it covers.
    #[serde(skip)]
    waived_by: BTreeMap<u64, u64>,
    /// Why more may be there than was seen.
    pub open: Vec<String>,
}

/// Uses of one program against a rule.
#[derive(Serialize)]
pub(super) struct EvidenceReport {
    /// The algorithm, the size, the file or the library.
    pub what: String,
    /// Where in the handshake, by which function, what the file holds, or which version of the library.
    pub place: String,
    /// What `count` counts: `handshake`, `call`, `open`, `load`.
    pub unit: &'static str,
    pub count: u64,
    /// When the first was.
    pub first: String,
    pub host: String,
    pub program: Option<String>,
    /// The process of the first.
    pub pid: Option<u32>,
    pub container: Option<String>,
    pub protocol: Option<&'static str>,
    pub version: Option<String>,
    pub role: Option<&'static str>,
    pub peer: Option<String>,
    pub server_name: Option<String>,
    /// The waiver that covers it.
    pub waiver: Option<u64>,
}

impl Report {
    /// Of packs that are judged.
    pub fn new(
        session: &Session<'_>,
        as_of: Date,
        coverage: &Coverage,
        packs: Vec<PackReport>,
        waivers: &[Waiver],
    ) -> Self {
        let window = session.covered();
        let hosts: BTreeSet<&str> = session.captures.iter().map(|capture| &*capture.meta.host).collect();
        let rules = || packs.iter().flat_map(|pack| &pack.rules);
        Self {
            schema_version: SCHEMA_VERSION,
            as_of: as_of.to_string(),
            from: window.map(|(from, _)| timestamp(from)),
            to: window.map(|(_, to)| timestamp(to)),
            hosts: hosts.into_iter().map(|host| escape::for_people(host.as_bytes())).collect(),
            violated: rules().any(|rule| rule.verdict == Verdict::Fail.name()),
            // Nothing is kept where there was nothing to keep.
            sufficient: packs.iter().all(|pack| !pack.rules.is_empty())
                && rules().all(|rule| rule.verdict == Verdict::Fail.name() || rule.open.is_empty()),
            waivers: (0u64..)
                .zip(waivers)
                .map(|(number, waiver)| WaiverReport::new(number, waiver, as_of, &packs))
                .collect(),
            missing: coverage.of_any().cloned().collect(),
            blind_to: BLIND_TO,
            packs,
        }
    }
}

impl WaiverReport {
    fn new(number: u64, waiver: &Waiver, as_of: Date, packs: &[PackReport]) -> Self {
        let rules = || packs.iter().flat_map(|pack| &pack.rules).filter(|rule| waiver.is_of(&rule.rule));
        let covered = rules().flat_map(|rule| &rule.waived_by).filter(|(by, _)| **by == number);
        Self {
            rule: escape::for_people(waiver.rule.as_bytes()),
            owner: escape::for_people(waiver.owner.as_bytes()),
            reason: escape::for_people(waiver.reason.as_bytes()),
            expires: waiver.expires.to_string(),
            expired: waiver.expires <= as_of,
            of_a_rule: rules().next().is_some(),
            covers: covered.fold(0u64, |sum, (_, count)| sum.saturating_add(*count)),
        }
    }
}

impl PackReport {
    /// Of a pack of the catalog. Rules that are yet to come stand here when something was seen against them.
    pub fn of_catalog(
        session: &Session<'_>,
        case: &Case<'_>,
        pack: Pack,
        as_of: Date,
        rules: &[(Asked, Judged<'_>)],
    ) -> Self {
        let names: BTreeSet<&str> = pack.rules(as_of).map(|(rule, _): (&Rule, _)| &*rule.document).collect();
        let documents: Vec<_> = names.iter().filter_map(|id| document(id)).collect();
        let compared = documents.iter().filter_map(|document| document.compared()).min();
        let dated = documents.iter().map(|document| document.date).max();
        let mut report = Self::new(session, case, pack.name().to_owned(), rules);
        report.stale = compared.is_some_and(|day| is_stale(day, as_of));
        report.dated = dated.map(|day| day.to_string());
        report.compared = compared.map(|day| day.to_string());
        let documents = documents.into_iter().map(|document| DocumentReport {
            document: document.id.clone(),
            revision: document.revision.clone(),
            published: document.date.to_string(),
            draft: document.state == DocumentState::Draft,
            compared_with: document.compared_with.clone(),
            url: document.url.clone(),
        });
        report.documents = documents.collect();
        report
    }

    /// Of a file of rules.
    pub fn of_policy(
        session: &Session<'_>,
        case: &Case<'_>,
        policy: &Policy,
        as_of: Date,
        rules: &[(Asked, Judged<'_>)],
    ) -> Self {
        let mut report = Self::new(session, case, escape::for_people(policy.name.as_bytes()), rules);
        report.stale = policy.dated.is_some_and(|day| is_stale(day, as_of));
        report.dated = policy.dated.map(|day| day.to_string());
        report
    }

    fn new(session: &Session<'_>, case: &Case<'_>, pack: String, rules: &[(Asked, Judged<'_>)]) -> Self {
        let is_idle = |(rule, judged): &&(Asked, Judged<'_>)| rule.from.is_some() && judged.evidence.is_empty();
        let shown = rules.iter().filter(|row| !is_idle(row));
        let mut reports: Vec<(Verdict, RuleReport)> =
            shown.map(|(rule, judged)| (judged.verdict, RuleReport::new(session, case, rule, judged))).collect();
        // Stable: rules keep the order of their documents.
        reports.sort_by_key(|(verdict, _)| *verdict);
        let mut counts = Counts::default();
        for (verdict, _) in &reports {
            *match verdict {
                Verdict::Pass => &mut counts.pass,
                Verdict::Warn => &mut counts.warn,
                Verdict::Fail => &mut counts.fail,
                Verdict::Unknown => &mut counts.unknown,
            } += 1;
        }
        Self {
            pack,
            dated: None,
            compared: None,
            stale: false,
            counts,
            not_in_force: rules.iter().filter(is_idle).count() as u64,
            documents: Vec::new(),
            rules: reports.into_iter().map(|(_, report)| report).collect(),
        }
    }
}

/// Whether what was written on a day may be old.
fn is_stale(written: Date, as_of: Date) -> bool {
    as_of.since(written).is_ok_and(|since| since.get_days() > STALE_DAYS)
}

impl RuleReport {
    fn new(session: &Session<'_>, case: &Case<'_>, rule: &Asked, judged: &Judged<'_>) -> Self {
        let sum = |waived: bool| {
            let these = judged.evidence.iter().filter(|one| one.waiver.is_some() == waived);
            these.fold(0u64, |sum, one| sum.saturating_add(one.seen.count))
        };
        let shown = judged.evidence.iter().take(MAX_EVIDENCE);
        let mut waived_by = BTreeMap::new();
        for one in &judged.evidence {
            if let Some(waiver) = one.waiver {
                let count: &mut u64 = waived_by.entry(waiver as u64).or_default();
                *count = count.saturating_add(one.seen.count);
            }
        }
        Self {
            rule: escape::for_people(rule.id.as_bytes()),
            verdict: judged.verdict.name(),
            level: match rule.level {
                super::rule::Level::Fail => "fail",
                super::rule::Level::Warn => "warn",
            },
            says: escape::for_people(rule.words.as_bytes()),
            note: rule.note.as_ref().map(|note| escape::for_people(note.as_bytes())),
            holds_from: rule.from.map(|from| from.to_string()),
            source: rule.source.clone(),
            told: rule.source.told(),
            looked_at: judged.looked_at,
            against: sum(false),
            waived: sum(true),
            evidence: shown.map(|one| EvidenceReport::new(session, case, one)).collect(),
            evidence_more: judged.evidence.len().saturating_sub(MAX_EVIDENCE) as u64,
            waived_by,
            open: judged.open.clone(),
        }
    }
}

impl EvidenceReport {
    fn new(session: &Session<'_>, case: &Case<'_>, one: &Evidence<'_>) -> Self {
        let shown = |text: &[u8]| session.shown(text);
        let handshake = one.handshake;
        let peer = handshake.map(|handshake| match handshake.port {
            Some(port) => std::net::SocketAddr::new(handshake.address, port).to_string(),
            None => handshake.address.to_string(),
        });
        Self {
            what: shown(&one.what),
            place: shown(&one.place),
            unit: one.unit.name(),
            count: one.seen.count,
            first: timestamp(one.first()),
            host: escape::for_people(case.host(one.party).as_bytes()),
            program: one.party.program.as_deref().map(shown),
            pid: (one.seen.tgid != 0).then_some(one.seen.tgid),
            container: one.party.container.as_deref().map(escape::for_people),
            protocol: one.protocol(),
            version: handshake.and_then(|handshake| handshake.version_name()),
            role: handshake.and_then(|handshake| handshake.role).map(Role::name),
            peer,
            server_name: handshake.and_then(|handshake| handshake.server_name.as_deref()).map(escape::for_people),
            waiver: one.waiver.map(|number| number as u64),
        }
    }
}
