//! The document of `readiness`: `schema readiness` prints its JSON Schema.

use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::Role;
use crate::count::handshakes::Exchange;
use crate::count::readiness::{Aged, Cause, GroupList, Kind, Privacy, ProgramFacts, Readiness, Row, RowKey, Share};
use crate::report::completeness;
use crate::report::document::Each;
use crate::report::session::Session;
use crate::rules::Brought;
use crate::words::escape;
use crate::words::redact;
use crate::words::timestamp::timestamp;
use crypto_trace_format::record::Protocol;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the document: a member that is added does not change it, one that goes or means something else does.
const SCHEMA_VERSION: u32 = 1;

/// Peers of a row that are shown.
const TOP_PEERS: usize = 10;

/// Hours over which the share is shown by the hour; beyond, by the day.
const BY_HOUR: i64 = 72;

/// What the recording does not have, in the words of the report.
const NOT_RECORDED: [&str; 2] = [
    "which listening sockets had no handshake: listening sockets are not recorded",
    "connections older than the recording that had no handshake during it: they are not recorded",
];

/// The document.
#[derive(Serialize)]
#[serde(bound = "")]
pub(super) struct Report<I: Iterator<Item = RowReport>> {
    #[serde(flatten)]
    head: Head,
    rows: Each<I>,
}

/// All of it but the rows.
#[derive(Serialize)]
pub(super) struct Head {
    schema_version: u32,
    pub from: Option<String>,
    pub to: Option<String>,
    pub watched: Vec<Watched>,
    /// A window is not the whole: what the recording cannot tell of the rest.
    pub not_recorded: Vec<&'static str>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
    pub handshakes: u64,
    pub ends: u64,
    pub ends_of_connections_from_before: u64,
    #[serde(flatten)]
    pub share: Shares,
    pub why_not: Vec<Reason>,
    pub over_time: OverTime,
    pub ends_in_no_row: u64,
    pub missing: Vec<String>,
}

/// How long one recording watched.
#[derive(Serialize)]
pub(super) struct Watched {
    pub host: String,
    pub from: String,
    pub to: String,
    /// To the millisecond.
    pub seconds: f64,
    #[serde(skip)]
    pub duration_ns: u64,
    /// What was seen of TLS, and since when.
    pub tls: String,
    /// The same of SSH, where it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// What of it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
}

#[derive(Serialize, Clone, Copy)]
pub(super) struct Shares {
    pub post_quantum: u64,
    pub classical: u64,
    pub unknown: u64,
    pub resumed: u64,
    pub not_seen: u64,
    pub no_agreement: u64,
    /// Post-quantum of all key exchanges that were seen; null when none was.
    pub post_quantum_share: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Reason {
    pub reason: &'static str,
    pub meaning: &'static str,
    pub handshakes: u64,
    #[serde(skip)]
    pub cause: Cause,
}

#[derive(Serialize)]
pub(super) struct OverTime {
    /// `hour` or `day`, by how long was watched.
    pub by: &'static str,
    /// Those with handshakes.
    pub buckets: Vec<Bucket>,
}

#[derive(Serialize)]
pub(super) struct Bucket {
    pub from: String,
    #[serde(flatten)]
    pub share: Shares,
}

/// A service, or a client.
#[derive(Serialize)]
pub(super) struct RowReport {
    pub host: String,
    pub protocol: &'static str,
    /// None: neither hello was seen.
    pub role: Option<&'static str>,
    /// None: the process is not known.
    pub program: Option<String>,
    pub container: Option<String>,
    pub unit: Option<String>,
    pub port: Option<u16>,
    pub server_name: Option<String>,
    pub handshakes: u64,
    #[serde(flatten)]
    pub share: Shares,
    pub agreed: Vec<AgreedReport>,
    /// Those whose version and group are not told apart any more.
    #[serde(skip_serializing_if = "is_zero")]
    pub agreed_more: u64,
    pub why_not: Vec<RowReason>,
    /// The lists of groups of those that were configured without post-quantum ones, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configured_groups: Vec<Configured>,
    pub peers: u64,
    /// There were more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub peers_at_least: bool,
    pub top_peers: Vec<Peer>,
    pub first: String,
    pub last: String,
}

#[derive(Serialize)]
pub(super) struct AgreedReport {
    pub version: Option<String>,
    /// None: there was no key exchange, or it was not seen.
    pub key_exchange: Option<String>,
    pub post_quantum: Option<bool>,
    pub handshakes: u64,
}

#[derive(Serialize)]
pub(super) struct RowReason {
    pub reason: &'static str,
    pub handshakes: u64,
    /// Handshakes whose library is older than the version that brought post-quantum key exchange.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub library_too_old: Vec<OldLibrary>,
    /// Those whose process gave its library lists of groups, none of them with a post-quantum group.
    #[serde(skip_serializing_if = "is_zero")]
    pub configured_without: u64,
    #[serde(skip)]
    pub cause: Cause,
}

#[derive(Serialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OldLibrary {
    pub library: String,
    pub library_name: &'static str,
    pub version: String,
    /// `library`, or `libcrypto` beside it.
    pub version_by: &'static str,
    /// `call`: a call of it made these handshakes. `loaded`: it is a TLS library that the program loaded; had it loaded others,
    /// they are here, too.
    pub known_by: &'static str,
    pub handshakes: u64,
    pub since: &'static str,
    pub released: String,
    pub brings: &'static str,
    pub says: &'static str,
    pub document: &'static str,
    pub url: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Configured {
    pub groups: String,
    pub function: String,
    pub handshakes: u64,
}

#[derive(Serialize)]
pub(super) struct Peer {
    pub address: String,
    pub handshakes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<Share> for Shares {
    fn from(share: Share) -> Self {
        let Share { post_quantum, classical, unknown, resumed, not_seen, no_agreement } = share;
        #[allow(clippy::cast_precision_loss, reason = "a share for people, of four digits")]
        let of = |part: u64, all: u64| (part as f64 / all as f64 * 10_000.0).floor() / 10_000.0;
        let all = share.exchanges();
        let post_quantum_share = (all > 0).then(|| of(post_quantum, all));
        Self { post_quantum, classical, unknown, resumed, not_seen, no_agreement, post_quantum_share }
    }
}

impl Head {
    pub fn new(session: &Session<'_>, counted: &Readiness) -> Self {
        let captures = &session.captures;
        let (from, to) = session.whole_window();
        let known = !captures.is_empty();
        let reasons = Cause::REASONS.into_iter().filter_map(|cause| {
            let handshakes = *counted.causes.get(&cause)?;
            Some(Reason { reason: cause.name(), meaning: cause.meaning(), handshakes, cause })
        });
        let mut why_not: Vec<Reason> = reasons.collect();
        why_not.sort_by_key(|reason| std::cmp::Reverse(reason.handshakes));
        let why_none = || {
            let tls = completeness::why_no_handshakes(captures);
            let with_ssh = captures.iter().any(|capture| completeness::watches(capture, Protocol::SSH));
            let ssh = with_ssh.then(|| completeness::why_none_of(captures, Protocol::SSH));
            let why = [Some(tls), ssh].into_iter().flatten().collect::<Vec<_>>().join("; ");
            redact::sentence(why, session.request.redact)
        };
        Self {
            schema_version: SCHEMA_VERSION,
            from: known.then(|| timestamp(from)),
            to: known.then(|| timestamp(to)),
            watched: (0u32..).zip(captures).map(|(number, capture)| Watched::new(session, number, capture)).collect(),
            not_recorded: NOT_RECORDED.to_vec(),
            why_none: (counted.ends == 0).then(why_none),
            handshakes: counted.share.all(),
            ends: counted.ends,
            ends_of_connections_from_before: counted.late,
            share: counted.share.into(),
            why_not,
            over_time: OverTime::new(counted),
            ends_in_no_row: counted.without_row,
            missing: missing(session),
        }
    }
}

/// What rows name, and how.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub captures: &'a [Capture],
    /// Hide home directories, and secrets.
    pub redact: bool,
}

impl Seen<'_> {
    /// Text of the traced host.
    fn shown(self, text: &[u8]) -> String {
        redact::for_people(text, self.redact)
    }
}

/// Rows, those with most to migrate first; each is made when it is asked for.
pub(super) fn rows<'a>(
    session: &'a Session<'_>,
    counted: &'a Readiness,
) -> impl ExactSizeIterator<Item = RowReport> + 'a {
    let mut rows: Vec<(&RowKey, &Row, Share)> = counted.rows.iter().map(|(key, row)| (key, row, row.share())).collect();
    // Stable: equals stand in the order of their keys.
    rows.sort_by_key(|(_, row, share)| std::cmp::Reverse((share.classical, share.unknown, row.handshakes)));
    let seen = Seen { captures: &session.captures, redact: session.request.redact };
    rows.into_iter().map(move |(key, row, _)| RowReport::new(seen, counted, key, row))
}

impl<I: Iterator<Item = RowReport>> Report<I> {
    pub fn new(head: Head, rows: I) -> Self {
        Self { head, rows: Each::new(rows) }
    }
}

/// What is missing; names and addresses, too.
fn missing(session: &Session<'_>) -> Vec<String> {
    let any = |privacy: Privacy| session.captures.iter().any(|capture| Privacy::of(capture) == privacy);
    let hashed = any(Privacy::Hash).then_some(
        "server names and addresses are pseudonyms (--privacy hash): peers of two recordings cannot be compared",
    );
    let dropped = any(Privacy::Drop).then_some(
        "server names and addresses were left out (--privacy drop): several services may share one row, and it is not \
         known whether a server accepts from others what it did not accept here",
    );
    let selective = completeness::recordings(&session.captures).any(completeness::is_selective);
    let selective =
        selective.then_some("only part was recorded (see watched): the rest has no row and does not count in reasons");
    let filter = &session.request.filter;
    let by_whom = [&filter.names, &filter.cgroups, &filter.containers].into_iter().any(|list| !list.is_empty());
    let filtered = by_whom || !filter.pids.is_empty() || !filter.uids.is_empty();
    let timed = filter.since.is_some() || filter.until.is_some();
    let filtered = (filtered || timed).then_some(
        "only what passes this command's filters is counted: the rest has no row and does not count in reasons",
    );
    let said = [hashed, dropped, selective, filtered].into_iter().flatten().map(str::to_owned);
    session.gaps(None).into_iter().chain(said).collect()
}

impl Watched {
    fn new(session: &Session<'_>, number: u32, capture: &Capture) -> Self {
        let (from, to) = session.window(number);
        let duration_ns = u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
        let shown = |text: String| redact::sentence(text, session.request.redact);
        Self {
            host: escape::for_people(capture.meta.host.as_bytes()),
            from: timestamp(from),
            to: timestamp(to),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
            seconds: (duration_ns / 1_000_000) as f64 / 1_000.0,
            duration_ns,
            tls: shown(completeness::wire_state(capture)),
            ssh: completeness::watches(capture, Protocol::SSH)
                .then(|| shown(completeness::state_of(capture, Protocol::SSH))),
            recorded: completeness::recorded(&capture.meta, |text| session.shown(text), ""),
        }
    }
}

impl OverTime {
    fn new(counted: &Readiness) -> Self {
        let hours = || counted.hours.keys();
        let span = hours().next().zip(hours().last()).map_or(0, |(first, last)| last.saturating_sub(*first));
        let (by, hours_each) = if span < BY_HOUR { ("hour", 1) } else { ("day", 24) };
        let mut buckets: BTreeMap<i64, Share> = BTreeMap::new();
        for (hour, share) in &counted.hours {
            let bucket = buckets.entry(hour.div_euclid(hours_each)).or_default();
            *bucket = bucket.and(*share);
        }
        let from = |bucket: i64| timestamp(WallNs(bucket.saturating_mul(hours_each * 3_600_000_000_000)));
        let shown = buckets.into_iter().map(|(at, share)| Bucket { from: from(at), share: share.into() });
        Self { by, buckets: shown.collect() }
    }
}

impl RowReport {
    pub fn new(seen: Seen<'_>, counted: &Readiness, key: &RowKey, row: &Row) -> Self {
        let shown = |text: &Option<Box<[u8]>>| text.as_deref().map(|text| seen.shown(text));
        let host = seen.captures.get(key.who.host as usize).map(|capture| &*capture.meta.host).unwrap_or_default();
        let mut agreed: Vec<AgreedReport> = row
            .agreed
            .iter()
            .map(|((version, exchange), handshakes)| AgreedReport {
                version: version.as_deref().map(str::to_owned),
                key_exchange: match exchange {
                    Exchange::Known(name, _) => Some(name.clone()),
                    Exchange::Earlier | Exchange::NotSeen => None,
                },
                post_quantum: match exchange {
                    Exchange::Known(_, post_quantum) => *post_quantum,
                    Exchange::Earlier | Exchange::NotSeen => None,
                },
                handshakes: *handshakes,
            })
            .collect();
        agreed.sort_by_key(|agreed| std::cmp::Reverse(agreed.handshakes));
        let mut peers: Vec<Peer> = row
            .peers
            .iter()
            .map(|(address, handshakes)| Peer { address: address.to_string(), handshakes: *handshakes })
            .collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.handshakes));
        let all_peers = peers.len() as u64;
        peers.truncate(TOP_PEERS);
        Self {
            host: escape::for_people(host.as_bytes()),
            protocol: key.protocol.name(),
            role: key.role.map(Role::name),
            program: shown(&key.who.program),
            container: shown(&key.who.container),
            unit: shown(&key.who.unit),
            port: key.port,
            server_name: key.server_name.as_deref().map(escape::for_people),
            handshakes: row.handshakes,
            share: row.share().into(),
            agreed,
            agreed_more: row.agreed_more,
            why_not: reasons(seen, counted, key, row),
            configured_groups: Configured::all(seen, row),
            peers: all_peers,
            peers_at_least: row.peers_more > 0,
            top_peers: peers,
            first: timestamp(row.span.first),
            last: timestamp(row.span.last),
        }
    }
}

/// Why handshakes of a row are not post-quantum, the most frequent reason first.
fn reasons(seen: Seen<'_>, counted: &Readiness, key: &RowKey, row: &Row) -> Vec<RowReason> {
    let nothing = ProgramFacts::default();
    let known = Some(&key.who).filter(|who| who.program.is_some());
    let program = known.and_then(|who| counted.programs.get(who)).unwrap_or(&nothing);
    let mut reasons: Vec<RowReason> = Vec::new();
    for (why, handshakes) in &row.causes {
        if matches!(why.cause.kind(), Kind::PostQuantum | Kind::NoAgreement) {
            continue;
        }
        let mut old = Vec::new();
        if key.role.is_some_and(|role| why.cause.is_for_want_of_groups(key.protocol, role)) {
            let behind = program.behind(seen.captures, why.library);
            let is_old = behind.iter().all(|(aged, _)| aged.is_older == Some(true));
            let known_by = if why.library.is_some() { "call" } else { "loaded" };
            let found = behind.iter().filter(|_| is_old);
            old.extend(found.map(|(aged, brought)| OldLibrary::new(seen, aged, brought, known_by, *handshakes)));
        }
        let configured = if why.is_configured { *handshakes } else { 0 };
        match reasons.iter_mut().find(|reason| reason.cause == why.cause) {
            Some(reason) => {
                reason.handshakes += handshakes;
                reason.configured_without += configured;
                old.into_iter().for_each(|library| reason.add(library));
            }
            None => reasons.push(RowReason {
                reason: why.cause.name(),
                handshakes: *handshakes,
                library_too_old: old,
                configured_without: configured,
                cause: why.cause,
            }),
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.handshakes));
    reasons
}

impl RowReason {
    /// Takes in handshakes of a library, which may be here already.
    fn add(&mut self, library: OldLibrary) {
        let is_same = |known: &&mut OldLibrary| {
            (&known.library, &known.version, known.known_by) == (&library.library, &library.version, library.known_by)
        };
        match self.library_too_old.iter_mut().find(is_same) {
            Some(known) => known.handshakes += library.handshakes,
            None => self.library_too_old.push(library),
        }
    }
}

impl OldLibrary {
    fn new(seen: Seen<'_>, aged: &Aged, brought: &'static Brought, known_by: &'static str, handshakes: u64) -> Self {
        let (capture, file) = aged.file;
        let row = seen.captures.get(capture as usize).and_then(|capture| capture.libraries.get(file));
        Self {
            library: row.map(|row| seen.shown(&row.path)).unwrap_or_default(),
            library_name: &brought.name,
            version: escape::for_people(&aged.version),
            version_by: if aged.by_libcrypto { "libcrypto" } else { "library" },
            known_by,
            handshakes,
            since: &brought.since,
            released: brought.released.to_string(),
            brings: &brought.brings,
            says: &brought.says,
            document: &brought.document,
            url: &brought.url,
            note: brought.note.as_deref(),
        }
    }
}

impl Configured {
    fn all(seen: Seen<'_>, row: &Row) -> Vec<Self> {
        let one = |(list, handshakes): (&GroupList, &u64)| Self {
            groups: seen.shown(&list.text),
            function: seen.shown(&list.function),
            handshakes: *handshakes,
        };
        let mut all: Vec<Self> = row.groups.iter().map(one).collect();
        all.sort_by_key(|list| std::cmp::Reverse(list.handshakes));
        all
    }
}
