//! What one side used, in a form that can be compared: things by category and name, each with its attributes.
//!
//! What differs from run to run is not in it: processes, users, containers, counts (but to be shown), times, and what
//! [`super::names`] takes out of names.

use crate::budget::{Budget, first_sorted, heap, sorted};
use crate::count::handshakes::AlgorithmRow;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that the things of one side may take.
const MAX_BYTES: usize = 64 << 20;

/// Names as they were seen that are kept of a thing whose name was made the same.
const MAX_SEEN_AS: usize = 3;

/// Bytes of the host.
pub(super) type Text = Box<[u8]>;

/// What things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Category {
    Program,
    KeyFile,
    CertificateFile,
    OtherFile,
    Certificate,
    Library,
    TlsVersion,
    CipherSuite,
    Group,
    SignatureScheme,
    ServerName,
    Peer,
    Algorithm,
    Failure,
    Finding,
}

impl Category {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 15] = [
        Self::Program,
        Self::KeyFile,
        Self::CertificateFile,
        Self::OtherFile,
        Self::Certificate,
        Self::Library,
        Self::TlsVersion,
        Self::CipherSuite,
        Self::Group,
        Self::SignatureScheme,
        Self::ServerName,
        Self::Peer,
        Self::Algorithm,
        Self::Failure,
        Self::Finding,
    ];

    /// In output, and in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::KeyFile => "key_file",
            Self::CertificateFile => "certificate_file",
            Self::OtherFile => "other_file",
            Self::Certificate => "certificate",
            Self::Library => "library",
            Self::TlsVersion => "tls_version",
            Self::CipherSuite => "cipher_suite",
            Self::Group => "group",
            Self::SignatureScheme => "signature_scheme",
            Self::ServerName => "server_name",
            Self::Peer => "peer",
            Self::Algorithm => "algorithm",
            Self::Failure => "failure",
            Self::Finding => "finding",
        }
    }

    /// Whether it is about files.
    pub fn is_file(self) -> bool {
        matches!(self, Self::KeyFile | Self::CertificateFile | Self::OtherFile)
    }

    /// Whether its names are paths.
    pub fn has_paths(self) -> bool {
        self.is_file() || matches!(self, Self::Program | Self::Library)
    }
}

/// Where something is seen: a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Areas(u8);

impl Areas {
    pub const HANDSHAKES: Self = Self(1);
    pub const CALLS: Self = Self(2);
    pub const FILES: Self = Self(4);
    pub const LIBRARIES: Self = Self(8);
    /// Of handshakes what `--privacy` takes out.
    pub const NAMES: Self = Self(17);
    /// Of handshakes what TLS 1.3 encrypts: certificates, and signatures with their keys.
    pub const PROOFS: Self = Self(33);

    /// These and others.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of these are among them.
    pub fn hold(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// What is known of one attribute.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// Where it is seen.
    pub areas: Areas,
    pub values: BTreeSet<Text>,
    /// One value is known of it, or nothing: that there is none says that it is not known.
    pub is_fact: bool,
    /// There are more.
    pub is_cut: bool,
    /// It is shown of what only one side has, and not compared.
    pub is_remark: bool,
}

/// A thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// Where it was seen.
    pub areas: Areas,
    /// Handshakes, calls, opens or loads.
    pub count: u64,
    /// What it was called, where its name was made the same.
    pub seen_as: BTreeSet<Text>,
    pub attributes: BTreeMap<&'static str, Values>,
}

/// A name, and where what has it was seen.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub category: Category,
    pub name: Text,
    /// What it is called, where that is not its name.
    pub seen_as: Option<Text>,
    pub areas: Areas,
}

impl Named {
    pub fn new(category: Category, name: impl Into<Text>, areas: Areas) -> Self {
        Self { category, name: name.into(), seen_as: None, areas }
    }
}

/// A part of all of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub part: u64,
    pub all: u64,
}

/// Everything that one side used.
#[derive(Debug)]
pub(super) struct Inventory {
    pub items: BTreeMap<(Category, Text), Item>,
    pub shares: BTreeMap<&'static str, Share>,
    /// By name: what rules are asked about when the day is known.
    pub algorithms: BTreeMap<String, AlgorithmRow>,
    /// Handshakes whose proofs are encrypted.
    pub hidden: u64,
    budget: Budget,
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            shares: BTreeMap::new(),
            algorithms: BTreeMap::new(),
            hidden: 0,
            budget: Budget::new(MAX_BYTES),
        }
    }
}

/// A thing that more can be said of.
pub(super) struct Entry<'a> {
    item: Option<&'a mut Item>,
    budget: &'a mut Budget,
}

impl Inventory {
    /// The thing of this name, which was seen so often more.
    pub fn entry(&mut self, named: Named, count: u64) -> Entry<'_> {
        let Self { items, budget, .. } = self;
        let Named { category, name, seen_as, areas } = named;
        let bytes = sorted::<((Category, Text), Item)>() + heap(name.len()) + first_sorted::<(&str, Values)>();
        let key = (category, name);
        if !items.contains_key(&key) && !budget.take(bytes) {
            return Entry { item: None, budget };
        }
        let item = items.entry(key).or_default();
        item.areas = item.areas.and(areas);
        item.count = item.count.saturating_add(count);
        if let Some(seen_as) = seen_as
            && item.seen_as.len() < MAX_SEEN_AS
            && !item.seen_as.contains(&seen_as)
            && budget.take(sorted::<Text>() + heap(seen_as.len()))
        {
            item.seen_as.insert(seen_as);
        }
        Entry { item: Some(item), budget }
    }

    /// There was no room for all.
    pub fn is_cut(&self) -> bool {
        self.budget.refused() > 0
    }
}

impl Entry<'_> {
    /// One of its values: a user, a version that is spoken.
    pub fn is(self, attribute: &'static str, areas: Areas, value: impl Into<Text>) -> Self {
        self.add(attribute, (areas, false), Some(value.into()))
    }

    /// What it has one of. None: it is not known.
    pub fn fact(self, attribute: &'static str, areas: Areas, value: Option<impl Into<Text>>) -> Self {
        self.add(attribute, (areas, true), value.map(Into::into).filter(|value| !value.is_empty()))
    }

    /// What is shown of it where only one side has it, and not compared.
    pub fn remark<V: Into<Text>>(self, attribute: &'static str, values: impl Iterator<Item = V>) -> Self {
        let mut entry = self.all(attribute, Areas::default(), values);
        if let Some(values) = entry.item.as_mut().and_then(|item| item.attributes.get_mut(attribute)) {
            values.is_remark = true;
        }
        entry
    }

    /// All of these are its.
    pub fn all<V: Into<Text>>(self, attribute: &'static str, areas: Areas, values: impl Iterator<Item = V>) -> Self {
        values.fold(self, |entry, value| entry.is(attribute, areas, value))
    }

    /// Of an attribute there may be more values.
    pub fn cut_if(self, is_cut: bool, attribute: &'static str) -> Self {
        let Self { mut item, budget } = self;
        if is_cut && let Some(values) = item.as_mut().and_then(|item| item.attributes.get_mut(attribute)) {
            values.is_cut = true;
        }
        Self { item, budget }
    }

    fn add(self, attribute: &'static str, (areas, is_fact): (Areas, bool), value: Option<Text>) -> Self {
        let Self { mut item, budget } = self;
        if let Some(item) = &mut item {
            let values = item.attributes.entry(attribute).or_default();
            (values.areas, values.is_fact) = (values.areas.and(areas), is_fact);
            if let Some(value) = value.filter(|value| !values.values.contains(value)) {
                let bytes = heap(value.len())
                    + if values.values.is_empty() { first_sorted::<Text>() } else { sorted::<Text>() };
                match budget.take(bytes) {
                    true => drop(values.values.insert(value)),
                    false => values.is_cut = true,
                }
            }
        }
        Self { item, budget }
    }
}
