//! Sizes and durations as people type them: `64MiB`, `30s`, `5m`.

use std::time::Duration;

/// Why a size or duration is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number, or one that is too large.
    #[error("`{0}` is not a number with a unit")]
    Number(String),
    /// An unknown unit.
    #[error("unknown unit `{unit}`; known are {known}")]
    Unit {
        /// What was given.
        unit: String,
        /// What could have been.
        known: &'static str,
    },
}

/// Splits into number and unit, and multiplies.
fn scaled(text: &str, units: &[(&str, u64)], known: &'static str) -> Result<u64, UnitError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| UnitError::Number(text.to_owned()))?;
    let unit = unit.trim();
    let factor = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| *factor)
        .ok_or_else(|| UnitError::Unit { unit: unit.to_owned(), known })?;
    number.checked_mul(factor).ok_or_else(|| UnitError::Number(text.to_owned()))
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
    scaled(text, UNITS, "B, KiB, MiB, GiB, TiB")
}

/// A duration from `60` (seconds), `100ms`, `30s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const UNITS: &[(&str, u64)] =
        &[("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    scaled(text, UNITS, "ms, s, m, h, d").map(Duration::from_millis)
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
    fn sizes_are_shown_with_one_decimal() {
        assert_eq!(show_size(1023), "1023 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(64 << 20), "64.0 MiB");
    }
}
