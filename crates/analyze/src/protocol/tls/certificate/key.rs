//! Public keys (RFC 5280, section 4.1.2.7): what kind, how large, on which curve.

use super::der::{DerError, Element, Elements, INTEGER, Integer, NULL, OID, SEQUENCE};
use super::oids::{CURVES, GOST_CURVES, KEYS, named};

/// A key as far as it can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub kind: Option<String>,
    pub bits: Option<usize>,
    pub curve: Option<String>,
    /// Members of a certificate that could not be read, and why.
    pub faults: Vec<(&'static str, String)>,
}

impl Key {
    /// Reads what is in a SubjectPublicKeyInfo.
    pub fn new(body: &[u8]) -> Self {
        let mut key = Self::default();
        if let Err(error) = key.read(body) {
            key.faults.push(("key_type", error.to_string()));
        }
        key
    }

    fn read(&mut self, body: &[u8]) -> Result<(), DerError> {
        let mut parts = Elements::new(body);
        let mut algorithm = parts.next_element()?.within(SEQUENCE)?;
        let oid = algorithm.next_element()?.oid()?;
        let kind = named(KEYS, &oid);
        self.kind = Some(kind.to_owned());
        let parameters = if algorithm.rest().is_empty() { Ok(None) } else { algorithm.next_element().map(Some) };
        let bits = parts.next_element();
        match kind {
            "RSA" | "RSASSA-PSS" | "RSAES-OAEP" => self.size(bits.and_then(modulus)),
            "DSA" | "DH" => self.size(parameters.and_then(|parameters| match parameters {
                // Inherited from who signed it (RFC 3279, section 2.3.2).
                None => Ok(None),
                Some(parameters) => first_number(parameters),
            })),
            "EC" | "ECDH" | "ECMQV" => match parameters.and_then(|parameters| parameters.ok_or(DerError::Short)) {
                Ok(parameters) => self.on_curve(parameters),
                Err(error) => self.faults.push(("curve", error.to_string())),
            },
            _ if kind.starts_with("GOST") => {
                self.bits = Some(if kind.contains("512") {
                    512
                } else if kind.ends_with("94") {
                    1024
                } else {
                    256
                });
                let set: Option<String> = parameters.ok().flatten().and_then(first_oid);
                self.curve = set.map(|set| named(GOST_CURVES, &set).to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn size(&mut self, number: Result<Option<Integer>, DerError>) {
        match number {
            Ok(None) => {}
            Ok(Some(number)) if number.negative => self.faults.push(("key_bits", "a negative number".to_owned())),
            Ok(Some(number)) if number.bits() == 0 => self.faults.push(("key_bits", "zero".to_owned())),
            Ok(Some(number)) => self.bits = Some(number.bits()),
            Err(error) => self.faults.push(("key_bits", error.to_string())),
        }
    }

    /// ECParameters (RFC 3279, section 2.3.5): a name, all of them, or those of who signed it.
    fn on_curve(&mut self, parameters: Element<'_>) {
        match parameters.tag {
            OID => match parameters.oid() {
                Ok(oid) => {
                    self.bits = curve_bits(&oid);
                    self.curve = Some(named(CURVES, &oid).to_owned());
                }
                Err(error) => self.faults.push(("curve", error.to_string())),
            },
            SEQUENCE => {
                self.curve = Some("explicit".to_owned());
                match field_bits(parameters.body) {
                    Ok(bits) => self.bits = Some(bits),
                    Err(error) => self.faults.push(("key_bits", error.to_string())),
                }
            }
            NULL => self.curve = Some("implicit".to_owned()),
            found => self.faults.push(("curve", DerError::Tag { expected: OID, found }.to_string())),
        }
    }
}

/// The modulus in an RSAPublicKey (RFC 8017, appendix A.1.1).
fn modulus(key: Element<'_>) -> Result<Option<Integer>, DerError> {
    first_number(Elements::new(key.bits()?).next_element()?)
}

/// The first number in a SEQUENCE: the modulus of RSA, the prime of DSA and DH.
fn first_number(sequence: Element<'_>) -> Result<Option<Integer>, DerError> {
    Integer::new(sequence.within(SEQUENCE)?.next_element()?.as_tag(INTEGER)?).map(Some)
}

/// The first identifier in a SEQUENCE: of the parameters of GOST.
fn first_oid(sequence: Element<'_>) -> Option<String> {
    sequence.within(SEQUENCE).ok()?.next_element().ok()?.oid().ok()
}

/// Size of the field in explicit parameters (X9.62: version, field, …).
fn field_bits(body: &[u8]) -> Result<usize, DerError> {
    let mut parts = Elements::new(body);
    parts.next_element()?.as_tag(INTEGER)?;
    let mut field = parts.next_element()?.within(SEQUENCE)?;
    let kind = field.next_element()?.oid()?;
    let parameter = field.next_element()?;
    let bits = match &*kind {
        "1.2.840.10045.1.1" => {
            Integer::new(parameter.as_tag(INTEGER)?).ok().filter(|prime| !prime.negative).map(|prime| prime.bits())
        }
        "1.2.840.10045.1.2" => {
            let m = Integer::new(parameter.within(SEQUENCE)?.next_element()?.as_tag(INTEGER)?)?;
            match m.magnitude.as_slice() {
                _ if m.negative => None,
                [low] => Some(usize::from(*low)),
                [high, low] => Some(usize::from(*high) << 8 | usize::from(*low)),
                _ => None,
            }
        }
        _ => None,
    };
    bits.filter(|bits| *bits > 0).ok_or(DerError::Value)
}

/// Size of a named curve's field: the number in its name.
fn curve_bits(oid: &str) -> Option<usize> {
    let name = named(CURVES, oid);
    if name == "curveSM2" {
        return Some(256);
    }
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|_| name != oid)
}
