//! Which part of a user's file glob the kernel can decide.
//!
//! The BPF programs know whole file names, suffixes and path prefixes. A glob is turned into the narrowest of these that
//! still lets everything through that the glob matches; user space then applies the glob itself. Nothing here matches paths.

use crate::numbers::{NAME_MAX, PREFIX_MAX, SUFFIX_MAX};

/// What the kernel asks of the last path component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameRule {
    /// It is this name.
    Exact(String),
    /// It ends so: a dot and no other dot, lower case.
    Suffix(String),
    /// Nothing: any name passes.
    Any,
}

/// One glob, as far as the kernel can decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRule {
    /// What the last component must be.
    pub name: NameRule,
    /// What the absolute path must begin with.
    pub prefix: Option<String>,
}

impl std::fmt::Display for KernelRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            NameRule::Exact(name) => write!(f, "the name is {name}")?,
            NameRule::Suffix(suffix) => write!(f, "the name ends in {suffix}")?,
            NameRule::Any => write!(f, "any name")?,
        }
        self.prefix.as_ref().map_or(Ok(()), |prefix| write!(f, " below {prefix}"))
    }
}

/// Kernel rules for one glob; several when it has `{a,b}` alternatives. A path that matches the glob passes at least one.
pub fn kernel_rules(glob: &str) -> Vec<KernelRule> {
    expand_braces(glob).iter().map(|glob| rule(glob)).collect()
}

fn is_special(c: char) -> bool {
    matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!')
}

fn rule(glob: &str) -> KernelRule {
    let (directory, last) = match glob.rsplit_once('/') {
        Some((directory, last)) => (Some(directory), last),
        None => (None, glob),
    };
    // A class may contain a slash, and `**` as the last component stands for whole trees.
    let unsafe_split = glob.contains('[') || glob.contains('{') || glob.contains('\\');
    let name = if unsafe_split || last.contains("**") { NameRule::Any } else { name_rule(last) };
    KernelRule { name, prefix: directory.and_then(|_| prefix(glob)) }
}

fn name_rule(last: &str) -> NameRule {
    if !last.contains(is_special) {
        return if last.len() <= NAME_MAX && last.len() >= 2 {
            NameRule::Exact(last.to_owned())
        } else {
            NameRule::Any
        };
    }
    let Some(dot) = last.rfind('.') else { return NameRule::Any };
    let suffix = last.get(dot..).unwrap_or_default();
    let simple = (2..=SUFFIX_MAX).contains(&suffix.len()) && suffix.is_ascii() && !suffix.contains(is_special);
    if simple { NameRule::Suffix(suffix.to_ascii_lowercase()) } else { NameRule::Any }
}

/// The literal beginning of an absolute glob, up to and including its last slash before anything special.
fn prefix(glob: &str) -> Option<String> {
    if !glob.starts_with('/') {
        return None;
    }
    let literal = glob.find(is_special).map_or(glob, |at| glob.get(..at).unwrap_or_default());
    let end = literal.rfind('/')? + 1;
    let mut end = end.min(PREFIX_MAX);
    while !literal.is_char_boundary(end) {
        end -= 1;
    }
    let prefix = literal.get(..end)?;
    (prefix.len() > 1).then(|| prefix.to_owned())
}

/// Expands `{a,b}` without nesting; a glob it does not understand is returned as it is.
fn expand_braces(glob: &str) -> Vec<String> {
    const MAX_ALTERNATIVES: usize = 64;
    let mut done = vec![glob.to_owned()];
    loop {
        let Some(at) = done.iter().position(|glob| split_braces(glob).is_some()) else { return done };
        let next = done.swap_remove(at);
        if let Some((before, alternatives, after)) = split_braces(&next) {
            done.extend(alternatives.split(',').map(|part| format!("{before}{part}{after}")));
        }
        if done.len() > MAX_ALTERNATIVES {
            return vec![glob.to_owned()];
        }
    }
}

fn split_braces(glob: &str) -> Option<(&str, &str, &str)> {
    if glob.contains('\\') || glob.contains('[') {
        return None;
    }
    let open = glob.find('{')?;
    let rest = glob.get(open + 1..)?;
    let close = rest.find('}')?;
    let inner = rest.get(..close)?;
    if inner.contains('{') {
        return None;
    }
    Some((glob.get(..open)?, inner, rest.get(close + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(glob: &str, expected: &[(NameRule, Option<&str>)]) {
        let mut found = kernel_rules(glob);
        found.sort_by_key(|rule| format!("{rule:?}"));
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(name, prefix)| KernelRule { name: name.clone(), prefix: prefix.map(str::to_owned) })
            .collect();
        expected.sort_by_key(|rule| format!("{rule:?}"));
        assert_eq!(found, expected, "{glob}");
    }

    /// What was half expanded was returned instead of the glob itself: files of the other half were never recorded.
    #[test]
    fn a_glob_with_too_many_alternatives_filters_nothing() {
        check(&format!("{{a,b}}{}.pem", "{1,2,3,4,5,6,7,8}".repeat(3)), &[(NameRule::Any, None)]);
    }

    #[test]
    fn a_glob_becomes_the_narrowest_rule_that_lets_all_its_matches_through() {
        let exact = |name: &str| NameRule::Exact(name.to_owned());
        let suffix = |name: &str| NameRule::Suffix(name.to_owned());
        check("*.pem", &[(suffix(".pem"), None)]);
        check("*.{pem,CRT}", &[(suffix(".pem"), None), (suffix(".crt"), None)]);
        check("server.key", &[(exact("server.key"), None)]);
        check("id_*", &[(NameRule::Any, None)]);
        check("*.p?m", &[(NameRule::Any, None)]);
        check("*.tar.gz", &[(suffix(".gz"), None)]);
        check("/etc/ssl/*", &[(NameRule::Any, Some("/etc/ssl/"))]);
        check("/etc/ssl/**/*.pem", &[(suffix(".pem"), Some("/etc/ssl/"))]);
        check("/etc/ssl/a.pem", &[(exact("a.pem"), Some("/etc/ssl/"))]);
        check("**/private/*.key", &[(suffix(".key"), None)]);
        check("/etc/{a,b}/x.pem", &[(exact("x.pem"), Some("/etc/a/")), (exact("x.pem"), Some("/etc/b/"))]);
        check("/etc/[ab/]x.pem", &[(NameRule::Any, Some("/etc/"))]);
        check("*", &[(NameRule::Any, None)]);
        check("", &[(NameRule::Any, None)]);
        check("/**", &[(NameRule::Any, None)]);
        check("{a,{b,c}}", &[(NameRule::Any, None)]);
        check("*.averyveryverylongsuffix", &[(NameRule::Any, None)]);
    }
}
