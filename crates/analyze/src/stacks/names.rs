//! How versions that were measured become the names of events: `Go 1.24 to 1.27`.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// One measurement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// What was measured, and how it was set up where that matters: `rustls with ring`.
    pub(super) stack: String,
    /// Its version, as it says itself.
    pub(super) version: String,
    /// What sent the hello.
    #[cfg_attr(not(test), allow(dead_code, reason = "for those who read the table, and for its tests"))]
    pub(super) by: String,
    /// The day.
    #[cfg_attr(not(test), allow(dead_code, reason = "the same"))]
    pub(super) on: String,
}

/// What else names are made of.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Naming {
    /// How many numbers of its version name a release line of a stack: 2 of `Go 1.27.3`, which is of Go 1.27.
    pub(super) lines: BTreeMap<String, usize>,
    /// Builds and uses of a stack, and of which. Their versions are those of the stack.
    pub(super) variants: BTreeMap<String, Vec<String>>,
}

/// Numbers of a version: those of `9.2p1` are 9, 2 and 1.
type Version = Vec<u64>;

/// All shapes of one kind of each stack, by version.
#[derive(Debug, Default)]
pub(super) struct Shapes(BTreeMap<(String, String), Releases>);

/// Releases of a stack in their order, each with the numbers of its shapes.
type Releases = BTreeMap<(Version, String), BTreeSet<usize>>;

impl Shapes {
    pub(super) fn add(&mut self, kind: &str, measured: &Measured, shape: usize) {
        let versions = self.0.entry((kind.to_owned(), measured.stack.clone())).or_default();
        let version = (numbers(&measured.version), measured.version.clone());
        versions.entry(version).or_default().insert(shape);
    }
}

pub(super) fn numbers(version: &str) -> Version {
    version.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// The first numbers of a version, so many, with what is between them: of `1.27.3` and 2 that is `1.27`.
fn line(version: &str, numbers: usize) -> &str {
    let mut seen = 0;
    let mut before = false;
    for (at, letter) in version.char_indices() {
        let is = letter.is_ascii_digit();
        if before && !is {
            seen += 1;
            if seen == numbers {
                return version.get(..at).unwrap_or(version);
            }
        }
        before = is;
    }
    version
}

/// The stacks that have a shape, each with its versions. Versions that were measured one after the other are one range: what lies
/// between two of them was not measured, and is taken to be as they are. A range ends where another shape was measured. A variant
/// is left out where what it is a variant of has the shape in the same release lines.
pub(super) fn names(shapes: &Shapes, kind: &str, shape: usize, naming: &Naming) -> Vec<String> {
    let lines_of = |stack: &str| -> BTreeSet<&str> {
        let versions = shapes.0.get(&(kind.to_owned(), stack.to_owned()));
        let versions = versions.into_iter().flatten().filter(|(_, found)| found.contains(&shape));
        versions.map(|((_, version), _)| line(version, naming.lines.get(stack).copied().unwrap_or(2))).collect()
    };
    let mut names: Vec<(&str, String)> = Vec::new();
    for ((of, stack), versions) in &shapes.0 {
        if of != kind {
            continue;
        }
        let length = naming.lines.get(stack).copied().unwrap_or(2);
        let mut parts: Vec<String> = Vec::new();
        let mut run: Option<(&str, &str)> = None;
        for ((_, version), found) in versions {
            if !found.contains(&shape) {
                parts.extend(run.take().map(range));
                continue;
            }
            // The whole line, unless a version of it was measured that has another shape.
            let of_line = line(version, length);
            let is_whole =
                versions.iter().all(|((_, other), found)| line(other, length) != of_line || found.contains(&shape));
            let shown = if is_whole { of_line } else { version.as_str() };
            run = Some((run.map_or(shown, |(first, _)| first), shown));
        }
        parts.extend(run.map(range));
        if !parts.is_empty() {
            names.push((stack, format!("{stack} {}", parts.join(", "))));
        }
    }
    let is_told = |stack: &str| {
        let of = naming.variants.get(stack).map(Vec::as_slice).unwrap_or_default();
        !of.is_empty() && lines_of(stack).iter().all(|line| of.iter().any(|of| lines_of(of).contains(line)))
    };
    names.into_iter().filter(|(stack, _)| !is_told(stack)).map(|(_, name)| name).collect()
}

fn range((first, last): (&str, &str)) -> String {
    if first == last { first.to_owned() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(shapes: &mut Shapes, stack: &str, version: &str, shape: usize) {
        let of = Measured { stack: stack.into(), version: version.into(), by: String::new(), on: String::new() };
        shapes.add("tcp", &of, shape);
    }

    fn named(measured: &[(&str, usize)], shape: usize) -> Vec<String> {
        let mut shapes = Shapes::default();
        measured.iter().for_each(|(version, number)| add(&mut shapes, "Go", version, *number));
        names(&shapes, "tcp", shape, &Naming::default())
    }

    #[test]
    fn a_variant_is_named_where_its_stack_does_not_look_the_same() {
        let mut shapes = Shapes::default();
        add(&mut shapes, "OpenSSL", "3.0.8", 0);
        add(&mut shapes, "OpenSSL of Debian", "3.0.19", 0);
        add(&mut shapes, "OpenSSL of Debian", "3.5.9", 1);
        add(&mut shapes, "OpenSSL", "3.2.2", 2);
        add(&mut shapes, "OpenSSL of Debian", "3.1.4", 2);
        let variants = BTreeMap::from([("OpenSSL of Debian".into(), vec!["OpenSSL".into()])]);
        let naming = Naming { variants, ..Naming::default() };
        assert_eq!(names(&shapes, "tcp", 0, &naming), ["OpenSSL 3.0"]);
        assert_eq!(names(&shapes, "tcp", 1, &naming), ["OpenSSL of Debian 3.5"]);
        // Of another release it says something.
        assert_eq!(names(&shapes, "tcp", 2, &naming), ["OpenSSL 3.2", "OpenSSL of Debian 3.1"]);
        assert_eq!(names(&shapes, "quic", 1, &naming), [""; 0]);
    }

    #[test]
    fn neighbours_with_one_shape_are_a_range() {
        let measured = [("1.9.1", 0), ("1.10.4", 0), ("1.11.2", 0), ("1.12.0", 1)];
        assert_eq!(named(&measured, 0), ["Go 1.9 to 1.11"]);
        assert_eq!(named(&measured, 1), ["Go 1.12"]);
        assert_eq!(named(&measured, 2), [""; 0]);
    }

    #[test]
    fn a_range_does_not_go_over_a_version_that_was_measured_to_be_another() {
        assert_eq!(named(&[("1.1.0", 0), ("1.2.0", 1), ("1.3.0", 0)], 0), ["Go 1.1, 1.3"]);
    }

    #[test]
    fn a_line_of_which_one_release_is_another_is_not_named_as_a_whole() {
        let measured = [("1.1.0", 0), ("1.2.0", 0), ("1.2.7", 1), ("1.3.1", 1)];
        assert_eq!(named(&measured, 0), ["Go 1.1 to 1.2.0"]);
        assert_eq!(named(&measured, 1), ["Go 1.2.7 to 1.3"]);
    }

    #[test]
    fn one_that_varies_is_named_with_each_of_its_shapes() {
        assert_eq!(named(&[("1.1.0", 0), ("1.1.0", 1)], 0), ["Go 1.1"]);
    }

    #[test]
    fn lines_are_the_first_numbers_of_a_version() {
        assert_eq!(line("9.2p1", 2), "9.2");
        assert_eq!(line("1.1.1w", 3), "1.1.1");
        assert_eq!(line("17.0.15+6", 1), "17");
        assert_eq!(line("153", 2), "153");
        assert_eq!(numbers("9.2p1"), [9, 2, 1]);
    }
}
