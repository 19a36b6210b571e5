//! What strace wrote: `-f -y -xx -X raw`, so that all texts are in hexadecimal digits and all constants are numbers. No name can then
//! look like anything else.

/// A system call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub tid: u32,
    pub call: String,
    pub args: Vec<Arg>,
    pub returned: Returned,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    Text(Vec<u8>),
    /// A number; of a descriptor, or AT_FDCWD, also the path that it stands for.
    Number(i64, Option<Vec<u8>>),
    /// Named members.
    Members(Vec<(String, i64)>),
    /// NULL, an address, or what was cut.
    Other(String),
}

/// What a call returned: an error is below zero. A descriptor has its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub value: i64,
    pub path: Option<Vec<u8>>,
    pub is_unlinked: bool,
}

/// All calls in the order in which they ended. Those that never did, and those that the kernel began anew, are left out: nobody was
/// told a result of them.
pub fn read(text: &str) -> Vec<Line> {
    let mut unfinished = std::collections::BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let (tid, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no id: {line}"));
        let tid: u32 = tid.parse().unwrap_or_else(|_| panic!("no id: {line}"));
        let rest = rest.trim_start();
        // Signals and ends, also those that came in a call.
        if rest.starts_with("+++") || rest.starts_with("---") || rest.ends_with("<unfinished ...>) = ?") {
            continue;
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            // One before was not to end: its process was replaced or killed.
            unfinished.insert(tid, begun.trim_end().to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, end) = resumed.split_once(" resumed>").unwrap_or_else(|| panic!("no end: {line}"));
                unfinished.remove(&tid).unwrap_or_else(|| panic!("never begun: {line}")) + end
            }
            None => rest.to_owned(),
        };
        lines.extend(call(tid, &whole));
    }
    lines
}

fn call(tid: u32, text: &str) -> Option<Line> {
    let (name, rest) = text.split_once('(').unwrap_or_else(|| panic!("no call: {text}"));
    let (args, result) = rest.rsplit_once(" = ").unwrap_or_else(|| panic!("no result: {text}"));
    let args = args.trim_end().strip_suffix(')').unwrap_or_else(|| panic!("no end of arguments: {text}"));
    Some(Line { tid, call: name.to_owned(), args: split(args).map(arg).collect(), returned: returned(result)? })
}

/// At the commas that are not within braces.
fn split(args: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    args.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|arg| !arg.is_empty())
}

fn arg(text: &str) -> Arg {
    if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Arg::Text(unhex(quoted));
    }
    if let Some(members) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let member = |member: &str| {
            let (name, value) = member.split_once('=')?;
            Some((name.trim().to_owned(), number(value)?))
        };
        return Arg::Members(members.split(',').filter_map(member).collect());
    }
    let (value, path) = with_path(text);
    number(value).map_or_else(|| Arg::Other(text.to_owned()), |value| Arg::Number(value, path))
}

/// What the kernel puts behind the path of a file that is unlinked; strace says it too, before or behind the bracket.
const UNLINKED: &[u8] = b" (deleted)";

/// `3<\x2f…>`.
fn with_path(text: &str) -> (&str, Option<Vec<u8>>) {
    let Some((value, path)) = text.split_once('<') else { return (text, None) };
    let path = path.split_once('>').map(|(path, _)| unhex(path));
    let path = path.map(|path| path.strip_suffix(UNLINKED).map(<[u8]>::to_vec).unwrap_or(path));
    (value, path)
}

fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(sign * value)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split("\\x").collect();
    assert!(digits.is_ascii() && digits.len() * 2 == text.len(), "not in hexadecimal digits: {text}");
    digits.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn returned(text: &str) -> Option<Returned> {
    let mut words = text.split(' ');
    let value = words.next()?;
    if value == "?" {
        return None;
    }
    let (number_text, path) = with_path(value);
    let mut value = number(number_text).unwrap_or_else(|| panic!("not a result: {text}"));
    if value == -1 {
        value = -errno(words.next().unwrap_or_default());
    }
    let in_digits: String = UNLINKED.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let is_unlinked = text.contains("(deleted)") || text.contains(&(in_digits + ">"));
    Some(Returned { value, path, is_unlinked })
}

fn errno(name: &str) -> i64 {
    let known = [
        ("EPERM", libc::EPERM),
        ("ENOENT", libc::ENOENT),
        ("EINTR", libc::EINTR),
        ("EIO", libc::EIO),
        ("ENXIO", libc::ENXIO),
        ("EBADF", libc::EBADF),
        ("EAGAIN", libc::EAGAIN),
        ("EACCES", libc::EACCES),
        ("EFAULT", libc::EFAULT),
        ("EBUSY", libc::EBUSY),
        ("EEXIST", libc::EEXIST),
        ("EXDEV", libc::EXDEV),
        ("ENODEV", libc::ENODEV),
        ("ENOTDIR", libc::ENOTDIR),
        ("EISDIR", libc::EISDIR),
        ("EINVAL", libc::EINVAL),
        ("EMFILE", libc::EMFILE),
        ("ETXTBSY", libc::ETXTBSY),
        ("EROFS", libc::EROFS),
        ("ENAMETOOLONG", libc::ENAMETOOLONG),
        ("ENOSYS", libc::ENOSYS),
        ("ENOTEMPTY", libc::ENOTEMPTY),
        ("ELOOP", libc::ELOOP),
        ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ];
    let found = known.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("an error that is not in the table: {name}")).1.into()
}

#[test]
fn lines_of_strace_are_read_whatever_the_names() {
    let hex = |text: &[u8]| text.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let odd = hex(b"a\">, {=(.pem");
    let (dir, gone) = (hex(b"/d"), hex(b"/d/x.key (deleted)"));
    let text = format!(
        "7 openat(-100<{dir}>, \"{odd}\", 0x80042, 0640) = 3<{odd}>\n\
         8 openat(-100<{dir}>, \"{odd}\", 0 <unfinished ...>\n\
         7 openat2(4<{dir}>, \"{odd}\", {{flags=0x41, mode=0600, resolve=0x8}}, 24) = -1 ENOENT (No such file or directory)\n\
         8 <... openat resumed>) = 5<{gone}>\n\
         9 open(\"{odd}\", 0) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n\
         9 open(\"{odd}\", 0 <unfinished ...>) = ?\n\
         9 open(NULL, 0) = -1 EFAULT (Bad address)\n\
         9 +++ exited with 0 +++\n"
    );
    let name = Arg::Text(b"a\">, {=(.pem".to_vec());
    let cwd = Arg::Number(-100, Some(b"/d".to_vec()));
    let lines = read(&text);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert_eq!(lines[0].args, [cwd.clone(), name.clone(), Arg::Number(0x80042, None), Arg::Number(0o640, None)]);
    assert_eq!(lines[0].returned.path.as_deref(), Some(&b"a\">, {=(.pem"[..]));
    let members = [("flags", 0x41), ("mode", 0o600), ("resolve", 8)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(lines[1].args[2], Arg::Members(members.to_vec()));
    assert_eq!((lines[1].returned.value, &lines[1].call[..]), (-2, "openat2"));
    assert_eq!((lines[2].tid, &lines[2].args[..2]), (8, &[cwd, name][..]));
    let returned = Returned { value: 5, path: Some(b"/d/x.key".to_vec()), is_unlinked: true };
    assert_eq!(lines[2].returned, returned);
    assert_eq!((lines[3].returned.value, &lines[3].args[0]), (-14, &Arg::Other("NULL".to_owned())));
}
