//! The table of what is probed, `data/probes.toml`: read once, checked by a test.

use std::collections::HashSet;

use anyhow::Context as _;
use crypto_trace_bpf::{Algorithm, Does, FunctionRow, LibraryRow, Returns};
use crypto_trace_format::record::ApiMeaning;
use serde::Deserialize;

const SOURCE: &str = include_str!("../../data/probes.toml");

/// The whole table.
#[derive(Debug)]
pub struct ProbeTable {
    /// Libraries in the table's order.
    pub families: Vec<Family>,
    /// All functions; rows of families point into it.
    pub functions: Vec<FunctionRow>,
    /// What tells of libraries without names of functions.
    pub texts: Vec<Text>,
    /// What makes its own TLS.
    pub runtimes: Vec<Runtime>,
    /// Names of all functions that matter: to probe, to identify, to decode.
    pub names: HashSet<String>,
}

/// One kind of library.
#[derive(Debug)]
pub struct Family {
    /// What it is called in output.
    pub name: String,
    /// It is one when it defines all of these.
    pub identify: Vec<String>,
    /// Prefixes of file names in the linker's cache.
    pub cache: Vec<String>,
    /// What its version begins with.
    pub version_text: Option<String>,
    /// A function that returns its version as a text, when it is given null or nothing.
    pub version_function: Option<String>,
    /// A function that returns it as a number, as OpenSSL does.
    pub version_number: Option<String>,
    /// What a library of this kind is called instead that defines a function, and what its version begins with.
    pub brands: Vec<Brand>,
    /// Whether handshakes are its business.
    pub is_tls: bool,
    /// How a connection's version is found.
    pub version: Option<Chain>,
    /// Added to it.
    pub version_base: u16,
    /// From here on there is no code point.
    pub version_limit: u16,
    /// How its suite is found.
    pub suite: Option<Chain>,
    /// How it is found what it waits for.
    pub waiting: Option<Chain>,
    /// What tells algorithms, by number: several chains, of which the first is taken that the library has.
    pub accessors: Vec<Vec<Chain>>,
    /// Rows of [`ProbeTable::functions`], and the function whose presence makes the row needless.
    pub functions: Vec<(u16, Option<String>)>,
}

/// A relative of a library, which has its functions and some more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// What it is called in output.
    pub family: String,
    /// The function that only it defines.
    pub defines: String,
    /// What the version it reports begins with; otherwise it reports none.
    pub version_text: Option<String>,
}

/// What tells of a library in a program that does not have its functions by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The library.
    pub family: String,
    /// What its text begins with.
    pub text: String,
    /// Whether a version comes then.
    #[serde(default)]
    pub version: bool,
    /// What comes behind that.
    #[serde(default)]
    pub then: String,
    /// Not in a file that needs a library whose name begins so, whose headers have the text as well.
    #[serde(default)]
    pub unless_needs: Vec<String>,
}

/// What makes its own TLS, and of whom nothing is probed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// It defines this function.
    pub defines: String,
    /// For people.
    pub message: String,
}

/// Accessor functions, applied one after the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Their names.
    pub chain: Vec<String>,
    /// The value that means: waits for nothing.
    #[serde(default)]
    pub idle: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    library: Vec<LibraryEntry>,
    text: Vec<Text>,
    runtime: Vec<Runtime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibraryEntry {
    family: String,
    identify: Vec<String>,
    #[serde(default)]
    cache: Vec<String>,
    version_text: Option<String>,
    version_function: Option<String>,
    version_number: Option<String>,
    #[serde(default)]
    brand: Vec<Brand>,
    version: Option<Chain>,
    #[serde(default)]
    version_base: u16,
    #[serde(default)]
    version_limit: u16,
    suite: Option<Chain>,
    waiting: Option<Chain>,
    #[serde(default)]
    accessor: Vec<AccessorEntry>,
    #[serde(default)]
    function: Vec<FunctionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessorEntry {
    name: String,
    chains: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionEntry {
    name: String,
    #[serde(default)]
    does: DoesEntry,
    #[serde(default)]
    meaning: String,
    unless: Option<String>,
    object: Option<u8>,
    text: Option<u8>,
    length: Option<u8>,
    number: Option<u8>,
    only: Option<(u8, u32)>,
    #[serde(default)]
    returns: ReturnsEntry,
    #[serde(default)]
    success: i64,
    #[serde(default)]
    again: Vec<i64>,
    #[serde(default)]
    algorithm: AlgorithmEntry,
    argument: Option<u8>,
    #[serde(default)]
    by: Vec<String>,
    context: Option<u8>,
    #[serde(default)]
    context_by: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AlgorithmEntry {
    #[default]
    Own,
    Text,
    Number,
    Pointer,
    Object,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DoesEntry {
    #[default]
    Tell,
    Handshake,
    Descriptor,
    Forget,
    Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReturnsEntry {
    #[default]
    Int,
    Pointer,
    Nothing,
}

impl ProbeTable {
    /// The table that is built in.
    ///
    /// # Errors
    /// What is wrong with it; a test keeps that from happening.
    pub fn load() -> anyhow::Result<Self> {
        let file: File = toml::from_str(SOURCE)?;
        let (texts, runtimes) = (file.text, file.runtime);
        let names = runtimes.iter().map(|runtime| runtime.defines.clone()).collect();
        let mut table = Self { families: Vec::new(), functions: Vec::new(), texts, runtimes, names };
        for entry in file.library {
            let mut rows = Vec::new();
            let accessors: Vec<String> = entry.accessor.iter().map(|accessor| accessor.name.clone()).collect();
            anyhow::ensure!(accessors.len() <= LibraryRow::MAX_ACCESSORS, "{}: too many accessors", entry.family);
            let chain = |chain| Chain { chain, idle: 0 };
            let accessor_chains: Vec<Vec<Chain>> =
                entry.accessor.into_iter().map(|accessor| accessor.chains.into_iter().map(chain).collect()).collect();
            let names = accessor_chains.iter().flatten().flat_map(|chain| chain.chain.iter().cloned());
            table.names.extend(names);
            let chains = [&entry.version, &entry.suite, &entry.waiting];
            table.names.extend(chains.into_iter().flatten().flat_map(|chain| chain.chain.iter().cloned()));
            let versions = [&entry.version_function, &entry.version_number];
            table.names.extend(entry.identify.iter().chain(versions.into_iter().flatten()).cloned());
            table.names.extend(entry.brand.iter().map(|brand| brand.defines.clone()));
            table.names.extend(entry.function.iter().map(|function| function.name.clone()));
            let is_tls = entry.function.iter().any(|function| function.does == DoesEntry::Handshake);
            for function in entry.function {
                table.names.extend(function.unless.clone());
                rows.push((u16::try_from(table.functions.len())?, function.unless.clone()));
                table.functions.push(row(function, &accessors)?);
            }
            table.families.push(Family {
                name: entry.family,
                identify: entry.identify,
                cache: entry.cache,
                version_text: entry.version_text,
                version_function: entry.version_function,
                version_number: entry.version_number,
                brands: entry.brand,
                is_tls,
                version: entry.version,
                version_base: entry.version_base,
                version_limit: entry.version_limit,
                suite: entry.suite,
                waiting: entry.waiting,
                accessors: accessor_chains,
                functions: rows,
            });
        }
        Ok(table)
    }
}

fn row(entry: FunctionEntry, accessors: &[String]) -> anyhow::Result<FunctionRow> {
    let silent = matches!(entry.does, DoesEntry::Descriptor | DoesEntry::Forget);
    let meaning = ApiMeaning::NAMES.iter().find(|(_, name)| *name == entry.meaning).map(|(value, _)| *value);
    anyhow::ensure!(meaning.is_some() != silent, "{}: meaning {:?}", entry.name, entry.meaning);
    anyhow::ensure!(entry.name.len() <= FunctionRow::MAX_NAME, "{}: too long", entry.name);
    anyhow::ensure!(entry.again.len() <= FunctionRow::MAX_AGAIN, "{}: too many values of `again`", entry.name);
    let numbers = |names: &[String]| -> anyhow::Result<Vec<u8>> {
        anyhow::ensure!(names.len() <= FunctionRow::MAX_BY, "{}: too many accessors", entry.name);
        let number = |name: &String| {
            let at = accessors.iter().position(|known| known == name).and_then(|at| u8::try_from(at).ok());
            at.with_context(|| format!("{}: no accessor {name}", entry.name))
        };
        names.iter().map(number).collect()
    };
    let (by, context_by) = (numbers(&entry.by)?, numbers(&entry.context_by)?);
    let argument = entry.argument.with_context(|| format!("{}: no argument", entry.name));
    Ok(FunctionRow {
        algorithm: match entry.algorithm {
            AlgorithmEntry::Own => Algorithm::Own,
            AlgorithmEntry::Text => Algorithm::Text(argument?),
            AlgorithmEntry::Number => Algorithm::Number(argument?),
            AlgorithmEntry::Pointer => Algorithm::Pointer(argument?),
            AlgorithmEntry::Object => Algorithm::Object(argument?),
        },
        by,
        context: entry.context.map(|context| (context, context_by)),
        name: entry.name,
        does: match entry.does {
            DoesEntry::Tell => Does::Tell,
            DoesEntry::Handshake => Does::Handshake,
            DoesEntry::Descriptor => Does::Descriptor,
            DoesEntry::Forget => Does::Forget,
            DoesEntry::Count => Does::Count,
        },
        returns: match entry.returns {
            ReturnsEntry::Int => Returns::Int,
            ReturnsEntry::Pointer => Returns::Pointer,
            ReturnsEntry::Nothing => Returns::Nothing,
        },
        meaning: meaning.unwrap_or_default(),
        object: entry.object,
        text: entry.text,
        length: entry.length,
        number: entry.number,
        only: entry.only,
        success: entry.success,
        again: entry.again,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_bpf::Programs;

    #[test]
    fn the_table_is_well_formed() {
        let table = ProbeTable::load().expect("the table");
        assert!(table.functions.len() < Programs::MAX_FUNCTIONS);
        for row in &table.functions {
            let arguments = [row.object, row.text, row.length, row.number, row.only.map(|(n, _)| n)];
            assert!(arguments.into_iter().flatten().all(|argument| argument < 6), "{}", row.name);
            assert!(row.length.is_none() || row.text.is_some(), "{}", row.name);
            let needs_object = !matches!(row.does, Does::Tell | Does::Count);
            assert!(!needs_object || row.object.is_some(), "{}", row.name);
        }
        for family in &table.families {
            assert!(!family.identify.is_empty(), "{}", family.name);
        }
    }
}
