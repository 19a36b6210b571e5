//! Times as users read them: RFC 3339, UTC, microseconds.

/// Nanoseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallNs(pub i64);

/// Bytes of `2026-11-22T10:30:45.`.
const SECOND_LEN: usize = 20;

/// Writes timestamps, keeping the text of the last second.
#[derive(Debug, Clone)]
pub struct TimestampWriter {
    second: i64,
    text: [u8; SECOND_LEN],
}

impl Default for TimestampWriter {
    fn default() -> Self {
        Self { second: 0, text: second_text(0) }
    }
}

impl TimestampWriter {
    /// Appends `2026-11-22T10:30:45.123456Z`.
    #[inline]
    pub fn write(&mut self, time: WallNs, out: &mut Vec<u8>) {
        let second = time.0.div_euclid(1_000_000_000);
        if second != self.second {
            self.second = second;
            self.text = second_text(second);
        }
        let mut micros = time.0.rem_euclid(1_000_000_000) / 1_000;
        let mut tail = *b"000000Z";
        for digit in tail.iter_mut().take(6).rev() {
            *digit = decimal_digit(micros);
            micros /= 10;
        }
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&tail);
    }
}

/// `2026-11-22T10:30:45.123456Z`, where speed does not matter.
pub fn timestamp(time: WallNs) -> String {
    let mut out = Vec::new();
    TimestampWriter::default().write(time, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `2026-11-22`, of days since 1970-01-01.
pub fn date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..10")]
#[inline]
fn decimal_digit(number: i64) -> u8 {
    b'0' + number.rem_euclid(10) as u8
}

/// All years of [`WallNs`] (1677 to 2262) have four digits.
fn second_text(second: i64) -> [u8; SECOND_LEN] {
    let days = second.div_euclid(86_400);
    let in_day = second.rem_euclid(86_400);
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.";
    let mut put = |from: usize, len: usize, mut number: i64| {
        for digit in text.iter_mut().skip(from).take(len).rev() {
            *digit = decimal_digit(number);
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, in_day / 3_600);
    put(14, 2, in_day / 60 % 60);
    put(17, 2, in_day % 60);
    text
}

/// Days since 1970-01-01 to a date of the Gregorian calendar, after Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_jiff_tells() {
        let mut writer = TimestampWriter::default();
        for ns in [0, 1, -1, 999, 1_000, 1_795_343_445_123_456_789, -86_400_000_000_001, 951_782_400_000_000_000] {
            let mut out = Vec::new();
            writer.write(WallNs(ns), &mut out);
            // Rounded down also before 1970, as the clock itself counts.
            let micros = ns.div_euclid(1_000);
            let expected = jiff::Timestamp::from_microsecond(micros).expect("in range");
            assert_eq!(String::from_utf8(out).expect("ASCII"), format!("{expected:.6}"), "{ns} ns");
        }
    }

    #[test]
    fn the_ends_of_the_range_have_four_digit_years() {
        assert_eq!(timestamp(WallNs(i64::MIN)), "1677-09-21T00:12:43.145224Z");
        assert_eq!(timestamp(WallNs(i64::MAX)), "2262-04-11T23:47:16.854775Z");
    }
}
