//! Certificates that were shown, their keys and how they are signed.

use super::args::Spec;
use super::bom::{
    AlgorithmProperties, CertificateProperties, Component, CryptoProperties, Hash, MaterialProperties, Related,
};
use super::build::Builder;
use super::registry;
use crate::count::handshakes::CertificateRow;
use crate::event::CertificateFields;
use crate::protocol::tls::Certificate;
use crate::rules;

impl Builder<'_> {
    pub(super) fn certificates(&mut self) {
        for (sha256, row) in &self.seen.totals.handshakes.certificates {
            self.certificate(sha256, row);
        }
    }

    fn certificate(&mut self, sha256: &str, row: &CertificateRow) {
        let fields = CertificateFields::new(&row.certificate);
        let key = self.key_algorithm(&row.certificate);
        let signature = row.certificate.signature_algorithm.as_deref().map(|name| self.signature_algorithm(name));
        let reference = format!("certificate:{sha256}");
        let public_key = key.map(|key| {
            let mut material = MaterialProperties {
                kind: "public-key",
                size: row.certificate.key_bits,
                ..MaterialProperties::default()
            };
            match self.spec {
                Spec::V1_6 => material.algorithm_ref = Some(key.clone()),
                Spec::V1_7 => {
                    material.related_cryptographic_assets = vec![Related { kind: "algorithm", reference: key.clone() }];
                }
            }
            let bom_ref = format!("public-key:{sha256}");
            let crypto_properties = Some(CryptoProperties {
                asset_type: "related-crypto-material",
                related_crypto_material_properties: Some(material),
                ..CryptoProperties::default()
            });
            let name = format!("public key of {}", fields.name());
            let kind = "cryptographic-asset";
            let public_key = self.put(Component { kind, bom_ref, name, crypto_properties, ..Component::default() });
            self.depends(&public_key, &key);
            public_key
        });
        let mut properties = CertificateProperties {
            subject_name: fields.subject.clone(),
            issuer_name: fields.issuer.clone(),
            not_valid_before: row.certificate.not_before.clone(),
            not_valid_after: row.certificate.not_after.clone(),
            certificate_format: "X.509",
            ..CertificateProperties::default()
        };
        match self.spec {
            Spec::V1_6 => {
                properties.signature_algorithm_ref = signature.clone();
                properties.subject_public_key_ref = public_key.clone();
            }
            Spec::V1_7 => {
                properties.serial_number = row.certificate.serial.clone();
                properties.fingerprint = Some(Hash { alg: "SHA-256", content: sha256.to_owned() });
                let signature = signature.iter().map(|reference| ("algorithm", reference));
                let related = signature.chain(public_key.iter().map(|reference| ("publicKey", reference)));
                let related = related.map(|(kind, reference)| Related { kind, reference: reference.clone() });
                properties.related_cryptographic_assets = related.collect();
            }
        }
        let crypto_properties = Some(CryptoProperties {
            asset_type: "certificate",
            certificate_properties: Some(properties),
            ..CryptoProperties::default()
        });
        let (bom_ref, name) = (reference.clone(), fields.name());
        self.put(Component { kind: "cryptographic-asset", bom_ref, name, crypto_properties, ..Component::default() });
        for on in signature.iter().chain(&public_key) {
            self.depends(&reference, on);
        }
        if self.spec == Spec::V1_6 {
            self.say(&reference, "sha256", sha256);
            if let Some(serial) = &row.certificate.serial {
                self.say(&reference, "serial-number", serial);
            }
        }
        self.say(&reference, "handshakes", row.handshakes);
        self.hosts(&reference, &row.hosts);
        for role in &row.shown_by {
            self.say(&reference, "shown-by", role.name());
        }
        self.cut_programs(&reference, row.programs.len());
        for program in &row.programs {
            let user = self.program(program);
            self.depends(&user, &reference);
            let location = self.session.shown(program);
            self.occurs(&reference, location, None, "shown in a handshake".to_owned());
        }
    }

    /// The algorithm of a certificate's key, with the exact size.
    fn key_algorithm(&mut self, certificate: &Certificate) -> Option<String> {
        let kind = certificate.key_type.as_deref()?;
        let known = rules::key(certificate);
        let Some(bits) = certificate.key_bits.filter(|_| matches!(kind, "RSA" | "RSASSA-PSS" | "RSAES-OAEP" | "DSA"))
        else {
            return Some(self.algorithm(known.map_or(kind, |row| &row.name)));
        };
        let name = format!("{kind}-{bits}");
        let reference = format!("algorithm:{name}");
        let (primitive, family) = match kind {
            "DSA" | "RSASSA-PSS" => ("signature", Some(kind.to_owned())),
            "RSAES-OAEP" => ("pke", Some(kind.to_owned())),
            _ => ("unknown", None),
        };
        // The least row stands for smaller keys, too, which are worth less.
        let at_least = known.and_then(|row| row.name.rsplit('-').next()?.parse::<usize>().ok());
        let is_worth = at_least.is_some_and(|least| bits >= least);
        let properties = AlgorithmProperties {
            primitive,
            parameter_set_identifier: Some(bits.to_string()),
            crypto_functions: registry::functions(primitive).to_vec(),
            classical_security_level: known.filter(|_| is_worth).and_then(|row| row.classical_bits),
            nist_quantum_security_level: known.and_then(|row| row.nist_level),
            ..AlgorithmProperties::default()
        };
        self.put_algorithm(&reference, name, properties, family, None);
        Some(reference)
    }

    /// How a certificate is signed: a signature and its hash.
    fn signature_algorithm(&mut self, name: &str) -> String {
        let parts = rules::certificate_signature(name);
        if parts.is_empty() || parts == [name] {
            return self.algorithm(name);
        }
        let shown = self.session.shown(name.as_bytes());
        let reference = format!("algorithm:{shown}");
        let (family, padding) = match parts.first() {
            _ if name == "rsassaPss" => (Some("RSASSA-PSS"), None),
            Some(&"RSA signature") if name.ends_with("WithRSAEncryption") => (Some("RSASSA-PKCS1"), Some("pkcs1v15")),
            Some(part) => (registry::row(part).and_then(|row| row.family.as_deref()), None),
            None => (None, None),
        };
        let properties = AlgorithmProperties {
            primitive: "signature",
            padding: padding.map(str::to_owned),
            crypto_functions: registry::functions("signature").to_vec(),
            nist_quantum_security_level: rules::algorithm(parts.first().unwrap_or(&"")).and_then(|row| row.nist_level),
            ..AlgorithmProperties::default()
        };
        self.put_algorithm(&reference, shown, properties, family.map(str::to_owned), None);
        for part in parts {
            let part = self.algorithm(part);
            self.depends(&reference, &part);
        }
        reference
    }
}
