//! Times in certificates: UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5), and what else ASN.1 allows there: no seconds,
//! fractions of them, an offset from UTC.

use super::der::Element;
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

/// A moment: RFC 3339 in UTC with seconds, and seconds since 1970.
///
/// Not a timestamp of jiff's: certificates that do not expire say 9999-12-31, which those do not reach.
pub(super) fn moment(element: Element<'_>) -> Option<(String, i64)> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let mut digits = Digits(element.body);
    let year = match element.tag {
        UTC_TIME => match digits.two()? {
            year @ 50.. => 1900 + i16::from(year),
            year => 2000 + i16::from(year),
        },
        GENERALIZED_TIME => i16::from(digits.two()?) * 100 + i16::from(digits.two()?),
        _ => return None,
    };
    let (month, day, hour) = (digits.two()?, digits.two()?, digits.two()?);
    let minute = digits.two_if_any()?.or((element.tag == GENERALIZED_TIME).then_some(0))?;
    let second = digits.two_if_any()?.unwrap_or(0);
    if element.tag == GENERALIZED_TIME {
        digits.skip_fraction()?;
    }
    let offset = digits.offset()?;
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let utc = local.checked_sub(offset).ok()?;
    let unix = utc.duration_since(date(1970, 1, 1).at(0, 0, 0, 0)).as_secs();
    let (year, month, day) = (utc.year(), utc.month(), utc.day());
    // RFC 3339 has four digits of a year.
    (0..=9999).contains(&year).then(|| {
        let text = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", utc.hour(), utc.minute(), utc.second());
        (text, unix)
    })
}

struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn two(&mut self) -> Option<i8> {
        let ([tens, ones], rest) = self.0.split_first_chunk()?;
        let digit = |byte: &u8| i8::try_from(byte.checked_sub(b'0')?).ok().filter(|digit| *digit < 10);
        let value = digit(tens)? * 10 + digit(ones)?;
        self.0 = rest;
        Some(value)
    }

    /// The outer None: what follows is a digit, and none comes after it.
    #[allow(clippy::option_option, reason = "whether it is legal, and whether it is there")]
    fn two_if_any(&mut self) -> Option<Option<i8>> {
        if self.0.first().is_some_and(u8::is_ascii_digit) { self.two().map(Some) } else { Some(None) }
    }

    fn skip_fraction(&mut self) -> Option<()> {
        if let [b'.' | b',', rest @ ..] = self.0 {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.0 = rest.get(digits..).filter(|_| digits > 0)?;
        }
        Some(())
    }

    /// How far it is ahead of UTC. None without one: local time of who knows where.
    fn offset(&mut self) -> Option<SignedDuration> {
        let (zone, rest) = self.0.split_first()?;
        self.0 = rest;
        let sign = match zone {
            b'Z' => 0,
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let seconds = if sign == 0 {
            0
        } else {
            let (hours, minutes) = (self.two()?, self.two()?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60)
        };
        self.0.is_empty().then(|| SignedDuration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_they_are_written() {
        let check = |tag: u8, text: &str, expected: Option<(&str, i64)>| {
            let found = moment(Element { tag, body: text.as_bytes(), whole: &[] });
            assert_eq!(found.as_ref().map(|(text, unix)| (&**text, *unix)), expected, "{text}");
        };
        const UTC: u8 = 0x17;
        const GENERALIZED: u8 = 0x18;
        check(UTC, "700101000001Z", Some(("1970-01-01T00:00:01Z", 1)));
        check(UTC, "500101000000Z", Some(("1950-01-01T00:00:00Z", -631_152_000)));
        check(UTC, "491231235959Z", Some(("2049-12-31T23:59:59Z", 2_524_607_999)));
        check(UTC, "260101000000+0200", Some(("2025-12-31T22:00:00Z", 1_767_218_400)));
        check(UTC, "2601010000Z", Some(("2026-01-01T00:00:00Z", 1_767_225_600)));
        check(GENERALIZED, "99991231235959Z", Some(("9999-12-31T23:59:59Z", 253_402_300_799)));
        check(GENERALIZED, "19491231235959Z", Some(("1949-12-31T23:59:59Z", -631_152_001)));
        check(GENERALIZED, "19700101000000.5Z", Some(("1970-01-01T00:00:00Z", 0)));
        check(GENERALIZED, "1970010100-0130", Some(("1970-01-01T01:30:00Z", 5_400)));
        check(GENERALIZED, "00000101000000Z", Some(("0000-01-01T00:00:00Z", -62_167_219_200)));
        check(GENERALIZED, "00000101000000+0100", None);
        check(GENERALIZED, "99991231235959-0001", None);
        for bad in ["", "Z", "361231235960Z", "260230000000Z", "261301000000Z", "260101240000Z", "26010100000Z"] {
            check(UTC, bad, None);
        }
        for bad in
            ["260101000000", "260101000000z", "260101000000Z0", "260101000000+2400", "2601010000\u{0}0Z", "26010100Z"]
        {
            check(UTC, bad, None);
        }
        check(GENERALIZED, "19700101000000", None);
        check(GENERALIZED, "19700101000000.Z", None);
        check(UTC, "260101000000.5Z", None);
        check(0x02, "700101000001Z", None);
    }
}
