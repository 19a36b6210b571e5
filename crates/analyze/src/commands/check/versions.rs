//! Versions of libraries, compared: numbers by their value, and letters after them as OpenSSL had them (`1.0.2k`).

use std::cmp::Ordering;

/// Whether a version comes before another one. What is before a release, `3.5.0-beta1`, comes before it.
pub(super) fn is_below(version: &str, other: &str) -> bool {
    compare(version, other) == Ordering::Less
}

fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one), parts(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            // A number or a letter more is later; a word after a hyphen is before.
            (Some(part), None) => return part.rank().cmp(&0),
            (None, Some(part)) => return 0.cmp(&part.rank()),
            (Some(one), Some(other)) if one == other => {}
            (Some(Part::Number(one)), Some(Part::Number(other))) => return one.cmp(&other),
            (Some(Part::Word(one)), Some(Part::Word(other))) => return one.cmp(other),
            (Some(one), Some(other)) => return one.rank().cmp(&other.rank()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Number(u64),
    Word(&'a str),
    Before(&'a str),
}

impl Part<'_> {
    fn rank(&self) -> i8 {
        match self {
            Self::Number(0) => 0,
            Self::Number(_) => 2,
            Self::Word(_) => 1,
            Self::Before(_) => -1,
        }
    }
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let (release, before) = match version.split_once('-') {
        Some((release, before)) => (release, Some(Part::Before(before))),
        None => (version, None),
    };
    let parts = release.split('.').flat_map(|part| {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let (number, word) = part.split_at(digits);
        let number = (!number.is_empty()).then(|| Part::Number(number.parse().unwrap_or(u64::MAX)));
        number.into_iter().chain((!word.is_empty()).then_some(Part::Word(word)))
    });
    parts.chain(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_their_projects_count() {
        let ascending = [
            "0.9.8",
            "1.0.1",
            "1.0.2",
            "1.0.2k",
            "1.0.2u",
            "1.1.0",
            "1.1.1w",
            "3.0.7",
            "3.0.17",
            "3.5.0-beta1",
            "3.5.0",
            "3.10",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(is_below(one, other), at < other_at, "{one} {other}");
            }
        }
        assert!(!is_below("3.5", "3.5.0") && !is_below("3.5.0", "3.5"));
    }
}
