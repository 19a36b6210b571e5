//! Sizes and durations as people type them: `64MiB`, `30s`, `5m`.

use std::time::Duration;

/// Why a size or duration is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No whole number, or one that is too large.
    #[error("`{given}` is not a whole number with a unit: give one such as {such_as}")]
    Number {
        /// What was given.
        given: String,
        /// What is one.
        such_as: &'static str,
    },
    /// An unknown unit.
    #[error("unknown unit `{unit}`; known units are {known}")]
    Unit {
        /// What was given.
        unit: String,
        /// What could have been.
        known: &'static str,
    },
}

/// Splits into number and unit, and multiplies.
fn scaled(text: &str, units: &[(&str, u64)], known: &'static str, such_as: &'static str) -> Result<u64, UnitError> {
    let text = text.trim();
    let no_number = || UnitError::Number { given: text.to_owned(), such_as };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| no_number())?;
    let unit = unit.trim();
    if unit.starts_with(['.', ',']) {
        return Err(no_number());
    }
    let factor = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| *factor)
        .ok_or_else(|| UnitError::Unit { unit: unit.to_owned(), known })?;
    number.checked_mul(factor).ok_or_else(no_number)
}

/// Bytes from `4096`, `64MiB`, `1G`… Units are powers of 1024, with or without `iB`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    const UNITS: &[(&str, u64)] = &[
        ("", 1),
        ("b", 1),
        ("k", 1 << 10),
        ("kib", 1 << 10),
        ("kb", 1 << 10),
        ("m", 1 << 20),
        ("mib", 1 << 20),
        ("mb", 1 << 20),
        ("g", 1 << 30),
        ("gib", 1 << 30),
        ("gb", 1 << 30),
        ("t", 1 << 40),
        ("tib", 1 << 40),
        ("tb", 1 << 40),
    ];
    scaled(text, UNITS, "B, KiB, MiB, GiB, TiB", "4096, 512KiB, 64MiB or 10GiB")
}

/// A duration from `60` (seconds), `100ms`, `30s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const UNITS: &[(&str, u64)] =
        &[("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    scaled(text, UNITS, "ms, s, m, h, d", "60 (seconds), 100ms, 30s, 5m, 2h or 7d").map(Duration::from_millis)
}

/// A time of whole hours for people: `36 hours`, `209 days`.
pub fn show_hours(hours: u64) -> String {
    let (count, what) = if hours < 48 { (hours, "hour") } else { (hours / 24, "day") };
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A user id, or the name of a user of this host. Names are looked up in /etc/passwd, then, for those that are kept elsewhere
/// (LDAP, systemd-homed), by getent(1), which asks the C library's name service: a static program has none of its own.
///
/// # Errors
/// When there is no such user.
pub fn parse_uid(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    let local = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let getent = || {
        let program =
            ["/usr/bin/getent", "/bin/getent"].into_iter().find(|path| std::path::Path::new(path).exists())?;
        let done = std::process::Command::new(program).args(["passwd", "--", text]).output().ok()?;
        uid_of(&String::from_utf8_lossy(&done.stdout), text)
    };
    uid_of(&local, text).or_else(getent).ok_or_else(|| {
        format!("there is no user `{text}` on this host: give a name from /etc/passwd or getent(1), or a numeric id")
    })
}

/// The id of a user in lines of passwd(5).
fn uid_of(passwd: &str, name: &str) -> Option<u32> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    passwd.lines().find_map(of)
}

/// Bytes as people read them: `1.5 MiB`.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A percentage, with or without its sign: `1%`, `0.5`.
///
/// # Errors
/// When it is none, or not between 0 and 100.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err(format!("`{text}` is not a percentage: give one above 0 and up to 100, such as 1%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// doctor said "5039 h" of a disk with room for seven months.
    #[test]
    fn many_hours_are_days() {
        let shown = [0, 1, 47, 48, 5_039].map(show_hours);
        assert_eq!(shown, ["0 hours", "1 hour", "47 hours", "2 days", "209 days"]);
    }

    #[test]
    fn sizes_and_durations_read_as_people_type_them() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("1 g"), Ok(1 << 30));
        assert!(parse_size("").is_err() && parse_size("MiB").is_err() && parse_size("-1").is_err());
        assert!(parse_size("99999999999T").is_err() && parse_size("5 parsec").is_err());
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("60"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert!(parse_duration("soon").is_err());
    }

    #[test]
    fn what_is_no_size_or_duration_is_told_with_what_is_accepted() {
        for text in ["soon", "", "1.5h", "-5", "0,5s", "99999999999999999999d"] {
            let told = parse_duration(text).expect_err(text).to_string();
            assert_eq!(
                told,
                format!(
                    "`{text}` is not a whole number with a unit: give one such as 60 (seconds), 100ms, 30s, 5m, 2h or 7d"
                )
            );
        }
        assert!(parse_size("1.5G").expect_err("not whole").to_string().contains("64MiB"));
        assert!(parse_duration("5parsec").expect_err("no unit").to_string().contains("known units are ms, s, m, h, d"));
    }

    #[test]
    fn a_user_is_a_number_or_a_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/false\n+::::::\nbroken:x\n";
        assert_eq!((uid_of(passwd, "root"), uid_of(passwd, "www-data")), (Some(0), Some(33)));
        for name in ["", "www", "x", "broken", "33"] {
            assert_eq!(uid_of(passwd, name), None, "{name}");
        }
        assert_eq!((parse_uid("0"), parse_uid("root"), parse_uid("4294967295")), (Ok(0), Ok(0), Ok(u32::MAX)));
        for name in ["surely-no-such-user", "", "-1", "4294967296", "--help"] {
            assert!(parse_uid(name).expect_err(name).contains("/etc/passwd"), "{name}");
        }
    }

    #[test]
    fn sizes_are_shown_with_one_decimal() {
        assert_eq!(show_size(1023), "1023 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(64 << 20), "64.0 MiB");
    }
}
