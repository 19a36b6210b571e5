//! The summary's part about TLS: what was agreed on, how much of it is post-quantum, what failed.
//!
//! A connection is counted once, also when both of its ends were seen.

use super::print::{TOP, others, section, tabulate};
use crate::escape;
use crate::handshakes::{Connection, Handshakes, Outcome, Role};
use crate::registry::{AlertDescription, CipherSuite, Group, Version};
use crate::text::{Align, Paint, Table, grouped};
use crate::tls::KeyExchange;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Distinct server names that are told apart.
const MAX_NAMES: usize = 100_000;

/// What two sides agreed on.
type Agreed = (Option<Version>, Option<CipherSuite>, Option<Group>);

/// Counts of connections.
#[derive(Debug, Default)]
pub struct TlsCounts {
    agreed: BTreeMap<Agreed, u64>,
    /// Fatal alerts, by description and whether the client sent them.
    alerts: BTreeMap<(AlertDescription, Role), u64>,
    names: BTreeMap<Box<[u8]>, u64>,
    unanswered: u64,
    /// Of those with a group: post-quantum, and all.
    post_quantum: (u64, u64),
    /// Names that were not told apart any more.
    more_names: u64,
}

impl TlsCounts {
    /// Counts a connection, unless it is the server's end of one whose client was seen too.
    pub fn add(&mut self, connection: &Connection, all: &Handshakes) {
        let view = connection.view();
        if view.role == Some(Role::Server) && all.peer(connection).is_some() {
            return;
        }
        match (view.outcome, view.alert) {
            (Outcome::None, _) => self.unanswered += 1,
            (_, Some((alert, role))) => *self.alerts.entry((alert.description, role)).or_default() += 1,
            _ => {}
        }
        if let Some(agreed) = &view.negotiated {
            let group = match agreed.key_exchange {
                Some(KeyExchange::Group(group)) => Some(group),
                _ => None,
            };
            if let Some(group) = group {
                self.post_quantum.0 += u64::from(group.is_post_quantum());
                self.post_quantum.1 += 1;
            }
            *self.agreed.entry((agreed.version, agreed.cipher_suite, group)).or_default() += 1;
        }
        let hello = view.client.as_ref().and_then(|client| client.last_client_hello());
        if let Some(name) = hello.and_then(|hello| hello.server_name.as_deref()) {
            self.add_name(name, 1);
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Self) {
        other.agreed.into_iter().for_each(|(key, count)| *self.agreed.entry(key).or_default() += count);
        other.alerts.into_iter().for_each(|(key, count)| *self.alerts.entry(key).or_default() += count);
        other.names.iter().for_each(|(name, count)| self.add_name(name, *count));
        self.unanswered += other.unanswered;
        self.post_quantum.0 += other.post_quantum.0;
        self.post_quantum.1 += other.post_quantum.1;
        self.more_names += other.more_names;
    }

    fn add_name(&mut self, name: &[u8], count: u64) {
        if let Some(known) = self.names.get_mut(name) {
            *known += count;
        } else if self.names.len() < MAX_NAMES {
            self.names.insert(name.into(), count);
        } else {
            self.more_names += count;
        }
    }

    /// Appends the section; nothing when there were no handshakes.
    pub(super) fn print(&self, paint: Paint, out: &mut String) {
        if self.agreed.is_empty() && self.alerts.is_empty() && self.unanswered == 0 {
            return;
        }
        let mut rows: Vec<_> = self.agreed.iter().collect();
        rows.sort_by_key(|(agreed, count)| (std::cmp::Reverse(**count), **agreed));
        let mut table = Table::new(&[
            ("connections", Align::Right),
            ("version", Align::Left),
            ("suite", Align::Left),
            ("group", Align::Left),
        ]);
        for ((version, suite, group), count) in rows.iter().take(TOP) {
            table.row(vec![
                grouped(**count),
                version.map_or_else(unknown, |version| version.to_string()),
                suite.map_or_else(unknown, |suite| suite.to_string()),
                group.map_or_else(String::new, |group| group.to_string()),
            ]);
        }
        if table.is_empty() {
            section("TLS connections", paint, out);
        } else {
            tabulate("TLS connections", &table, paint, out);
            others(rows.len(), out);
        }
        self.print_shares(out);
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let mut table = Table::new(&[("connections", Align::Right), ("server name", Align::Left)]);
        for (name, count) in names.iter().take(TOP) {
            table.row(vec![grouped(**count), escape::for_people(name)]);
        }
        tabulate("Server names", &table, paint, out);
        others(names.len(), out);
        if self.more_names > 0 {
            let _ = writeln!(out, "  and {} connections to more names than were told apart", grouped(self.more_names));
        }
    }

    fn print_shares(&self, out: &mut String) {
        let (post_quantum, all) = self.post_quantum;
        if let Some(percent) = (100 * post_quantum).checked_div(all) {
            let _ = writeln!(
                out,
                "  post-quantum key exchange: {} of {} ({percent} %)",
                grouped(post_quantum),
                grouped(all)
            );
        }
        for ((alert, role), count) in &self.alerts {
            let _ = writeln!(out, "  ended by the {}'s alert {alert}: {}", role.name(), grouped(*count));
        }
        if self.unanswered > 0 {
            let _ = writeln!(out, "  without an answer: {}", grouped(self.unanswered));
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
