//! Rules of the user's own, and waivers: a TOML file, checked as a whole before anything is judged by it.
//!
//! Whatever is wrong is said with file, line and column: what is not known, what contradicts itself, days that are none.

mod crypto_policies;
mod imported;
mod mozilla;

use super::rule::{Algorithms, Asked, Condition, Files, Level, Libraries, Source};
use super::scope::Scope;
use crate::capture::connections::Role;
use crate::count::wire::PROTOCOLS;
use crate::protocol::iana::CipherSuite;
use crate::rules::{Pack, Primitive, algorithm, algorithms};
use crate::select::Globs;
use anyhow::{Context, Result, anyhow};
use crypto_trace_format::catalog::FileType;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Bytes of a file of rules.
const MAX_BYTES: u64 = 1 << 20;

/// Rules of one file.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub name: String,
    pub dated: Option<Date>,
    pub extends: Vec<Pack>,
    pub rules: Vec<Asked>,
    pub waivers: Vec<Waiver>,
}

/// Uses that are known and accepted for a time.
#[derive(Debug, Clone)]
pub(super) struct Waiver {
    /// The id of a rule, or its beginning and a `*`.
    pub rule: String,
    pub scope: Scope,
    pub owner: String,
    pub reason: String,
    /// The first day that it holds no more.
    pub expires: Date,
}

impl Waiver {
    /// Whether it is about a rule.
    pub fn is_of(&self, id: &str) -> bool {
        match self.rule.strip_suffix('*') {
            Some(beginning) => id.starts_with(beginning),
            None => id == self.rule,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    name: Spanned<String>,
    dated: Option<Spanned<toml::Value>>,
    #[serde(default)]
    extends: Vec<Spanned<String>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RuleText>>,
    #[serde(default, rename = "waiver")]
    waivers: Vec<Spanned<WaiverText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: Spanned<String>,
    says: Spanned<String>,
    note: Option<String>,
    #[serde(default)]
    level: LevelText,
    #[serde(default)]
    scope: ScopeText,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(rename = "in")]
    places: Option<Vec<PlaceText>>,
    minimum: Option<MinimumText>,
    #[serde(default)]
    suites: Vec<Spanned<String>>,
    require: Option<RequireText>,
    files: Option<FilesText>,
    libraries: Option<LibrariesText>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LevelText {
    #[default]
    Fail,
    Warn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlaceText {
    Handshakes,
    Calls,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RequireText {
    PostQuantum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RoleText {
    Client,
    Server,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeText {
    protocol: Option<Vec<Spanned<String>>>,
    role: Option<RoleText>,
    program: Option<Vec<Spanned<String>>>,
    peer: Option<Vec<Spanned<String>>>,
    host: Option<Vec<Spanned<String>>>,
    container: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinimumText {
    rsa: Option<u32>,
    dsa: Option<u32>,
    ec: Option<u32>,
    dh: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesText {
    types: Vec<Spanned<String>>,
    paths: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    known: Vec<Spanned<String>>,
    #[serde(default)]
    readers: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LibrariesText {
    names: Vec<Spanned<String>>,
    below: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaiverText {
    rule: Spanned<String>,
    #[serde(default)]
    scope: ScopeText,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Spanned<toml::Value>,
}

/// What is wrong, and where: bytes of the file.
struct Wrong(std::ops::Range<usize>, String);

type Checked<T> = Result<T, Wrong>;

fn wrong<T>(at: &Spanned<impl Sized>, what: impl Into<String>) -> Checked<T> {
    Err(Wrong(at.span(), what.into()))
}

/// Reads and checks a file of rules: TOML of our own, guidelines of Mozilla's in JSON (`FILE.json#NAME` where it holds several
/// configurations), or a policy of crypto-policies (`.pol`).
///
/// # Errors
/// When it cannot be read, or something in it is wrong: `FILE:LINE:COLUMN: what`.
pub(super) fn read(given: &Path) -> Result<Policy> {
    let (path, chosen) = chosen(given);
    let path = path.as_path();
    let name = || crate::words::escape::for_people(path.as_os_str().as_encoded_bytes());
    let bytes = std::fs::metadata(path).with_context(name)?.len();
    if bytes > MAX_BYTES {
        return Err(anyhow!("{}: {bytes} bytes are too many for a rule file: at most {MAX_BYTES}", name()));
    }
    let text = std::fs::read_to_string(path).with_context(name)?;
    let parsed = match path.extension().and_then(OsStr::to_str) {
        Some("json") => mozilla::parse(&text, chosen.as_deref()),
        Some("pol" | "pmod") => crypto_policies::parse(&text, &path.file_stem().unwrap_or_default().to_string_lossy()),
        _ => parse(&text),
    };
    parsed.map_err(|Wrong(at, what)| {
        let (line, column) = place(&text, at.start);
        anyhow!("{}:{line}:{column}: {}", name(), crate::words::escape::for_people(what.as_bytes()))
    })
}

/// A file, and what of it is meant: `6.0.json#modern`.
fn chosen(given: &Path) -> (PathBuf, Option<String>) {
    let text = given.to_string_lossy();
    match text.rsplit_once(".json#") {
        Some((file, chosen)) if !given.exists() => (format!("{file}.json").into(), Some(chosen.to_owned())),
        _ => (given.to_owned(), None),
    }
}

/// Line and column of a byte, both from 1; a column is a character.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn parse(text: &str) -> Checked<Policy> {
    let policy: PolicyText = toml::from_str(text)
        .map_err(|error| Wrong(error.span().unwrap_or(0..0), error.message().trim().replace('\n', "; ")))?;
    let name = policy.name.get_ref();
    if name.is_empty() || name.contains('/') || Pack::ALL.iter().any(|pack| pack.name() == name) {
        return wrong(
            &policy.name,
            "the name of a rule file must not be empty, contain a slash, or be the name of a pack",
        );
    }
    let extends = policy.extends.iter().map(pack).collect::<Checked<Vec<Pack>>>()?;
    if policy.rules.is_empty() && extends.is_empty() {
        return wrong(&policy.name, "the file has no rules: give [[rule]] or `extends`");
    }
    let mut ids: HashSet<&str> = HashSet::new();
    for rule in &policy.rules {
        let id = &rule.get_ref().id;
        if id.get_ref().is_empty() || !ids.insert(id.get_ref()) {
            return wrong(id, format!("`{}` is not a unique id: it is empty, or another rule has it", id.get_ref()));
        }
    }
    let rules = policy.rules.iter().map(|one| rule(name, one)).collect::<Checked<Vec<Asked>>>()?;
    contradictions(&policy.rules, &rules)?;
    Ok(Policy {
        name: name.clone(),
        dated: policy.dated.as_ref().map(day).transpose()?,
        extends,
        rules,
        waivers: policy.waivers.iter().map(|one| waiver(one.get_ref())).collect::<Checked<Vec<Waiver>>>()?,
    })
}

fn pack(name: &Spanned<String>) -> Checked<Pack> {
    let names: Vec<&str> = Pack::ALL.iter().map(|pack| pack.name()).collect();
    match Pack::ALL.iter().find(|pack| pack.name() == name.get_ref()) {
        Some(pack) => Ok(*pack),
        None => wrong(name, format!("`{}` is not a pack; packs are {}", name.get_ref(), names.join(", "))),
    }
}

/// A day, as TOML writes it or in quotation marks.
fn day(value: &Spanned<toml::Value>) -> Checked<Date> {
    let text = match value.get_ref() {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(day) => day.to_string(),
        other => other.type_str().to_owned(),
    };
    text.parse().or_else(|_| wrong(value, format!("`{text}` is not a date: give one such as 2027-01-01")))
}

fn not_empty(text: &Spanned<String>) -> Checked<String> {
    if text.get_ref().trim().is_empty() { wrong(text, "must not be empty") } else { Ok(text.get_ref().clone()) }
}

fn globs(texts: &[Spanned<String>]) -> Checked<Globs> {
    for text in texts {
        not_empty(text)?;
        if let Err(error) = crate::select::Globs::new(std::slice::from_ref(text.get_ref())) {
            return wrong(text, error.to_string());
        }
    }
    let texts: Vec<String> = texts.iter().map(|text| text.get_ref().clone()).collect();
    Globs::new(&texts).map_err(|error| Wrong(0..0, error.to_string()))
}

fn scope(text: &ScopeText) -> Checked<Scope> {
    let names = |list: &Option<Vec<Spanned<String>>>| {
        list.as_ref().map(|list| list.iter().map(not_empty).collect::<Checked<Vec<String>>>()).transpose()
    };
    for protocol in text.protocol.iter().flatten() {
        if !PROTOCOLS.iter().any(|(name, _)| name == protocol.get_ref()) {
            let known: Vec<&str> = PROTOCOLS.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return wrong(protocol, format!("`{}` is not a recorded protocol: those are {known}", protocol.get_ref()));
        }
    }
    for list in [&text.protocol, &text.program, &text.peer, &text.host, &text.container].into_iter().flatten() {
        if list.is_empty() {
            return Err(Wrong(0..0, "an empty list matches nothing: leave the list out".to_owned()));
        }
    }
    Ok(Scope {
        protocols: names(&text.protocol)?,
        role: text.role.map(|role| match role {
            RoleText::Client => Role::Client,
            RoleText::Server => Role::Server,
        }),
        programs: text.program.as_deref().map(globs).transpose()?,
        peers: text.peer.as_deref().map(globs).transpose()?,
        hosts: text.host.as_deref().map(globs).transpose()?,
        containers: names(&text.container)?,
    })
}

fn waiver(text: &WaiverText) -> Checked<Waiver> {
    Ok(Waiver {
        rule: not_empty(&text.rule)?,
        scope: scope(&text.scope)?,
        owner: not_empty(&text.owner)?,
        reason: not_empty(&text.reason)?,
        expires: day(&text.expires)?,
    })
}

fn rule(name: &str, spanned: &Spanned<RuleText>) -> Checked<Asked> {
    let text = spanned.get_ref();
    let at = &text.id;
    let scope = scope(&text.scope)
        .map_err(|Wrong(range, what)| Wrong(if range == (0..0) { at.span() } else { range }, what))?;
    let lists = !text.deny.is_empty() || !text.allow.is_empty();
    let given = [
        lists,
        text.minimum.is_some(),
        !text.suites.is_empty(),
        text.require.is_some(),
        text.files.is_some(),
        text.libraries.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            return wrong(
                at,
                "the rule has no condition: give deny or allow, minimum, suites, require, files, or libraries",
            );
        }
        _ => {
            return wrong(
                at,
                "a rule has one condition: deny and allow, minimum, suites, require, files, or libraries; write several rules",
            );
        }
    }
    if text.places.is_some() && !lists {
        return wrong(at, "`in` goes with deny and allow only");
    }
    if scope.is_of_handshakes() && (text.files.is_some() || text.libraries.is_some()) {
        return wrong(
            at,
            "files and libraries are not part of a handshake: the scope cannot have protocol, role or peer",
        );
    }
    let condition = if let Some(minimum) = &text.minimum {
        Condition::Minimum(smallest(minimum, at)?)
    } else if !text.suites.is_empty() {
        Condition::Suites(text.suites.iter().map(suite).collect::<Checked<_>>()?)
    } else if let Some(RequireText::PostQuantum) = text.require {
        Condition::PostQuantum
    } else if let Some(files) = &text.files {
        Condition::Files(of_files(files, at)?)
    } else if let Some(libraries) = &text.libraries {
        Condition::Libraries(of_libraries(libraries, at)?)
    } else {
        Condition::Algorithms(of_algorithms(text, &scope)?)
    };
    Ok(Asked {
        id: format!("{name}/{}", at.get_ref()),
        level: match text.level {
            LevelText::Fail => Level::Fail,
            LevelText::Warn => Level::Warn,
        },
        words: not_empty(&text.says)?,
        note: text.note.clone(),
        from: None,
        source: Source {
            authority: None,
            document: name.to_owned(),
            title: None,
            revision: None,
            published: None,
            draft: false,
            section: None,
            url: None,
            applies_to: None,
        },
        scope,
        condition,
    })
}

/// A cipher suite by its name in IANA's registry.
fn suite(name: &Spanned<String>) -> Checked<CipherSuite> {
    match imported::suite(name.get_ref()) {
        Some(suite) => Ok(suite),
        None => wrong(name, format!("`{}` is no cipher suite of IANA's registry", name.get_ref())),
    }
}

fn smallest(text: &MinimumText, at: &Spanned<String>) -> Checked<BTreeMap<&'static str, u32>> {
    let sizes = [("RSA", text.rsa), ("DSA", text.dsa), ("EC", text.ec), ("DH", text.dh)];
    let sizes: BTreeMap<_, _> = sizes.into_iter().filter_map(|(kind, bits)| Some((kind, bits?))).collect();
    if sizes.is_empty() { wrong(at, "minimum names no size: give rsa, dsa, ec or dh, in bits") } else { Ok(sizes) }
}

fn of_files(text: &FilesText, at: &Spanned<String>) -> Checked<Files> {
    let file_type = |name: &Spanned<String>| match FileType::ALL.iter().find(|one| one.name() == name.get_ref()) {
        Some(file_type) => Ok(*file_type),
        None => {
            let names: Vec<&str> = FileType::ALL.iter().map(|one| one.name()).collect();
            wrong(name, format!("`{}` is not a file type; file types are {}", name.get_ref(), names.join(", ")))
        }
    };
    if text.types.is_empty() {
        return wrong(at, "files names no type: give types = [\"private_key\"]");
    }
    Ok(Files {
        types: text.types.iter().map(file_type).collect::<Checked<Vec<FileType>>>()?,
        paths: text.paths.as_deref().map(globs).transpose()?,
        known: globs(&text.known)?,
        readers: globs(&text.readers)?,
    })
}

fn of_libraries(text: &LibrariesText, at: &Spanned<String>) -> Checked<Libraries> {
    if text.names.is_empty() {
        return wrong(at, "libraries names none: give names = [\"OpenSSL\"] or globs of file names");
    }
    let below = text.below.as_ref().map(|below| {
        let is_version = below.get_ref().starts_with(|letter: char| letter.is_ascii_digit());
        if is_version { Ok(below.get_ref().clone()) } else { wrong(below, "not a version: give one such as 3.0.7") }
    });
    Ok(Libraries {
        names: text.names.iter().map(not_empty).collect::<Checked<Vec<String>>>()?,
        globs: globs(&text.names)?,
        below: below.transpose()?,
    })
}

fn of_algorithms(text: &RuleText, scope: &Scope) -> Checked<Algorithms> {
    let deny = names(&text.deny)?;
    let allow = names(&text.allow)?;
    if let Some((name, at)) = deny.iter().find(|(name, _)| allow.iter().any(|(other, _)| name == other)) {
        return Err(Wrong(at.clone(), format!("the rule contradicts itself: it allows and denies {name}")));
    }
    let places = text.places.as_deref().unwrap_or(&[PlaceText::Handshakes, PlaceText::Calls]);
    if places.is_empty() || scope.is_of_handshakes() && !places.contains(&PlaceText::Handshakes) {
        return wrong(
            &text.id,
            "the rule would judge nothing: calls are not part of a handshake, so the scope cannot have protocol, role \
             or peer",
        );
    }
    let deny: Vec<String> = deny.into_iter().map(|(name, _)| name).collect();
    let allow: Vec<String> = allow.into_iter().map(|(name, _)| name).collect();
    let is_protocol = |name: &String| algorithm(name).is_some_and(|row| row.primitive == Primitive::Protocol);
    let only_protocols = deny.iter().chain(&allow).all(is_protocol);
    if only_protocols && text.places.as_ref().is_some_and(|places| places.contains(&PlaceText::Calls)) {
        return wrong(&text.id, "calls have no protocol version: `in` cannot have calls");
    }
    Ok(Algorithms {
        deny,
        allow,
        in_handshakes: places.contains(&PlaceText::Handshakes),
        in_calls: places.contains(&PlaceText::Calls) && !scope.is_of_handshakes() && !only_protocols,
        ..Algorithms::default()
    })
}

/// Names of the catalog that are meant, each with where it stands. `*` stands for any text.
fn names(texts: &[Spanned<String>]) -> Checked<Vec<(String, std::ops::Range<usize>)>> {
    let mut found = Vec::new();
    for text in texts {
        let wanted = text.get_ref();
        let glob = globset::Glob::new(wanted).map(|glob| glob.compile_matcher());
        let is_meant = |name: &str| match &glob {
            Ok(glob) if wanted.contains('*') => glob.is_match(name),
            _ => name == wanted,
        };
        let before = found.len();
        let all = algorithms().iter().map(|row| &row.name);
        found.extend(all.filter(|name| is_meant(name)).map(|name| (name.clone(), text.span())));
        if found.len() == before {
            let lower = wanted.to_lowercase();
            let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &lower);
            let near = algorithms().iter().map(|row| &*row.name).min_by_key(|name| distance(name));
            let near = near.filter(|name| distance(name) <= 3).map(|name| format!(", did you mean {name}?"));
            let near = near.unwrap_or_default();
            return wrong(
                text,
                format!("`{wanted}` is not an algorithm of the catalog{near}; see `crypto-trace-analyze algorithms`"),
            );
        }
    }
    Ok(found)
}

/// Rules that cannot both be kept where both hold.
fn contradictions(texts: &[Spanned<RuleText>], rules: &[Asked]) -> Checked<()> {
    let all = || texts.iter().zip(rules);
    for (text, rule) in all() {
        let Condition::Algorithms(lists) = &rule.condition else { continue };
        for (other_text, other) in all() {
            if !is_same_scope(&text.get_ref().scope, &other_text.get_ref().scope) {
                continue;
            }
            let at = &text.get_ref().id;
            if let Condition::Algorithms(others) = &other.condition
                && (lists.in_handshakes && others.in_handshakes || lists.in_calls && others.in_calls)
                && let Some(name) = lists.allow.iter().find(|name| others.deny.contains(name))
            {
                return wrong(at, format!("the rule allows {name}, which {} denies in the same scope", other.id));
            }
            let exchanges = |name: &&String| {
                algorithm(name)
                    .is_some_and(|row| matches!(row.primitive, Primitive::KeyAgreement | Primitive::KeyTransport))
            };
            let quantum = |name: &String| {
                algorithm(name).is_some_and(|row| matches!(row.primitive, Primitive::Kem | Primitive::HybridKem))
            };
            if matches!(other.condition, Condition::PostQuantum)
                && lists.in_handshakes
                && lists.allow.iter().any(|name| exchanges(&name))
                && !lists.allow.iter().any(quantum)
            {
                return wrong(at, format!("the rule allows no post-quantum key exchange, which {} requires", other.id));
            }
        }
    }
    Ok(())
}

fn is_same_scope(one: &ScopeText, other: &ScopeText) -> bool {
    let same = |one: &Option<Vec<Spanned<String>>>, other: &Option<Vec<Spanned<String>>>| {
        let texts = |list: &Option<Vec<Spanned<String>>>| -> Option<Vec<String>> {
            list.as_ref().map(|list| list.iter().map(|text| text.get_ref().clone()).collect())
        };
        texts(one) == texts(other)
    };
    one.role == other.role
        && same(&one.protocol, &other.protocol)
        && same(&one.program, &other.program)
        && same(&one.peer, &other.peer)
        && same(&one.host, &other.host)
        && same(&one.container, &other.container)
}

#[cfg(test)]
mod tests;
