//! What `--since` and `--until` accept.

use crate::capture::clock::WallNs;
use jiff::civil;
use std::str::FromStr;

const DAY_NS: i64 = 86_400_000_000_000;

/// A point in time as a user gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSpec {
    /// `2026-11-22T10:30:45Z`
    At(WallNs),
    /// `10:30` or `10:30:45`: the last such time, UTC, that is not after the capture's end. In ns after midnight.
    OfDay(i64),
    /// `-10m` or `10m`: that many ns before the capture's end.
    BeforeEnd(i64),
}

impl TimeSpec {
    /// The time meant for a capture that ends at `end`; `None` when that must be known and is not.
    pub fn resolve(self, end: Option<WallNs>) -> Option<WallNs> {
        match self {
            Self::At(time) => Some(time),
            Self::OfDay(ns) => end.map(|end| {
                let today = end.0.div_euclid(DAY_NS).saturating_mul(DAY_NS).saturating_add(ns);
                WallNs(if today > end.0 { today.saturating_sub(DAY_NS) } else { today })
            }),
            Self::BeforeEnd(ns) => end.map(|end| WallNs(end.0.saturating_sub(ns))),
        }
    }

    /// Whether the end of the capture must be known.
    pub fn needs_end(self) -> bool {
        !matches!(self, Self::At(_))
    }
}

impl FromStr for TimeSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `10m` means what `-10m` does: there is nothing after the end.
        match (text.strip_prefix('-'), parse_duration(text.strip_prefix('-').unwrap_or(text))) {
            (_, Some(ns)) => return Ok(Self::BeforeEnd(ns)),
            (Some(_), None) => return Err(format!("`{text}` is not a duration such as -90s, -10m, -2h or -1d")),
            (None, None) => {}
        }
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            let ns = i64::try_from(timestamp.as_nanosecond()).map_err(|_| format!("`{text}` is out of range"))?;
            return Ok(Self::At(WallNs(ns)));
        }
        // Without an offset: UTC, as everything that is shown. A day is its beginning.
        let is_dated = text.get(4..5) == Some("-") && text.starts_with(|c: char| c.is_ascii_digit());
        if is_dated && let Ok(civil) = text.parse::<civil::DateTime>() {
            let ns = civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_nanosecond());
            let ns = ns.and_then(|ns| i64::try_from(ns).ok());
            return ns.map(|ns| Self::At(WallNs(ns))).ok_or_else(|| format!("`{text}` is out of range"));
        }
        // A leading letter or a bare date would be read as something else by jiff.
        if text.contains(':')
            && text.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(time) = text.parse::<civil::Time>()
            && !text.contains('-')
        {
            let since_midnight = time.duration_since(civil::Time::midnight());
            return i64::try_from(since_midnight.as_nanos()).map(Self::OfDay).map_err(|error| error.to_string());
        }
        Err(format!(
            "`{text}` is not a time: give 2026-11-22T10:30:45Z, 2026-11-22 (its beginning, UTC), 10:30, 10:30:45, or 10m \
             (before the end)"
        ))
    }
}

/// `10m`, `1h30m`, `1.5s` is not: whole numbers of d, h, m, s, ms.
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit_ns: i64 = match unit {
            "d" => DAY_NS,
            "h" => 3_600_000_000_000,
            "m" | "min" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit_ns)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        let check = |text: &str, expected: Option<TimeSpec>| assert_eq!(text.parse().ok(), expected, "{text}");
        let at = |seconds: i64| Some(TimeSpec::At(WallNs(seconds * 1_000_000_000)));
        check("2026-11-22T10:30:45Z", at(1_795_343_445));
        check("2026-11-22T11:30:45+01:00", at(1_795_343_445));
        check("2026-11-22 10:30:45Z", at(1_795_343_445));
        check("10:30", Some(TimeSpec::OfDay(37_800_000_000_000)));
        check("10:30:01", Some(TimeSpec::OfDay(37_801_000_000_000)));
        check("2026-11-22T10:30:45", at(1_795_343_445));
        check("2026-11-22 10:30", at(1_795_343_400));
        check("2026-11-22", at(1_795_305_600));
        check("10m", Some(TimeSpec::BeforeEnd(600_000_000_000)));
        check("-10m", Some(TimeSpec::BeforeEnd(600_000_000_000)));
        check("-1h30m", Some(TimeSpec::BeforeEnd(5_400_000_000_000)));
        check("-250ms", Some(TimeSpec::BeforeEnd(250_000_000)));
        for bad in [
            "",
            "-",
            "10",
            "-10",
            "-10x",
            "2026-13-22",
            "2026-11-31",
            "yesterday",
            "25:00",
            "-99999999999999999999d",
            "T10:30",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_time_of_day_is_the_last_one_before_the_end() {
        let end: TimeSpec = "2026-11-22T10:30:45Z".parse().expect("valid");
        let end = end.resolve(None);
        let check = |text: &str, expected: &str| {
            let spec: TimeSpec = text.parse().expect("valid");
            let expected: TimeSpec = expected.parse().expect("valid");
            assert_eq!(spec.resolve(end), expected.resolve(None), "{text}");
            assert_eq!(spec.resolve(None), None);
        };
        check("10:30", "2026-11-22T10:30:00Z");
        check("10:31", "2026-11-21T10:31:00Z");
        check("-45s", "2026-11-22T10:30:00Z");
    }
}
