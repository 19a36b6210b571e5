//! Secrets in command lines, masked before anyone sees them: passwords, tokens, credentials in URLs.
//!
//! Works on an argument vector as it was recorded, NUL after each argument. It knows how well-known programs take secrets
//! and what secrets are called; a secret that looks like an ordinary word is not recognised.

use std::borrow::Cow;

/// What a secret is shown as.
const MASK: &[u8] = b"***";

/// Endings of option and variable names, in lower case without `-` and `_`, whose value is a secret.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pass",
    "passin",
    "passout",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "storepass",
    "keypass",
    "srcstorepass",
    "deststorepass",
    "authorization",
    "psk",
    "pwd",
    "credential",
    "credentials",
];

/// Names of HTTP headers whose value is a secret.
const SECRET_HEADERS: &[&[u8]] =
    &[b"authorization:", b"proxy-authorization:", b"cookie:", b"x-api-key:", b"x-auth-token:"];

/// Arguments with their secrets masked; the same bytes when there are none.
pub fn mask(argv: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Option<Vec<u8>> = None;
    let mut program = argv.split(|byte| *byte == 0).next().map(file_name).unwrap_or_default();
    // What runs another program, its options and variables come before the name of that program.
    let (mut before_program, mut takes_commands, mut after_option) = (true, false, false);
    let mut value_of: Option<Next> = None;
    let mut at = 0;
    for argument in argv.split(|byte| *byte == 0) {
        if at > 0
            && let Some(out) = &mut out
        {
            out.push(0);
        }
        if before_program && value_of.is_none() && !runs_another(argument) {
            // What follows a short option may be its value: `sudo -u www openssl`.
            (program, before_program) = (file_name(argument), after_option);
        }
        takes_commands |= before_program && SHELLS.contains(&runner_name(argument));
        after_option = argument.len() == 2 && argument.first() == Some(&b'-');
        let masked = match value_of.take() {
            Some(Next::Secret) => mask_value(argument),
            Some(Next::User) => mask_user(argument),
            Some(Next::Script) => mask_script(argument),
            None => mask_argument(argument, program),
        };
        if at > 0 {
            let is_c = argument.first() == Some(&b'-') && argument.ends_with(b"c");
            value_of = if takes_commands && is_c && !argument.starts_with(b"--") {
                Some(Next::Script)
            } else {
                next(argument, program)
            };
        }
        match (masked, &mut out) {
            (Some(masked), None) => {
                let mut new = argv.get(..at).unwrap_or_default().to_vec();
                new.extend_from_slice(&masked);
                out = Some(new);
            }
            (Some(masked), Some(out)) => out.extend_from_slice(&masked),
            (None, Some(out)) => out.extend_from_slice(argument),
            (None, None) => {}
        }
        at += argument.len() + 1;
    }
    out.map_or(Cow::Borrowed(argv), Cow::Owned)
}

/// The same for a command line whose arguments are joined by spaces, as far as it can be told apart.
pub fn mask_words(line: &[u8]) -> Vec<u8> {
    let swap = |from: u8, to: u8| move |byte: &u8| if *byte == from { to } else { *byte };
    // What came before the command in a list of filters is no program.
    let start = if line.starts_with(b"-- ") { 3 } else { 0 };
    let (before, command) = line.split_at(start);
    let argv: Vec<u8> = command.iter().map(swap(b' ', 0)).collect();
    let masked = mask(&argv).iter().map(swap(0, b' ')).collect::<Vec<u8>>();
    [before, &masked].concat()
}

/// What the argument after an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Secret,
    /// `user:password`
    User,
    /// Commands of a shell.
    Script,
}

/// Programs that run another one, which is named after them.
const RUNNERS: &[&[u8]] = &[
    b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"busybox", b"env", b"sudo", b"doas", b"su", b"runuser", b"nice",
    b"ionice", b"nohup", b"time", b"timeout", b"exec", b"setsid", b"stdbuf", b"xargs", b"flock", b"chroot",
];

/// Those of them that take commands as text.
const SHELLS: &[&[u8]] = &[b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"su", b"runuser"];

/// A login shell's name begins with a hyphen.
fn runner_name(argument: &[u8]) -> &[u8] {
    file_name(argument.strip_prefix(b"-").unwrap_or(argument))
}

/// Whether an argument comes before the name of the program that is run: what runs it, an option or a variable of that, a
/// number such as a time.
fn runs_another(argument: &[u8]) -> bool {
    RUNNERS.contains(&runner_name(argument))
        || argument.first() == Some(&b'-')
        || argument.contains(&b'=')
        || argument.first().is_some_and(u8::is_ascii_digit)
}

/// Commands as a shell reads them, the secrets of each masked; quotes and what joins the commands stay.
fn mask_script(script: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(script.len());
    let mut words: Vec<&[u8]> = Vec::new();
    let mut rest = script;
    let mut changed = false;
    while let Some(first) = rest.first() {
        let (len, is_word) = match first {
            b';' | b'|' | b'&' | b'\n' | b'(' | b')' | b'`' | b'{' | b'}' | b' ' | b'\t' => (1, false),
            _ => (word_len(rest), true),
        };
        let (taken, after) = rest.split_at_checked(len.max(1)).unwrap_or((rest, b""));
        if !is_word && !first.is_ascii_whitespace() || *first == b'\n' {
            words.clear();
        }
        if is_word {
            words.push(taken);
            let masked = mask_last(&words);
            changed |= masked.is_some();
            out.extend_from_slice(masked.as_deref().unwrap_or(taken));
        } else {
            out.extend_from_slice(taken);
        }
        rest = after;
    }
    changed.then_some(out)
}

/// Bytes of the word that `text` begins with: up to what ends it outside of quotes.
fn word_len(text: &[u8]) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (None | Some(b'"'), b'\\') => escaped = true,
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b';' | b'|' | b'&' | b'(' | b')' | b'`' | b' ' | b'\t' | b'\n') => return index,
            (None, _) => {}
        }
    }
    text.len()
}

/// The last word of a command, masked by what comes before it; `None` when it holds no secret.
fn mask_last(words: &[&[u8]]) -> Option<Vec<u8>> {
    // More words than this before one do not make it a secret, and must not make a long script slow.
    const MOST: usize = 64;
    let (last, _) = words.split_last()?;
    let head = words.get(..words.len().min(4)).unwrap_or_default();
    let tail = words.get(words.len().saturating_sub(MOST).max(head.len())..).unwrap_or_default();
    let bare: Vec<&[u8]> = head.iter().chain(tail).map(|word| unquoted(word).1).collect();
    let (quote, inner) = unquoted(last);
    let argv = bare.join(&0);
    let masked = mask(&argv);
    let shown = masked.rsplit(|byte| *byte == 0).next().unwrap_or_default();
    (shown != inner).then(|| [quote, shown, quote].concat())
}

/// A word without the quotes around all of it, and the quote.
fn unquoted(word: &[u8]) -> (&[u8], &[u8]) {
    for quote in [&b"\""[..], b"'"] {
        let inner = word.strip_prefix(quote).and_then(|word| word.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(&0)) {
            return (quote, inner);
        }
    }
    (b"", word)
}

fn next(argument: &[u8], program: &[u8]) -> Option<Next> {
    if argument.first() != Some(&b'-') || argument.contains(&b'=') {
        return None;
    }
    match argument {
        b"-u" | b"--user" | b"--proxy-user" if program == b"curl" => Some(Next::User),
        b"-p" if program == b"sshpass" => Some(Next::Secret),
        b"-k" | b"-K" | b"-hmac" if program == b"openssl" => Some(Next::Secret),
        b"-" | b"--" => None,
        _ => is_secret_name(argument).then_some(Next::Secret),
    }
}

/// `pass:secret` keeps its kind; where a secret is given by its place (`file:`, `env:`), that is no secret.
fn mask_value(argument: &[u8]) -> Option<Vec<u8>> {
    let place = [&b"file:"[..], b"env:", b"fd:", b"stdin", b"pkcs11:"].iter().any(|kind| argument.starts_with(kind));
    if argument.is_empty() || place || argument.first() == Some(&b'-') {
        return None;
    }
    Some(if argument.starts_with(b"pass:") { [b"pass:", MASK].concat() } else { MASK.to_vec() })
}

fn mask_user(argument: &[u8]) -> Option<Vec<u8>> {
    let colon = argument.iter().position(|byte| *byte == b':')?;
    Some([argument.get(..=colon)?, MASK].concat())
}

fn mask_argument(argument: &[u8], program: &[u8]) -> Option<Vec<u8>> {
    if argument.starts_with(b"pass:") && argument.len() > 5 {
        return Some([b"pass:", MASK].concat());
    }
    if program == b"openssl" {
        // Values of -macopt, -kdfopt, -pkeyopt and -sigopt (openssl-mac(1), EVP_KDF(7)).
        for name in [&b"key:"[..], b"hexkey:", b"secret:", b"hexsecret:", b"hexpass:"] {
            if argument.starts_with(name) && argument.len() > name.len() {
                return Some([name, MASK].concat());
            }
        }
    }
    for header in SECRET_HEADERS {
        if argument.get(..header.len()).is_some_and(|start| start.eq_ignore_ascii_case(header)) {
            return Some([argument.get(..header.len())?, b" ", MASK].concat());
        }
    }
    let is_mysql = program.starts_with(b"mysql") || program.starts_with(b"mariadb");
    if is_mysql && argument.starts_with(b"-p") && argument.len() > 2 {
        return Some([b"-p", MASK].concat());
    }
    if let Some(equals) = argument.iter().position(|byte| *byte == b'=')
        && let (name, Some(value)) = (argument.get(..equals)?, argument.get(equals + 1..))
        && !value.is_empty()
        && is_secret_name(name)
    {
        let masked = mask_value(value)?;
        return Some([name, b"=", &masked].concat());
    }
    mask_urls(argument)
}

/// `https://user:secret@host`
fn mask_urls(argument: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut done = 0;
    for start in memchr::memmem::find_iter(argument, b"://") {
        let from = start + 3;
        let rest = argument.get(from..)?;
        let end = rest.iter().position(|byte| b"/?# \t\n\"'".contains(byte)).unwrap_or(rest.len());
        let Some(at) = rest.get(..end)?.iter().rposition(|byte| *byte == b'@') else { continue };
        let Some(colon) = rest.get(..at)?.iter().position(|byte| *byte == b':') else { continue };
        let out = out.get_or_insert_default();
        out.extend_from_slice(argument.get(done..=from + colon)?);
        out.extend_from_slice(MASK);
        done = from + at;
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(argument.get(done..)?);
    }
    out
}

/// Whether an option or variable of this name takes a secret.
fn is_secret_name(name: &[u8]) -> bool {
    // `--ssl-ca-passwordfile=/x` is not one, `DB_PASSWORD=x` is.
    const LONGEST: usize = 64;
    if name.len() > LONGEST || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)) {
        return false;
    }
    let plain: Vec<u8> = name.iter().filter(|byte| !b"-_.".contains(byte)).map(u8::to_ascii_lowercase).collect();
    SECRET_NAMES.iter().any(|secret| match *secret {
        // Short ones only alone: `bypass` and `compass` are no secrets.
        "pass" | "psk" | "pwd" => plain == secret.as_bytes(),
        _ => plain.ends_with(secret.as_bytes()),
    })
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_shells_commands_are_masked() {
        let check = |script: &str, expected: &str| {
            for shell in ["sh\0-c\0", "/bin/bash\0-ec\0", "sudo\0bash\0-lc\0", "su\0www\0-c\0"] {
                let (argv, expected) = ([shell, script].concat(), [shell, expected].concat());
                assert_eq!(String::from_utf8_lossy(&mask(argv.as_bytes())), expected);
            }
        };
        check("openssl dgst -hmac hunter2 f", "openssl dgst -hmac *** f");
        check("cd /x && openssl enc -k hunter2;ls -k x", "cd /x && openssl enc -k ***;ls -k x");
        check("x=$(curl -u 'me:hun ter2' h)", "x=$(curl -u 'me:***' h)");
        check("curl -H \"Authorization: Bearer abc\" h", "curl -H \"Authorization: ***\" h");
        check("PGPASSWORD='a b' psql | tee x", "PGPASSWORD=*** psql | tee x");
        check("echo \"un", "echo \"un");
        check("", "");
        check("ls -l /etc; wc -c x", "ls -l /etc; wc -c x");
        let python = b"python3\0-c\0import x; x.y()\0";
        assert_eq!(&*mask(python), python);
    }

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let check = |given: &str, expected: &str| {
            let argv: Vec<u8> = given.bytes().map(|byte| if byte == b' ' { 0 } else { byte }).collect();
            let shown: Vec<u8> = mask(&argv).iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
            assert_eq!(String::from_utf8_lossy(&shown), expected);
        };
        check("openssl rsa -in k.pem -passin pass:hunter2 -out o", "openssl rsa -in k.pem -passin pass:*** -out o");
        check("openssl rsa -passin file:/etc/p -noout", "openssl rsa -passin file:/etc/p -noout");
        check("openssl rsa -passin env:PW -noout", "openssl rsa -passin env:PW -noout");
        check("/usr/bin/openssl enc -k hunter2 -in x", "/usr/bin/openssl enc -k *** -in x");
        check("app --password=hunter2 --verbose", "app --password=*** --verbose");
        check("app --password hunter2 x", "app --password *** x");
        check("app --db-password hunter2", "app --db-password ***");
        check("app --password --verbose", "app --password --verbose");
        check("env PGPASSWORD=hunter2 psql", "env PGPASSWORD=*** psql");
        check("env AWS_SECRET_ACCESS_KEY=x aws", "env AWS_SECRET_ACCESS_KEY=*** aws");
        check("curl -u me:hunter2 https://h/", "curl -u me:*** https://h/");
        check("curl -u me https://h/", "curl -u me https://h/");
        check("curl https://me:hunter2@h/x?u=http://a:b@c/d", "curl https://me:***@h/x?u=http://a:***@c/d");
        check("git clone https://me@h/x", "git clone https://me@h/x");
        check("mysql -phunter2 -u root", "mysql -p*** -u root");
        check("ssh -p22 host", "ssh -p22 host");
        check("sshpass -p hunter2 ssh h", "sshpass -p *** ssh h");
        check("keytool -storepass hunter2 -list", "keytool -storepass *** -list");
        check("app --bypass yes --compass=north", "app --bypass yes --compass=north");
        check("app --token-file=/x --passwordfile /y", "app --token-file=/x --passwordfile /y");
        check("server -key server.key -cert c.pem", "server -key server.key -cert c.pem");
        check("openssl dgst -sha256 -hmac hunter2 f", "openssl dgst -sha256 -hmac *** f");
        check("openssl mac -macopt hexkey:abcd HMAC", "openssl mac -macopt hexkey:*** HMAC");
        check("openssl dgst -mac HMAC -macopt key:abcd f", "openssl dgst -mac HMAC -macopt key:*** f");
        check("sudo -u www openssl enc -k hunter2", "sudo -u www openssl enc -k ***");
        check("timeout 5 curl -u me:hunter2 h", "timeout 5 curl -u me:*** h");
        check("/usr/bin/env A=b openssl enc -k hunter2", "/usr/bin/env A=b openssl enc -k ***");
        check("", "");
        assert_eq!(mask_words(b"-- openssl enc -k hunter2"), b"-- openssl enc -k ***");
        let header = b"curl\0-H\0Authorization: Bearer abc\0https://h/";
        assert_eq!(&*mask(header), b"curl\0-H\0Authorization: ***\0https://h/");
    }
}
