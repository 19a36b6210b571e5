//! Names of segments: `HOST-YYYYMMDDTHHMMSSZ-CAPTUREID8-SEQUENCE.ctseg`.

use super::super::SEGMENT_SUFFIX;
use super::super::meta::SegmentMeta;

/// Longest host part, in bytes.
const MAX_HOST: usize = 64;

/// The name of a segment once sealed. The time is that of its clock anchor, UTC.
pub(super) fn segment_name(meta: &SegmentMeta) -> String {
    let [a, b, c, d, ..] = meta.capture_id;
    let id = u32::from_be_bytes([a, b, c, d]);
    let time = utc_compact(meta.clock.realtime_ns.div_euclid(1_000_000_000));
    format!("{}-{time}-{id:08x}-{:06}{SEGMENT_SUFFIX}", sanitize(&meta.host), meta.sequence)
}

/// Whether a name is one that [`segment_name`] makes.
pub(super) fn is_segment_name(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(SEGMENT_SUFFIX) else { return false };
    let mut parts = stem.rsplitn(4, '-');
    let (Some(sequence), Some(id), Some(time), Some(host)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let time_parts = time.strip_suffix('Z').and_then(|time| time.split_once('T'));
    sequence.len() >= 6
        && digits(sequence)
        && id.len() == 8
        && hex(id)
        && time_parts.is_some_and(|(date, time)| date.len() == 8 && time.len() == 6 && digits(date) && digits(time))
        && !host.is_empty()
}

/// A host name as part of a file name: letters, digits, `.`, `_` and `-`, no leading dot or dash.
fn sanitize(host: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let host: String = host.trim_start_matches(['.', '-']).chars().take(MAX_HOST).map(safe).collect();
    if host.is_empty() { "host".to_owned() } else { host }
}

/// `YYYYMMDDTHHMMSSZ` of seconds since 1970-01-01 UTC, in the proleptic Gregorian calendar.
fn utc_compact(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a number of days since 1970-01-01: 400-year cycles of 146,097 days, then year by year and month
/// by month, which is fast enough for a file name.
fn civil(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970 + days.div_euclid(146_097) * 400;
    let mut rest = days.rem_euclid(146_097);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::ClockAnchor;

    #[test]
    fn times_are_those_of_date() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (-1, "19691231T235959Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_164_800, "20240229T000000Z"),
            (1_795_411_845, "20261123T053045Z"),
            (4_107_542_400, "21000301T000000Z"),
            (-62_135_596_800, "00010101T000000Z"),
        ] {
            assert_eq!(utc_compact(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_name_is_recognised_and_safe() {
        let mut meta = SegmentMeta {
            host: "../web 1\n".to_owned(),
            sequence: 7,
            capture_id: [0xab; 16],
            clock: ClockAnchor { boottime_ns: 0, realtime_ns: 1_795_411_845_123_456_789 },
            ..SegmentMeta::default()
        };
        assert_eq!(segment_name(&meta), "_web_1_-20261123T053045Z-abababab-000007.ctseg");
        for (host, sequence, realtime_ns) in [("", 0, i64::MIN), ("a-b-c", 12_345_678, i64::MAX), ("ü", 1, 0)] {
            meta = SegmentMeta { host: host.to_owned(), sequence, ..meta };
            meta.clock.realtime_ns = realtime_ns.max(-60_000_000_000_000_000);
            assert!(is_segment_name(&segment_name(&meta)), "{}", segment_name(&meta));
        }
    }

    #[test]
    fn other_names_are_not_ours_to_delete() {
        for name in [
            "notes.ctseg",
            "capture.ctseg",
            "a-20261123T053045Z-abababab-000007.ctseg.open",
            "a-20261123T053045Z-abababab-000007.ctseg.bak",
            "a-20261123T053045Z-ABABABAB-000007.ctseg",
            "a-20261123T053045Z-abababab-7.ctseg",
            "a-2026-11-23-abababab-000007.ctseg",
            "-20261123T053045Z-abababab-000007.ctseg",
            "20261123T053045Z-abababab-000007.ctseg",
        ] {
            assert!(!is_segment_name(name), "{name}");
        }
    }
}
