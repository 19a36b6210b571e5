//! The document: what CycloneDX 1.6 and 1.7 have in common, and what only one of them knows, as it is written.
//!
//! Of the crates for it, cyclonedx-bom 0.8.1 (March 2025) ends at CycloneDX 1.5, which has no cryptographic assets.

use serde::Serialize;

/// A property: a name of our namespace, and text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Property {
    pub name: String,
    pub value: String,
}

impl Property {
    pub fn new(name: &str, value: impl ToString) -> Self {
        Self { name: format!("crypto-trace:{name}"), value: value.to_string() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bom {
    #[serde(rename = "$schema")]
    pub schema: String,
    pub bom_format: &'static str,
    pub spec_version: &'static str,
    /// Of the content: the same recording gives the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    pub version: u32,
    pub metadata: Metadata,
    pub components: Vec<Component>,
    pub dependencies: Vec<Dependency>,
    pub compositions: Vec<Composition>,
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    /// When the recording ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    pub lifecycles: [Lifecycle; 1],
    pub tools: Tools,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    pub properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
pub(super) struct Lifecycle {
    pub phase: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Tools {
    pub components: Vec<Component>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(rename = "bom-ref")]
    pub bom_ref: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crypto_properties: Option<CryptoProperties>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
pub(super) struct Evidence {
    pub occurrences: Vec<Occurrence>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Occurrence {
    pub location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_context: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CryptoProperties {
    pub asset_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_properties: Option<AlgorithmProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_properties: Option<CertificateProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_crypto_material_properties: Option<MaterialProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_properties: Option<ProtocolProperties>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlgorithmProperties {
    pub primitive: &'static str,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_set_identifier: Option<String>,
    /// In 1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elliptic_curve: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<String>,
    pub crypto_functions: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classical_security_level: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nist_quantum_security_level: Option<u8>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateProperties {
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_valid_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_valid_after: Option<String>,
    /// In 1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm_ref: Option<String>,
    /// In 1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_public_key_ref: Option<String>,
    pub certificate_format: &'static str,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Hash>,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_cryptographic_assets: Vec<Related>,
}

#[derive(Debug, Serialize)]
pub(super) struct Hash {
    pub alg: &'static str,
    pub content: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Related {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(rename = "ref")]
    pub reference: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MaterialProperties {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// In 1.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm_ref: Option<String>,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_cryptographic_assets: Vec<Related>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProtocolProperties {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cipher_suites: Vec<Suite>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Suite {
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// `0x1302`
    pub identifiers: [String; 1],
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_groups: Vec<String>,
    /// From 1.7 on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_signature_schemes: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Composition {
    #[serde(rename = "bom-ref")]
    pub bom_ref: String,
    pub aggregate: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assemblies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
}
