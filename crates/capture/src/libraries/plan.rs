//! From a file to what is attached to it: which libraries it holds by its functions, where the probes go, what is known of its
//! objects.

use std::collections::HashMap;

use crypto_trace_bpf::{Accessor, Does, LibraryProbes, LibraryRow, ProbeSite, Returns};
use crypto_trace_format::record::library_features as features;

use super::accessor;
use super::elf::{Bytes, Elf, ElfError, Function};
use super::evidence;
use super::site::{self, Needs};
use super::table::{Brand, Chain, Family, ProbeTable};

/// What is to be attached to a file, and what is reported of it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Names of the libraries it holds; none: it holds none that is known.
    pub families: Vec<String>,
    /// The version it reports; empty when it reports none.
    pub version: String,
    /// Build id, raw.
    pub build_id: Vec<u8>,
    /// See [`features`].
    pub features: u16,
    /// Where the probes go.
    pub probes: LibraryProbes,
    /// For the programs; device and inode are still to be told.
    pub row: LibraryRow,
    /// How many functions are probed.
    pub functions: u16,
    /// What is missing, or why nothing is probed, for people.
    pub message: String,
    /// What makes its own TLS, by its place in the table.
    pub runtime: Option<usize>,
    /// The library it needs that has the version that it does not report itself: `libcrypto.so.3`.
    pub version_from: Option<String>,
}

impl Plan {
    /// Whether there is a library in it, probed or not.
    pub fn holds_library(&self) -> bool {
        !self.families.is_empty()
    }

    /// Whether that one makes handshakes.
    pub fn speaks_tls(&self) -> bool {
        self.features & features::TLS != 0
    }
}

/// How the returns of functions may be probed on this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnProbes {
    /// By uretprobes.
    Kernel,
    /// Only by probing return instructions: a uretprobe would kill processes whose seccomp filter does not know its system
    /// call.
    Instructions,
}

/// Makes the plan for a file.
///
/// # Errors
/// [`ElfError`] when it cannot be read or is no ELF file of this machine.
pub fn plan(bytes: Bytes, table: &ProbeTable, returns: ReturnProbes, algorithms: bool) -> Result<Plan, ElfError> {
    let elf = Elf::read(bytes, &table.names)?;
    let mut plan = Plan { build_id: elf.build_id(), ..Plan::default() };
    if elf.is_executable {
        plan.features |= features::EXECUTABLE;
    }
    if elf.is_go {
        plan.features |= features::GO;
    }
    let mut without_result = Vec::new();
    for family in &table.families {
        if !family.identify.iter().all(|name| elf.function(name).is_some()) {
            continue;
        }
        let brand = family.brands.iter().find(|brand| elf.function(&brand.defines).is_some());
        plan.families.push(brand.map_or(&family.name, |brand| &brand.family).clone());
        if plan.version.is_empty() {
            plan.version = version(&elf, family, brand).unwrap_or_default();
        }
        if family.is_tls {
            plan.features |= features::TLS;
        }
        plan_objects(&mut plan, &elf, family);
        for (row, unless) in &family.functions {
            if unless.as_ref().is_some_and(|other| elf.function(other).is_some()) {
                continue;
            }
            let counts = table.functions.get(usize::from(*row)).is_some_and(|row| row.does == Does::Count);
            if counts && !algorithms {
                continue;
            }
            plan_function(&mut plan, &elf, table, *row, returns, &mut without_result);
        }
    }
    if cfg!(target_arch = "x86_64") {
        mark_jumps(&mut plan.probes, &elf, table);
    }
    if plan.row.version.is_some() {
        plan.features |= features::VERSIONS;
    }
    if plan.row.suite.is_some() {
        plan.features |= features::SUITES;
    }
    if !plan.probes.returning.is_empty() || !plan.probes.stepped.is_empty() {
        plan.features |= features::RESULTS;
    }
    if !without_result.is_empty() {
        without_result.dedup();
        plan.message = format!("results of {} are not recorded", without_result.join(", "));
    }
    if !plan.speaks_tls() {
        evidence::look(&mut plan, &elf, table);
    }
    if plan.version.is_empty() && plan.holds_library() {
        plan.version_from = elf.needed().into_iter().find(|name| name.starts_with("libcrypto"));
    }
    if let Some(left) = elf.left {
        let before = if plan.message.is_empty() { String::new() } else { format!("{}; ", plan.message) };
        plan.message = format!("{before}not all of it was read: {left}");
    }
    Ok(plan)
}

/// The version that the first library in a file reports.
pub fn version_of(bytes: Bytes, table: &ProbeTable) -> Option<String> {
    let elf = Elf::read(bytes, &table.names).ok()?;
    let is_it = |family: &&Family| family.identify.iter().all(|name| elf.function(name).is_some());
    table.families.iter().filter(is_it).find_map(|family| {
        let brand = family.brands.iter().find(|brand| elf.function(&brand.defines).is_some());
        version(&elf, family, brand)
    })
}

fn version(elf: &Elf, family: &Family, brand: Option<&Brand>) -> Option<String> {
    if let Some(brand) = brand {
        // The numbers of what it is a relative of are not its own.
        return brand.version_text.as_ref().and_then(|prefix| elf.version(prefix));
    }
    let returned = |name: &Option<String>| {
        let function = elf.function(name.as_ref()?)?;
        accessor::decode_address(&elf.code(function, 512), function.address)
    };
    // What is reported by a few instructions comes first: to look for a text takes reading all data.
    returned(&family.version_number)
        .and_then(openssl_version)
        .or_else(|| elf.version_at(returned(&family.version_function)?))
        .or_else(|| family.version_text.as_ref().and_then(|prefix| elf.version(prefix)))
}

/// `0xMNN00PP0` since 3.0, `0xMNNFFPPS` before, where P are letters and S is 15 of what was released: OPENSSL_VERSION_NUMBER(3).
fn openssl_version(number: u64) -> Option<String> {
    let byte = |shift: u32| number >> shift & 0xff;
    let (major, minor) = (number >> 28 & 0xf, byte(20));
    match (major, number & 0xf) {
        _ if number > u64::from(u32::MAX) => None,
        (3.., _) => Some(format!("{major}.{minor}.{}", byte(4))),
        (1, 15) => {
            let letter = u8::try_from(byte(4)).ok().filter(|letter| *letter <= 26)?;
            let letter = letter.checked_sub(1).map(|letter| char::from(b'a' + letter));
            Some(format!("{major}.{minor}.{}{}", byte(12), letter.map(String::from).unwrap_or_default()))
        }
        // A relative's, which tells 2.0.0 always, or one that was not released.
        _ => None,
    }
}

fn plan_objects(plan: &mut Plan, elf: &Elf, family: &Family) {
    if !cfg!(target_arch = "x86_64") {
        // Only x86-64 code is understood.
        return;
    }
    let row = &mut plan.row;
    if let Some(version) = family.version.as_ref().and_then(|chain| decode(elf, chain)) {
        row.version = Some(version);
        row.version_base = family.version_base;
        row.version_limit = family.version_limit;
    }
    if let Some(suite) = family.suite.as_ref().and_then(|chain| decode(elf, chain)) {
        row.suite = Some(suite);
    }
    let first = |chains: &Vec<Chain>| chains.iter().find_map(|chain| decode_any(elf, chain));
    let accessors: Vec<_> = family.accessors.iter().map(first).collect();
    if !accessors.is_empty() {
        row.accessors = accessors;
    }
    if let Some(chain) = &family.waiting
        && let Some(waiting) = decode(elf, chain)
    {
        row.waiting = Some((waiting, chain.idle));
    }
}

fn decode(elf: &Elf, chain: &Chain) -> Option<Accessor> {
    decode_any(elf, chain).filter(|whole| matches!(whole.size, 2 | 4))
}

/// The same, also of what leads to a text.
fn decode_any(elf: &Elf, chain: &Chain) -> Option<Accessor> {
    let mut names = chain.chain.iter();
    let mut one = || {
        let function = elf.function(names.next()?)?;
        accessor::decode(&elf.code(function, 512), function.address)
    };
    let mut whole = one()?;
    for _ in 1..chain.chain.len() {
        whole = accessor::join(whole, &one()?)?;
    }
    Some(whole)
}

fn plan_function(
    plan: &mut Plan,
    elf: &Elf,
    table: &ProbeTable,
    index: u16,
    returns: ReturnProbes,
    without_result: &mut Vec<String>,
) {
    let Some(row) = table.functions.get(usize::from(index)) else { return };
    let Some(function) = elf.function(&row.name) else { return };
    let code = if cfg!(target_arch = "x86_64") { elf.code(function, site::MAX_CODE) } else { Vec::new() };
    let arguments = row.arguments();
    let entry = |stack: bool| {
        let site = site::entry(&code, Needs { arguments: &arguments, stack });
        let (offset, stack) = (function.offset + site.offset, site.stack);
        ProbeSite { offset, function: index, stack, jumps: false, jumped_to: false }
    };
    let at = |into: u64| {
        let offset = function.offset + into;
        ProbeSite { offset, function: index, stack: 0, jumps: false, jumped_to: false }
    };
    plan.functions = plan.functions.saturating_add(1);
    if row.does == Does::Count {
        plan.probes.counted.push(entry(false));
        return;
    }
    let silent = matches!(row.does, Does::Descriptor | Does::Forget) || row.returns == Returns::Nothing;
    if silent {
        plan.probes.entries.push(entry(false));
    } else if returns == ReturnProbes::Kernel && !elf.is_go {
        plan.probes.returning.push(entry(true));
    } else if let Some(exits) = exits(function, &code) {
        plan.probes.stepped.push(entry(false));
        plan.probes.exits.extend(exits.into_iter().map(at));
    } else {
        plan.probes.entries.push(entry(false));
        without_result.push(row.name.clone());
    }
}

/// Marks those that count and end by a jump into another that counts, and those others: for the caller it is one call.
fn mark_jumps(probes: &mut LibraryProbes, elf: &Elf, table: &ProbeTable) {
    let named = |site: &ProbeSite| elf.function(&table.functions.get(usize::from(site.function))?.name);
    let functions: Vec<Option<Function>> = probes.counted.iter().map(named).collect();
    let at = |address: u64| functions.iter().position(|other| other.is_some_and(|other| other.address == address));
    let mut imported: Option<HashMap<u64, u64>> = None;
    // Through the table of what may come from elsewhere, where the library is linked so that its functions can be replaced.
    let mut through = |address: u64| {
        let slot = site::slot_of_stub(&elf.code_at(address, site::MAX_STUB), address)?;
        imported.get_or_insert_with(|| elf.slots()).get(&slot).copied()
    };
    let mut targets = Vec::new();
    for (site, function) in probes.counted.iter_mut().zip(&functions) {
        let Some(function) = function else { continue };
        let jumps = site::jumps_out(&elf.code(*function, site::MAX_CODE), function.address);
        let before = targets.len();
        targets.extend(jumps.into_iter().filter_map(|jump| at(jump).or_else(|| at(through(jump)?))));
        site.jumps = targets.len() > before;
    }
    for target in targets {
        if let Some(site) = probes.counted.get_mut(target) {
            site.jumped_to = true;
        }
    }
}

/// Only of functions whose code is all there.
fn exits(function: Function, code: &[u8]) -> Option<Vec<u64>> {
    let whole = u64::try_from(code.len()).is_ok_and(|len| len == function.size);
    if whole && !code.is_empty() { site::exits(code) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_openssl_are_told_by_its_number() {
        for (number, expected) in [
            (0x3000_0130, Some("3.0.19")),
            (0x3050_0080, Some("3.5.8")),
            (0x4000_0030, Some("4.0.3")),
            (0x1010_117f, Some("1.1.1w")),
            (0x1010_100f, Some("1.1.1")),
            // LibreSSL, always. A release candidate. No number.
            (0x2000_0000, None),
            (0x1010_1000, None),
            (0x1_3000_0130, None),
            (0, None),
        ] {
            assert_eq!(openssl_version(number).as_deref(), expected, "{number:#x}");
        }
    }
}
