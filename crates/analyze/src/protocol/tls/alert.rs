//! Alerts that travel in the clear (RFC 8446, section 6).

use crate::protocol::iana::AlertDescription;
use std::fmt;

/// How grave an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertLevel {
    /// 1
    Warning,
    /// 2: the connection ends.
    Fatal,
}

impl AlertLevel {
    /// As events show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Fatal => "fatal",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// How grave it is.
    pub level: AlertLevel,
    /// What it says.
    pub description: AlertDescription,
}

impl Alert {
    /// Reads the payload of an alert record. None where it is not one in the clear: encrypted alerts are longer.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [level, description] = payload else { return None };
        let level = match level {
            1 => AlertLevel::Warning,
            2 => AlertLevel::Fatal,
            _ => return None,
        };
        Some(Self { level, description: AlertDescription(*description) })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level.name(), self.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts() {
        let check = |payload: &[u8], expected: Option<&str>| {
            assert_eq!(Alert::parse(payload).map(|alert| alert.to_string()).as_deref(), expected, "{payload:?}");
        };
        check(&[2, 40], Some("fatal handshake_failure"));
        check(&[1, 0], Some("warning close_notify"));
        check(&[1, 112], Some("warning unrecognized_name"));
        check(&[2, 255], Some("fatal 255"));
        check(&[3, 40], None);
        check(&[2], None);
        check(&[0; 26], None);
    }
}
