//! Rules that leave differences out: `CATEGORY[.ATTRIBUTE][:GLOB]`.
//!
//! What is wrong with one is said with its column, and with the line of its file.

use super::compare::Difference;
use super::inventory::Category;
use crate::select::Globs;
use anyhow::{Context, Result, bail};
use globset::{GlobBuilder, GlobMatcher};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of a file of rules.
const MAX_BYTES: u64 = 1 << 20;

/// Attributes that things have.
const ATTRIBUTES: [&str; 21] = [
    "build_id",
    "issuer",
    "key",
    "key_exchange",
    "libraries",
    "mode",
    "opens",
    "product",
    "programs",
    "readers",
    "seen_in",
    "sha256",
    "shown_by",
    "signed_with",
    "soname_version",
    "tls_as",
    "tls_versions",
    "type",
    "valid_to",
    "version",
    "writers",
];

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    All,
    Files,
    Shares,
    One(Category),
}

impl About {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::All),
            "file" => Some(Self::Files),
            "share" => Some(Self::Shares),
            _ => Category::ALL.into_iter().find(|category| category.name() == text).map(Self::One),
        }
    }

    fn holds(self, category: Category) -> bool {
        match self {
            Self::All => true,
            Self::Files => category.is_file(),
            Self::Shares => false,
            Self::One(one) => one == category,
        }
    }

    fn names() -> impl Iterator<Item = &'static str> {
        Category::ALL.into_iter().map(Category::name).chain(["file", "share", "*"])
    }
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub text: String,
    about: About,
    attribute: Option<&'static str>,
    /// Of paths, as of `--file`.
    paths: Option<Globs>,
    /// Of other names: the whole of it, a `*` crosses slashes.
    names: Option<GlobMatcher>,
}

/// One rule, of an option.
pub(super) fn parse(text: &str) -> Result<Rule, String> {
    parsed(text).map_err(|(column, what)| format!("column {column}: {what}"))
}

/// The name that someone who wrote `text` may have meant.
fn nearest(text: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(name, text);
    names.filter(|name| distance(name) <= 2).min_by_key(distance)
}

/// What is wrong has a column, from 1 on.
fn parsed(text: &str) -> Result<Rule, (usize, String)> {
    let (what, glob) = text.split_once(':').map_or((text, None), |(what, glob)| (what, Some(glob)));
    let (category, attribute) = what.split_once('.').map_or((what, None), |(what, name)| (what, Some(name)));
    let near = |name: Option<&str>| name.map_or_else(String::new, |name| format!(", did you mean {name}?"));
    let about = About::parse(category).ok_or_else(|| {
        let known = About::names().collect::<Vec<_>>().join(", ");
        let near = near(nearest(category, About::names()));
        (1, format!("there is no category `{category}`{near}; there are {known}"))
    })?;
    let after = |text: &str| text.chars().count() + 2;
    let attribute = match attribute {
        None => None,
        Some(name) => {
            let known = || ATTRIBUTES.into_iter();
            let found = known().find(|known| *known == name);
            Some(found.ok_or_else(|| {
                let near = near(nearest(name, known()));
                let known = known().collect::<Vec<_>>().join(", ");
                (after(category), format!("there is no attribute `{name}`{near}; there are {known}"))
            })?)
        }
    };
    if about == About::Shares && attribute.is_some() {
        return Err((after(category), "shares have no attributes".to_owned()));
    }
    let bad = |error: globset::Error| (after(what), error.to_string());
    let (paths, names) = match glob {
        None => (None, None),
        Some("") => return Err((after(what), "a glob is missing after the colon".to_owned())),
        Some(glob) => {
            let names = GlobBuilder::new(glob).literal_separator(false).empty_alternates(true).build();
            (Some(Globs::new(&[glob.to_owned()]).map_err(bad)?), Some(names.map_err(bad)?.compile_matcher()))
        }
    };
    Ok(Rule { text: text.to_owned(), about, attribute, paths, names })
}

/// Rules of a file: one a line; empty lines and comments say nothing.
///
/// # Errors
/// When it cannot be read, or one of them is none; with its line and column.
pub(super) fn read(path: &Path) -> Result<Vec<Rule>> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("{shown}: cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("{shown}: cannot be read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{shown}: more than 1 MiB: not a file of rules");
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            bail!("{shown}:{line}: not text in UTF-8");
        }
    };
    let mut rules = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let rule = line.trim();
        if rule.is_empty() || rule.starts_with('#') {
            continue;
        }
        let indent = line.chars().take_while(|letter| letter.is_whitespace()).count();
        match parsed(rule) {
            Ok(rule) => rules.push(rule),
            Err((column, what)) => bail!("{shown}:{}:{}: {what}", number + 1, column + indent),
        }
    }
    Ok(rules)
}

/// All rules, and how often each held.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<(Rule, Cell<u64>)>,
}

impl Ignore {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, Cell::new(0))).collect() }
    }

    fn any(&self, holds: impl Fn(&Rule) -> bool) -> bool {
        let Some((_, count)) = self.rules.iter().find(|(rule, _)| holds(rule)) else { return false };
        count.set(count.get() + 1);
        true
    }

    /// Whether a whole difference is left out.
    pub fn is_thing(&self, one: &Difference<'_>) -> bool {
        self.any(|rule| rule.attribute.is_none() && rule.is_of(one))
    }

    /// Whether what differs of an attribute is left out.
    pub fn is_attribute(&self, one: &Difference<'_>, attribute: &str) -> bool {
        self.any(|rule| rule.attribute == Some(attribute) && rule.is_of(one))
    }

    /// Whether a share is left out.
    pub fn is_share(&self, name: &str) -> bool {
        self.any(|rule| {
            let glob = rule.names.as_ref().is_none_or(|glob| glob.is_match(name));
            rule.about == About::Shares && glob
        })
    }

    /// Each rule, and how much it left out.
    pub fn used(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|(rule, count)| (rule.text.as_str(), count.get()))
    }
}

impl Rule {
    fn is_of(&self, one: &Difference<'_>) -> bool {
        if !self.about.holds(one.category) {
            return false;
        }
        let Some((paths, names)) = self.paths.as_ref().zip(self.names.as_ref()) else { return true };
        let seen_as = [one.old, one.new].into_iter().flatten().flat_map(|item| &item.seen_as);
        std::iter::once(one.name).chain(seen_as).any(|name| match one.category.has_paths() {
            true => paths.matches(name),
            false => names.is_match(OsStr::from_bytes(name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_rule_is_said_with_its_column() {
        for (text, expected) in [
            ("libary", "column 1: there is no category `libary`, did you mean library?"),
            ("", "column 1: there is no category ``"),
            ("file.reader:x", "column 6: there is no attribute `reader`, did you mean readers?"),
            ("file:", "column 6: a glob is missing"),
            ("file.readers:a{", "column 14: "),
            ("share.type", "column 7: shares have no attributes"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
        for text in ["library", "file:/tmp/**", "certificate.sha256", "*:*.example.org", "share", "peer:10.0.0.1:443"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_file_of_rules_is_read_line_by_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("rules");
        std::fs::write(&path, "# why\n\n  library\nfile:/tmp/**\n").expect("written");
        assert_eq!(read(&path).expect("valid").len(), 2);
        std::fs::write(&path, "library\n\t libary\n").expect("written");
        let error = read(&path).expect_err("wrong").to_string();
        assert!(error.contains("rules:2:3: there is no category `libary`"), "{error}");
        std::fs::write(&path, b"library\n\xff\n").expect("written");
        assert!(read(&path).expect_err("wrong").to_string().ends_with("rules:2: not text in UTF-8"));
    }
}
