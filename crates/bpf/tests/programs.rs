//! The BPF programs compile for every architecture and for kernels of both kinds, and no chain of calls needs more stack than a
//! kernel allows: told by the compiler in seconds, before a kernel refuses them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Stack that all functions of a chain of calls may have together: MAX_BPF_STACK, include/linux/filter.h.
const MOST_BYTES: u32 = 512;

/// To this the stack of each is rounded up, at least once: `check_max_stack_depth()`, kernel/bpf/verifier.c. Since Linux 6.10 it is 16
/// where programs are compiled to machine code.
const ROUNDED_TO: u32 = 32;

/// Functions of a chain: MAX_CALL_FRAMES, include/linux/bpf_verifier.h.
const MOST_FRAMES: usize = 8;

/// One of the builds: what it is for, its assembly, and what stack its functions have.
struct Build {
    name: String,
    assembly: String,
    stack: String,
}

fn builds() -> &'static [Build] {
    static BUILDS: OnceLock<Vec<Build>> = OnceLock::new();
    BUILDS.get_or_init(|| {
        std::thread::scope(|scope| {
            let all = [("x86", false), ("x86", true), ("arm64", false), ("arm64", true)];
            let started = all.map(|(arch, old)| scope.spawn(move || build(arch, old)));
            started.into_iter().map(|build| build.join().unwrap()).collect()
        })
    })
}

/// Compiles as build.rs does, to assembly.
fn build(arch: &str, old: bool) -> Build {
    let name = format!("{arch}, {} kernels", if old { "older" } else { "newer" });
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let assembly = directory.join(format!("programs-{arch}-{}.s", if old { "old" } else { "new" }));
    let mut command = Command::new(std::env::var_os("CLANG").unwrap_or_else(|| "clang".into()));
    command.args([
        "-g",
        "-O2",
        "-target",
        "bpf",
        "-mcpu=v3",
        "-Wall",
        "-Werror",
        "-Wno-unused-function",
        "-fstack-usage",
        "-S",
    ]);
    command.arg(format!("-D__TARGET_ARCH_{arch}"));
    command.args([concat!("-I", env!("OUT_DIR")), concat!("-I", env!("CRYPTO_TRACE_LIBBPF_INCLUDE"))]);
    command.args(old.then_some("-DCT_OLD_KERNEL")).arg("-o").arg(&assembly);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bpf/crypto_trace.bpf.c"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the programs do not compile for {name}:\n{said}");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    Build { name, assembly: read(&assembly), stack: read(&assembly.with_extension("su")) }
}

/// Functions, their stack in bytes, and what each calls, callbacks included: a kernel counts them as called where they are named.
struct Calls<'a>(BTreeMap<&'a str, (u32, Vec<&'a str>)>);

impl<'a> Calls<'a> {
    /// Of the assembly, and of lines `file:line:function TAB bytes TAB kind`, as -fstack-usage writes them.
    fn new(assembly: &'a str, stack: &'a str) -> Self {
        let mut functions = BTreeMap::new();
        for line in stack.lines() {
            let mut columns = line.split('\t');
            let function = columns.next().unwrap().rsplit(':').next().unwrap();
            functions.insert(function, (columns.next().unwrap().parse().unwrap(), Vec::new()));
        }
        let mut calls = Self(functions);
        let mut within = None;
        for line in assembly.lines() {
            if let Some(label) =
                line.split_once(':').map(|(label, _)| label).filter(|label| calls.0.contains_key(label))
            {
                within = Some(label);
            }
            let mut words = line.split_whitespace();
            let target = match (words.next(), words.next(), words.next(), words.next()) {
                (Some("call"), Some(target), ..) => target,
                (Some(_), Some("="), Some(target), Some("ll")) => target,
                _ => continue,
            };
            let is_function = calls.0.contains_key(target);
            if let (true, Some((_, called))) = (is_function, within.and_then(|within| calls.0.get_mut(within))) {
                called.push(target);
            }
        }
        calls
    }

    /// The chain from `function` on that needs most stack, with what it needs, and the one of most functions.
    fn deepest(&self, function: &'a str, above: &mut Vec<&'a str>) -> (u32, Vec<String>, usize) {
        assert!(!above.contains(&function), "{function} calls itself: {above:?}");
        above.push(function);
        let (bytes, called) = &self.0[function];
        let mut most = (0, Vec::new(), 0);
        for target in called {
            let (bytes, chain, frames) = self.deepest(target, above);
            if bytes > most.0 {
                (most.0, most.1) = (bytes, chain);
            }
            most.2 = most.2.max(frames);
        }
        above.pop();
        let rounded = bytes.max(&1).next_multiple_of(ROUNDED_TO);
        most.1.insert(0, format!("{function} {rounded}"));
        (most.0 + rounded, most.1, most.2 + 1)
    }

    /// What a kernel would refuse.
    fn refused(&self) -> Vec<String> {
        let mut refused = Vec::new();
        for function in self.0.keys() {
            let (bytes, chain, frames) = self.deepest(function, &mut Vec::new());
            if bytes > MOST_BYTES {
                refused.push(format!("{bytes} bytes of stack: {}", chain.join(" > ")));
            }
            if frames > MOST_FRAMES {
                refused.push(format!("{frames} functions in a chain from {function}"));
            }
        }
        refused
    }
}

/// Twice the programs for arm64 no longer compiled, and only whoever had such a machine would have seen it.
#[test]
fn the_programs_compile_for_every_architecture_and_kernel() {
    assert_eq!(builds().len(), 4);
    for build in builds() {
        assert!(build.assembly.contains("sys_exit:"), "no programs for {}", build.name);
    }
}

/// Linux 5.10 and 6.1 refused the programs because of the stack of all calls together, which other kernels let pass.
#[test]
fn no_chain_of_calls_has_more_stack_than_kernels_allow() {
    for build in builds() {
        let calls = Calls::new(&build.assembly, &build.stack);
        let edges: usize = calls.0.values().map(|(_, called)| called.len()).sum();
        assert!(calls.0.len() > 40 && edges > 40, "{} functions, {edges} calls: not read", calls.0.len());
        let refused = calls.refused();
        assert!(
            refused.is_empty(),
            "{}: {} chains would be refused:\n{}",
            build.name,
            refused.len(),
            refused.join("\n")
        );
    }
}

#[test]
fn a_chain_that_is_too_deep_is_told() {
    let stack = "a.c:1:top\t240\tstatic\na.c:2:middle\t8\tstatic\na.c:3:step\t225\tstatic\n";
    let assembly = "top:                  # @top\n\tcall 113\n\tcall middle\nmiddle:\n\tr2 = step ll\n\tcall 181\nstep:\n\tr1 = scratch ll\n";
    assert_eq!(Calls::new(assembly, stack).refused(), ["544 bytes of stack: top 256 > middle 32 > step 256"]);
    let less = stack.replace("225", "224");
    assert_eq!(Calls::new(assembly, &less).refused(), [""; 0]);
    let unused = assembly.replace("step ll", "other ll");
    assert_eq!(Calls::new(&unused, stack).refused(), [""; 0]);
}
