//! Home directories, without the names of the people they belong to.
//!
//! `/home/alice/x` becomes `/home/USER/x` and `/root/x` becomes `/home/ROOT/x`. Paths are walked component by component, so
//! that `//home/./alice` and `/home/bob/../alice` do not slip through. Filters never see redacted text.

use crate::words::escape;
use crate::words::secrets;
use crypto_trace_format::catalog;
use std::borrow::Cow;

/// Appends the absolute path `path`, redacted.
pub fn path(path: &[u8], out: &mut Vec<u8>) {
    if !may_need(path) {
        out.extend_from_slice(path);
    } else if path.first() == Some(&b'/') {
        walk(path, 0, false, out);
    } else {
        // What should be a path and is none may be any text.
        let mut walked = Vec::with_capacity(path.len());
        walk(path, 0, false, &mut walked);
        text(&walked, out);
    }
}

/// Appends free text, such as an argument, in which paths may begin anywhere: redacted as [`path`], and beyond that every
/// component that follows `home/`.
pub fn text(text: &[u8], out: &mut Vec<u8>) {
    if !may_need(text) {
        out.extend_from_slice(text);
        return;
    }
    let mut rest = text;
    while let Some(slash) = memchr::memchr(b'/', rest) {
        let (before, from) = rest.split_at(slash);
        out.extend_from_slice(before);
        let end = from.iter().position(|byte| ends_path(*byte)).unwrap_or(from.len());
        let (token, after) = from.split_at(end);
        // In `lib/root/x` the path does not begin at the slash.
        let inside_word = before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        walk(token, usize::from(inside_word), true, out);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Text of the traced host for people: safe to show and, with `redact`, without home directories and secrets.
pub fn for_people(given: &[u8], redact: bool) -> String {
    if !redact {
        return escape::for_people(given);
    }
    let mut out = Vec::new();
    text(&secrets::mask_words(given), &mut out);
    escape::for_people(&out)
}

/// The file name of a path; of a redacted path what it is called there.
pub fn file_name(path: &[u8], redact: bool) -> Cow<'_, [u8]> {
    if !redact || !may_need(path) {
        return catalog::file_name(path).into();
    }
    let mut out = Vec::with_capacity(path.len());
    self::path(path, &mut out);
    catalog::file_name(&out).to_vec().into()
}

/// The name of a thread, which is that of its program where nothing else was set: also without that of a home directory's owner
/// where the executable is called so.
pub fn comm<'a>(comm: &'a [u8], exe: Option<&[u8]>, redact: bool) -> Cow<'a, [u8]> {
    if !redact {
        return comm.into();
    }
    if let Some(exe) = exe
        && hidden_name(exe).is_some_and(|name| !comm.is_empty() && name.starts_with(comm))
        && *file_name(exe, true) != *catalog::file_name(exe)
    {
        return b"USER".into();
    }
    let mut out = Vec::new();
    text(comm, &mut out);
    out.into()
}

/// A sentence that is safe to show and quotes text of the traced host: without home directories, if so asked.
pub fn sentence(given: String, redact: bool) -> String {
    if !redact || !may_need(given.as_bytes()) {
        return given;
    }
    let mut out = Vec::with_capacity(given.len());
    text(given.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or(given)
}

/// Appends a relative path as it was given, without the names that redacting `real` took out.
pub fn relative(given: &[u8], real: &[u8], out: &mut Vec<u8>) {
    let hidden = hidden_name(real);
    for (index, component) in given.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        let hide = hidden.is_some_and(|name| name == component);
        out.extend_from_slice(if hide { b"USER" } else { component });
    }
}

/// The name that follows `/home/` at the start of a path.
fn hidden_name(path: &[u8]) -> Option<&[u8]> {
    let mut components = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    (components.next()? == b"home").then(|| components.next()).flatten()
}

fn may_need(text: &[u8]) -> bool {
    // The second letter of both: one quick search for what is seldom there.
    memchr::memchr_iter(b'o', text).any(|at| {
        let word = at.checked_sub(1).and_then(|from| text.get(from..from + 4));
        word.is_some_and(|word| word == b"home" || word == b"root")
    })
}

fn ends_path(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0 || b":,;\"'=|&<>()".contains(&byte)
}

/// Walks `path`, which begins with a slash, `depth` components below the root.
fn walk(path: &[u8], mut depth: usize, anywhere: bool, out: &mut Vec<u8>) {
    let mut under_home = false;
    for (index, component) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        match component {
            b"" | b"." => out.extend_from_slice(component),
            b".." => {
                depth = depth.saturating_sub(1);
                // Right below /home again: what follows is a name.
                under_home = under_home || depth == 1;
                under_home &= depth >= 1;
                out.extend_from_slice(component);
            }
            b"root" if depth == 0 => {
                out.extend_from_slice(b"home/ROOT");
                depth += 1;
            }
            b"home" if depth == 0 || anywhere => {
                out.extend_from_slice(component);
                under_home = true;
                depth = 1;
            }
            _ => {
                // What is redacted already stays as it is: documents are made of redacted parts.
                let is_name = under_home && depth == 1 && component != b"ROOT";
                out.extend_from_slice(if is_name { b"USER" } else { component });
                depth += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |from: &str, expected: &str| {
            let mut out = Vec::new();
            path(from.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{from}");
        };
        check("/home/alice/.ssh/id_rsa", "/home/USER/.ssh/id_rsa");
        check("/home/alice", "/home/USER");
        check("/home/", "/home/");
        check("/home", "/home");
        check("/root/.ssh/id_rsa", "/home/ROOT/.ssh/id_rsa");
        check("/root", "/home/ROOT");
        check("/home/ROOT/.ssh/id_rsa", "/home/ROOT/.ssh/id_rsa");
        check("/home/USER/x", "/home/USER/x");
        check("/rooted/x", "/rooted/x");
        check("/homes/alice", "/homes/alice");
        check("//home//./alice//x", "//home//./USER//x");
        check("/home/bob/../alice/x", "/home/USER/../USER/x");
        check("/srv/../home/alice/x", "/srv/../home/USER/x");
        check("/home/../root/x", "/home/../home/ROOT/x");
        check("/srv/home/alice/x", "/srv/home/alice/x");
        check("/etc/ssl/home.pem", "/etc/ssl/home.pem");
        check("no path: /home/alice/x", "no path: /home/USER/x");
        check("", "");
    }

    #[test]
    fn free_text() {
        let check = |from: &str, expected: &str| {
            let mut out = Vec::new();
            text(from.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{from}");
        };
        check("--key=/home/alice/k.pem", "--key=/home/USER/k.pem");
        check("-I/home/alice/include", "-I/home/USER/include");
        check("file:///home/alice/x", "file:///home/USER/x");
        check("a:/home/alice/x:/home/bob/y", "a:/home/USER/x:/home/USER/y");
        check("cat /root/x /etc/passwd", "cat /home/ROOT/x /etc/passwd");
        check("https://h/root/x", "https://h/root/x");
        check("/mnt/home/alice/x", "/mnt/home/USER/x");
        check("lib/root/x", "lib/root/x");
        check("no path at home", "no path at home");
    }

    /// The file below a home directory that is none itself has its owner's name as its own.
    #[test]
    fn base_names_right_below_home_are_hidden_with_their_paths() {
        let name =
            |path: &'static str, redact| String::from_utf8(file_name(path.as_bytes(), redact).into()).expect("text");
        assert_eq!((name("/home/alice.so.3", true), name("/home/alice.so.3", false)).0, "USER");
        assert_eq!((name("/home/alice", true), name("/home/alice/libx.so", true)), ("USER".into(), "libx.so".into()));
        assert_eq!((name("/usr/lib/libssl.so.3", true), name("/root", true)), ("libssl.so.3".into(), "ROOT".into()));
        let of =
            |name: &'static str, exe: &str| String::from_utf8(comm(name.as_bytes(), Some(exe.as_bytes()), true).into());
        assert_eq!(of("alice", "/home/alice").expect("text"), "USER");
        assert_eq!(of("a-very-long-use", "/home/a-very-long-username").expect("text"), "USER");
        assert_eq!(of("alice", "/home/alice/bin/x").expect("text"), "alice", "as it called itself");
        assert_eq!(of("/home/bob", "/usr/bin/x").expect("text"), "/home/USER");
        assert_eq!(sentence("probe on /home/alice/x failed".to_owned(), true), "probe on /home/USER/x failed");
        assert_eq!(sentence("probe on /home/alice/x failed".to_owned(), false), "probe on /home/alice/x failed");
    }

    #[test]
    fn relative_paths_lose_the_name_their_real_path_has() {
        let check = |given: &str, real: &str, expected: &str| {
            let mut out = Vec::new();
            relative(given.as_bytes(), real.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{given}");
        };
        check("../alice/k.pem", "/home/alice/k.pem", "../USER/k.pem");
        check("k.pem", "/home/alice/k.pem", "k.pem");
        check("../x/k.pem", "/srv/x/k.pem", "../x/k.pem");
    }
}
