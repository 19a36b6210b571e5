//! `data/stacks.toml`: which stack was measured to say what first, and on which day.
//!
//! `scripts/measure-stacks` writes it. A row is a shape, with all that were measured to have it.

use super::names::{Measured, Naming, Shapes, names};
use super::{SshShape, TlsShape};
use serde::Deserialize;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::OnceLock;

/// The file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct File {
    #[serde(flatten)]
    pub(super) naming: Naming,
    pub(super) tls: Vec<Row<TlsShape>>,
    pub(super) ssh: Vec<Row<SshShape>>,
}

/// A shape, and who has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row<T> {
    pub(super) seen: Vec<Measured>,
    pub(super) shape: T,
}

/// What shapes look like.
#[derive(Debug, Default)]
pub(super) struct Table {
    tls: HashMap<TlsShape, Vec<String>>,
    ssh: HashMap<SshShape, Vec<String>>,
    /// Which orders shapes leave open: of extensions, of parameters.
    orders: Vec<(bool, bool)>,
}

/// The table that is part of the program.
pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(file()))
}

pub(super) fn file() -> File {
    // It is part of the program: a test reads it, so that this cannot fail for a user.
    toml::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/stacks.toml"))).unwrap_or_default()
}

impl Table {
    pub(super) fn new(file: File) -> Self {
        let mut orders: Vec<(bool, bool)> =
            file.tls.iter().map(|row| (row.shape.shuffled, row.shape.parameters_shuffled)).collect();
        orders.sort_unstable();
        orders.dedup();
        let tls = by_shape(file.tls, &file.naming, |shape| shape.transport.clone());
        let ssh = by_shape(file.ssh, &file.naming, |shape| shape.side.clone());
        Self { tls, ssh, orders }
    }

    pub(super) fn of_tls(&self, shape: &TlsShape) -> &[String] {
        let look_up = |(extensions, parameters): &(bool, bool)| self.tls.get(&shape.sorted(*extensions, *parameters));
        self.orders.iter().find_map(look_up).map_or(&[], Vec::as_slice)
    }

    pub(super) fn of_ssh(&self, shape: &SshShape) -> &[String] {
        self.ssh.get(shape).map_or(&[], Vec::as_slice)
    }
}

/// The names of each shape. Versions are those of one kind: what a stack says over TCP tells nothing of what it says over UDP.
fn by_shape<T: Hash + Eq>(rows: Vec<Row<T>>, naming: &Naming, kind: impl Fn(&T) -> String) -> HashMap<T, Vec<String>> {
    let mut shapes = Shapes::default();
    for (number, row) in rows.iter().enumerate() {
        row.seen.iter().for_each(|measured| shapes.add(&kind(&row.shape), measured, number));
    }
    let named = |(number, row): (usize, Row<T>)| {
        let names = names(&shapes, &kind(&row.shape), number, naming);
        (row.shape, names)
    };
    rows.into_iter().enumerate().map(named).collect()
}

#[cfg(test)]
mod tests;
