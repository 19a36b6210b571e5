//! Reads the CSV files of IANA's registries: a header row, then one code point or range of them per row.

/// Names by code point.
#[derive(Debug, Default)]
pub struct Names {
    /// Sorted by code point.
    rows: Vec<(u16, Box<str>)>,
}

impl Names {
    /// Reads the columns `Value` and `Description`. Rows of ranges, and those that say Reserved or Unassigned, name nothing
    /// and are skipped.
    pub fn parse(text: &str) -> Self {
        let mut records = Records { rest: text };
        let Some(header) = records.next() else { return Self::default() };
        let column = |name: &str| header.iter().position(|field| field == name);
        let (Some(value), Some(description)) = (column("Value"), column("Description")) else { return Self::default() };
        let mut rows: Vec<(u16, Box<str>)> = records
            .filter_map(|fields| Some((code_point(fields.get(value)?)?, name(fields.get(description)?)?)))
            .collect();
        rows.sort_unstable();
        rows.dedup_by_key(|(code, _)| *code);
        Self { rows }
    }

    /// The name of a code point.
    pub fn get(&self, code: u16) -> Option<&str> {
        let index = self.rows.binary_search_by_key(&code, |(code, _)| *code).ok()?;
        self.rows.get(index).map(|(_, name)| &**name)
    }

    /// The code point of a name, as IANA spells it.
    pub fn code(&self, name: &str) -> Option<u16> {
        self.rows.iter().find(|(_, known)| **known == *name).map(|(code, _)| *code)
    }

    /// All of them, by code point.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        self.rows.iter().map(|(code, name)| (*code, &**name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// `4588`, `0x0804` or, in the registry of cipher suites, `0x13,0x01`. None for a range.
fn code_point(text: &str) -> Option<u16> {
    let byte = |text: &str| u8::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    if let Some((high, low)) = text.split_once(',') {
        return Some(u16::from_be_bytes([byte(high)?, byte(low)?]));
    }
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The name without IANA's remarks: `X25519Kyber768Draft00 (OBSOLETE)`, `decryption_failed_RESERVED`.
fn name(description: &str) -> Option<Box<str>> {
    let name = description.split(" (").next().unwrap_or_default().trim();
    let name = name.strip_suffix("_RESERVED").unwrap_or(name);
    let assigned = !name.is_empty() && !name.starts_with("Reserved") && !name.starts_with("Unassigned");
    assigned.then(|| name.into())
}

/// Records of a CSV file (RFC 4180): quoted fields may hold commas and line ends.
struct Records<'a> {
    rest: &'a str,
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut fields = vec![String::new()];
        let mut quoted = false;
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        for (at, char) in chars.by_ref() {
            match char {
                '"' => quoted = !quoted,
                '\n' if !quoted => {
                    end = at + 1;
                    break;
                }
                '\r' if !quoted => {}
                ',' if !quoted => fields.push(String::new()),
                _ => fields.last_mut()?.push(char),
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_as_iana_writes_them() {
        let names = Names::parse(
            "Value,Description,DTLS-OK,Recommended,Reference\r\n\
             \"0x00,0x9C\",TLS_RSA_WITH_AES_128_GCM_SHA256,Y,N,[RFC5288]\r\n\
             \"0x00,0x1C-1D\",Reserved to avoid conflicts with SSLv3,,,[RFC5246]\r\n\
             \"0x00,0x60-66\",\"Reserved to avoid conflicts with\nwidely deployed implementations\",,,[Pasi_Eronen]\r\n\
             \"0x01-09,*\",Unassigned,,,\r\n\
             0x0804,rsa_pss_rsae_sha256,,Y,[RFC8446]\r\n\
             25497,X25519Kyber768Draft00 (OBSOLETE),Y,D,[x]\r\n\
             42-255,Unassigned,,,\r\n\
             21,decryption_failed_RESERVED,Y,,[RFC8446]",
        );
        let rows: Vec<_> = names.iter().collect();
        assert_eq!(
            rows,
            [
                (21, "decryption_failed"),
                (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
                (0x0804, "rsa_pss_rsae_sha256"),
                (25497, "X25519Kyber768Draft00"),
            ]
        );
        assert_eq!(names.get(0x009c), Some("TLS_RSA_WITH_AES_128_GCM_SHA256"));
        assert_eq!(names.get(0x009d), None);
        assert_eq!(names.code("rsa_pss_rsae_sha256"), Some(0x0804));
    }

    #[test]
    fn not_a_registry() {
        assert!(Names::parse("").is_empty());
        assert!(Names::parse("a,b\n1,2\n").is_empty());
    }
}
