//! `tls --follow`: ends of connections by program, peer and what was agreed on, as they come.

use crate::capture::Capture;
use crate::capture::connections::Role;
use crate::count::handshakes::{EndKey, EndRow, Exchange, PeerKey, peer_name};
use crate::count::totals::Totals;
use crate::report::following::{Column, View};
use crate::report::handshakes::OutcomeFields;
use crate::report::parts::second;
use crate::words::escape;
use crate::words::redact;
use crate::words::text::{Align, grouped};
use crate::words::timestamp::timestamp;
use serde::Serialize;

/// Columns, how wide most of their cells are, and from which width of a line on there is room for them.
const COLUMNS: [(&str, Align, usize, usize); 10] = [
    ("handshakes", Align::Right, 0, 0),
    ("failed", Align::Right, 0, 0),
    ("unanswered", Align::Right, 0, 110),
    ("role", Align::Left, 6, 0),
    ("program", Align::Left, 20, 0),
    ("peer", Align::Left, 32, 0),
    ("version", Align::Left, 7, 0),
    ("suite", Align::Left, 37, 170),
    ("key exchange", Align::Left, 14, 0),
    ("last (UTC)", Align::Left, 19, 190),
];

/// From this width on columns are as wide as most of their cells.
const ROOMY: usize = 130;

/// Below, they are no wider than this.
const NARROW: usize = 20;

/// A row, as it is in JSON; `schema tls-follow` prints its schema.
#[derive(Serialize)]
pub(super) struct Row {
    host: String,
    /// None: neither hello was seen.
    role: Option<&'static str>,
    /// None: the process is not known.
    program: Option<String>,
    remote_address: String,
    /// None: the other end is the client.
    remote_port: Option<u16>,
    server_name: Option<String>,
    version: Option<String>,
    cipher_suite: Option<String>,
    /// None: there was none, or it was not seen.
    key_exchange: Option<String>,
    post_quantum: Option<bool>,
    handshakes: u64,
    #[serde(flatten)]
    outcomes: OutcomeFields,
    first: String,
    last: String,
    /// For people: the peer by its name.
    #[serde(skip)]
    peer: String,
    #[serde(skip)]
    exchange: Exchange,
}

impl Row {
    fn new(key: EndKey, row: &EndRow, captures: &[Capture], redacted: bool) -> Self {
        let EndKey { host, program, role, address, port, server_name, version, suite, exchange } = key;
        let host_name = captures.get(host as usize).map(|capture| &*capture.meta.host).unwrap_or_default();
        let peer = peer_name(&PeerKey { host, role, address, port, server_name: server_name.clone() });
        let (key_exchange, post_quantum) = match &exchange {
            Exchange::Known(name, post_quantum) => (Some(name.clone()), *post_quantum),
            Exchange::Earlier | Exchange::NotSeen => (None, None),
        };
        Self {
            host: escape::for_people(host_name.as_bytes()),
            role: role.map(Role::name),
            program: program.map(|program| redact::for_people(&program, redacted)),
            remote_address: address.to_string(),
            remote_port: port,
            server_name: server_name.as_deref().map(escape::for_people),
            version: version.map(|version| version.to_string()),
            cipher_suite: suite.map(|suite| suite.to_string()),
            key_exchange,
            post_quantum,
            handshakes: row.outcomes.all(),
            outcomes: row.outcomes.into(),
            first: timestamp(row.span.first),
            last: timestamp(row.span.last),
            peer,
            exchange,
        }
    }

    /// `X25519MLKEM768, post-quantum`
    fn exchange_in_short(&self) -> String {
        match (&self.exchange, &self.version) {
            (Exchange::NotSeen, None) => String::new(),
            (exchange, _) if self.post_quantum == Some(true) => format!("{exchange}, post-quantum"),
            (exchange, _) => exchange.to_string(),
        }
    }
}

/// What `tls --follow` shows.
pub(super) struct Live;

fn kept<T>(width: usize, cells: impl IntoIterator<Item = T>) -> Vec<T> {
    cells.into_iter().zip(COLUMNS).filter(|(_, (.., from))| width >= *from).map(|(cell, _)| cell).collect()
}

impl View for Live {
    type Counted = Totals;
    type Row = Row;

    fn columns(width: usize) -> Vec<Column> {
        let wide = |cells: usize| if width >= ROOMY { cells } else { cells.min(NARROW) };
        kept(width, COLUMNS.map(|(name, align, cells, _)| Column { name, align, cells: wide(cells) }))
    }

    fn changed(counted: &mut Totals, captures: &[Capture], redact: bool) -> Vec<Row> {
        let Some(followed) = &mut counted.handshakes.followed else { return Vec::new() };
        followed.take_changed().map(|(key, row)| Row::new(key, &row, captures, redact)).collect()
    }

    fn cells(row: &Row, width: usize) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            grouped(row.handshakes),
            grouped(row.outcomes.failed),
            grouped(row.outcomes.unanswered),
            row.role.unwrap_or("?").to_owned(),
            row.program.clone().unwrap_or_else(|| "(process not known)".to_owned()),
            row.peer.clone(),
            row.version.clone().unwrap_or_else(|| "-".to_owned()),
            text(&row.cipher_suite),
            row.exchange_in_short(),
            second(&row.last),
        ];
        kept(width, cells)
    }
}
