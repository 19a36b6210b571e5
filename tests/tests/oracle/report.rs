//! Counts what was compared and what differed, by stack and field, and by kind of handshake.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::compare::{Field, fields};
use crate::tshark::{Flow, TLS_1_3};

/// Where tshark itself is wrong or knows less.
struct Known {
    field: &'static str,
    when: fn(&Flow, &Field) -> bool,
    reason: &'static str,
}

const KNOWN: &[Known] = &[];

/// Of differences in the same field, so many are shown.
const EXAMPLES: usize = 2;

/// Kinds of handshakes, and how many of each there are at least.
const KINDS: &[(&str, usize)] = &[
    ("TLS 1.2", 500),
    ("TLS 1.3", 500),
    ("resumed by session id", 20),
    ("resumed by ticket", 50),
    ("resumed by PSK", 50),
    ("client certificate", 20),
    ("retry", 50),
    ("message in several records", 100),
    ("certificates over 16 KiB", 10),
    ("PROXY header", 20),
    ("hello in the SYN", 20),
    ("deferred accept", 50),
    ("hello completes the TCP handshake", 50),
    ("first packet of 1 to 5 bytes", 20),
    ("after a dialogue", 20),
    ("refused by the client", 20),
    ("refused by the server", 20),
    ("IPv6", 10),
];

#[derive(Default)]
struct Count {
    compared: usize,
    equal: usize,
    known: usize,
}

/// What differs in a field of a stack's connections, at one of their ends.
#[derive(Default)]
struct Difference {
    count: usize,
    /// Kinds of those handshakes; most are of several.
    kinds: BTreeMap<&'static str, usize>,
    examples: Vec<String>,
}

#[derive(Default)]
pub struct Report {
    handshakes: BTreeMap<&'static str, usize>,
    counts: BTreeMap<(&'static str, &'static str), Count>,
    kinds: BTreeMap<&'static str, usize>,
    differences: BTreeMap<(&'static str, String), Difference>,
    known: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Compares a connection with the events of its ends.
    pub fn add(&mut self, stack: &'static str, flow: &Flow, deferred: bool, ends: &[(&str, Option<Value>)]) {
        let kinds = kinds(flow, deferred);
        for (role, event) in ends {
            match event {
                Some(event) if flow.hello.is_some() => {
                    for field in fields(flow, event, role) {
                        self.take(stack, flow, role, &kinds, &field);
                    }
                }
                event => {
                    let ours = if event.is_some() { "a handshake" } else { "nothing" };
                    let tsharks = if flow.hello.is_some() { "a hello" } else { "nothing" };
                    let field = Field { name: "the handshake", ours: ours.to_owned(), tsharks: tsharks.to_owned() };
                    self.take(stack, flow, role, &kinds, &field);
                }
            }
        }
        if flow.hello.is_some() && ends.iter().all(|(_, event)| event.is_some()) {
            *self.handshakes.entry(stack).or_default() += 1;
            for kind in kinds {
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
    }

    /// An event of a connection of which there are no packets.
    pub fn unknown_connection(&mut self, stack: &'static str, what: &str) {
        let difference = self.differences.entry((stack, "the connection".to_owned())).or_default();
        difference.count += 1;
        difference.examples.push(what.to_owned());
    }

    fn take(&mut self, stack: &'static str, flow: &Flow, role: &str, kinds: &[&'static str], field: &Field) {
        let count = self.counts.entry((stack, field.name)).or_default();
        count.compared += 1;
        if !field.differs() {
            count.equal += 1;
            return;
        }
        if let Some(known) = KNOWN.iter().find(|known| known.field == field.name && (known.when)(flow, field)) {
            count.known += 1;
            *self.known.entry(known.reason).or_default() += 1;
            return;
        }
        let difference = self.differences.entry((stack, format!("{} of the {role}", field.name))).or_default();
        difference.count += 1;
        for kind in kinds {
            *difference.kinds.entry(kind).or_default() += 1;
        }
        if difference.examples.len() < EXAMPLES {
            let (ours, tsharks) = (shortened(&field.ours), shortened(&field.tsharks));
            difference.examples.push(format!(
                "{} -> {} {kinds:?}\n      ours:   {ours}\n      tshark: {tsharks}",
                flow.client, flow.server
            ));
        }
    }

    /// For those who read the test's output.
    #[allow(clippy::print_stderr, reason = "this is for the person who runs the tests")]
    pub fn print(&self) {
        eprintln!("{}", self.text());
    }

    fn text(&self) -> String {
        let mut text = format!("{:16} {:38} {:>8} {:>8} {:>6}\n", "stack", "field", "compared", "equal", "known");
        for ((stack, field), count) in &self.counts {
            text += &format!("{stack:16} {field:38} {:8} {:8} {:6}\n", count.compared, count.equal, count.known);
        }
        text += &format!("\nhandshakes: {} {:?}\n", self.handshakes.values().sum::<usize>(), self.handshakes);
        for (kind, count) in &self.kinds {
            text += &format!("  {kind:38} {count:8}\n");
        }
        for (reason, count) in &self.known {
            text += &format!("known of tshark, {count} times: {reason}\n");
        }
        for ((stack, field), difference) in &self.differences {
            text += &format!("{stack}: {field}: {} differ, {:?}\n", difference.count, difference.kinds);
            for example in &difference.examples {
                text += &format!("    {example}\n");
            }
        }
        text
    }

    /// Fails when something differed, or when there was too little to compare. `all`: nothing was missing here.
    pub fn check(&self, all: bool, least: usize, stacks: &[(&str, usize)]) {
        let mut bad = Vec::new();
        if !self.differences.is_empty() {
            bad.push(format!("{} kinds of differences", self.differences.len()));
        }
        for (stack, least) in stacks {
            let count = self.handshakes.get(stack).copied().unwrap_or_default();
            if count < *least {
                bad.push(format!("{count} handshakes of {stack}, not {least}"));
            }
        }
        if all {
            let count: usize = self.handshakes.values().sum();
            if count < least {
                bad.push(format!("{count} handshakes, not {least}"));
            }
            for (kind, least) in KINDS {
                let count = self.kinds.get(kind).copied().unwrap_or_default();
                if count < *least {
                    bad.push(format!("{count} of `{kind}`, not {least}"));
                }
            }
        }
        assert!(bad.is_empty(), "{bad:#?}\n{}", self.text());
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    if text.len() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain("…".chars()).collect() }
}

/// What kinds a handshake is of, as its packets tell.
fn kinds(flow: &Flow, deferred: bool) -> Vec<&'static str> {
    let version = flow.answer.as_ref().map(|answer| answer.version);
    let resumption = flow.resumption();
    let refused_by = flow.alert.filter(|alert| alert.fatal).map(|alert| alert.from_client);
    let over_16_kib = flow.server_certificates.iter().map(|certificate| certificate.der.len()).sum::<usize>() > 16384;
    let port = flow.server.port();
    let all = [
        (version == Some(0x0303), "TLS 1.2"),
        (version == Some(TLS_1_3), "TLS 1.3"),
        (resumption == Some("session_id"), "resumed by session id"),
        (resumption == Some("ticket"), "resumed by ticket"),
        (resumption == Some("psk"), "resumed by PSK"),
        (!flow.client_certificates.is_empty(), "client certificate"),
        (flow.retried, "retry"),
        (flow.fragmented, "message in several records"),
        (over_16_kib, "certificates over 16 KiB"),
        (flow.proxied, "PROXY header"),
        (flow.in_syn, "hello in the SYN"),
        (deferred, "deferred accept"),
        (!flow.bare_ack && !flow.in_syn, "hello completes the TCP handshake"),
        (flow.first_bytes < 6, "first packet of 1 to 5 bytes"),
        (port >= 21000, "after a dialogue"),
        (refused_by == Some(true), "refused by the client"),
        (refused_by == Some(false), "refused by the server"),
        (flow.server.is_ipv6(), "IPv6"),
    ];
    all.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect()
}
