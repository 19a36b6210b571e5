//! Which names the kernel's programs record: the rules of `filter.h`, from the same tables. They let through more than `judge.rs`
//! judges to be crypto, never less. Left out is that a hash of a name's end may let a few others through to where the names themselves
//! are compared.

use super::{COPY_ENDINGS, DIRECTORIES, EXACT_NAMES, MAX_NAME_LEN, PREFIXES, RANDOM_LEN, SUFFIXES, file_name};

/// Longest suffix, with its dot, that is looked for.
const MAX_SUFFIX_LEN: usize = 15;

/// Whether an open of this path is recorded: by its last component, or by the directory that it is in.
///
/// Of an open that failed this is asked of the path as passed, joined to the directory it was relative to; links and `..` in it are
/// not followed.
pub fn wanted(path: &[u8]) -> bool {
    let name = file_name(path);
    let directory = path.get(..path.len() - name.len()).and_then(|directory| directory.strip_suffix(b"/"));
    wanted_name(name) || directory.is_some_and(wanted_directory)
}

/// Whether an open is recorded by the last component of its path alone: that of the file, or that of the path as passed.
pub fn wanted_name(name: &[u8]) -> bool {
    is_known(name, false) || begins_as_wanted(name) || copied(name).is_some_and(|base| is_known(base, true))
}

/// A whole name, or an ending; of what was copied also with the mark that editors put before it.
fn is_known(name: &[u8], of_copy: bool) -> bool {
    let is_exact = |name: &[u8]| name.len() >= 2 && EXACT_NAMES.iter().any(|(exact, ..)| exact.as_bytes() == name);
    let marked = || name.strip_prefix(b"#").or_else(|| name.strip_prefix(b"."));
    let by_ending = || ending(name).is_some_and(|suffix| is_one_of(SUFFIXES.iter().map(|row| row.0), suffix));
    is_exact(name) || (of_copy && marked().is_some_and(is_exact)) || by_ending()
}

fn is_one_of<'a>(mut any: impl Iterator<Item = &'a str>, suffix: &[u8]) -> bool {
    any.any(|known| known.as_bytes().eq_ignore_ascii_case(suffix))
}

/// What is behind the last dot, with it.
fn ending(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    name.get(dot..).filter(|suffix| (2..=MAX_SUFFIX_LEN).contains(&suffix.len()))
}

/// Tickets: `krb5cc_1000`, `krb5cc_1000_Xa83kd`.
fn begins_as_wanted(name: &[u8]) -> bool {
    let ends = name.last().is_some_and(u8::is_ascii_digit)
        || name.len().checked_sub(RANDOM_LEN + 1).and_then(|at| name.get(at)) == Some(&b'_');
    name.len() >= 8 && ends && PREFIXES.iter().any(|(prefix, _)| name.starts_with(prefix.as_bytes()))
}

/// What this name may be a copy of.
fn copied(name: &[u8]) -> Option<&[u8]> {
    let suffix = ending(name);
    let is_random = |suffix: &[u8]| {
        suffix.len() == 1 + RANDOM_LEN
            && suffix.get(1..).is_some_and(|rest| rest.iter().any(|byte| byte & 0x60 != 0x60))
    };
    let len = match suffix {
        Some(suffix) if is_one_of(COPY_ENDINGS.iter().copied(), suffix) || is_random(suffix) => suffix.len(),
        _ if matches!(name.last(), Some(b'~' | b'#')) => 1,
        _ => return None,
    };
    name.len().checked_sub(len).and_then(|base| name.get(..base)).filter(|base| base.len() >= 2)
}

/// Whether all files of this directory are recorded.
fn wanted_directory(directory: &[u8]) -> bool {
    let mut parts = directory.rsplit(|byte| *byte == b'/').take_while(|part| part.len() <= MAX_NAME_LEN);
    let (parent, grandparent) = (parts.next(), parts.next());
    DIRECTORIES.iter().any(|(known, _)| {
        let mut known = known.rsplit('/').map(str::as_bytes);
        known.next() == parent && known.next().is_none_or(|known| grandparent == Some(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_told_by_the_tables() {
        let check = |path: &str, expected: bool| assert_eq!(wanted(path.as_bytes()), expected, "{path}");
        check("/srv/a.pem", true);
        check("/srv/a.PEM", true);
        check("a.pem", true);
        check("/srv/id_rsa", true);
        check("/srv/ID_RSA", false);
        check("/srv/.pem", true);
        check("/etc/ssl/private/anything", true);
        check("ssl/private/anything", true);
        check("private/anything", false);
        check("/etc/ssl/private/more/anything", false);
        // As an open is judged that failed: by what is before its last slash.
        check("/etc/ssl/private/", true);
        check("/home/ann/.ssh/anything", true);
        check("/srv/a.pem/", false);
        check("/srv/a.pem.bak", true);
        check("/srv/.a.pem.Xa83kd", true);
        check("/srv/a.pem.foobar", false);
        check("/srv/#id_rsa#", true);
        check("/srv/id_rsa~", true);
        check("/tmp/krb5cc_1000", true);
        check("/tmp/krb5cc_ab", false);
        check("/srv/notes.txt", false);
        check("/", false);
        check("", false);
        assert!(wanted(b"/srv/\xff.pem") && !wanted(b"/srv/\xff"));
    }
}
