//! What a recording needs before it begins: the selection as the programs and the process table are told it, the programs
//! themselves, and what is made of probes that failed.

use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context as _;
use crypto_trace_bpf::{
    Budgets, CommFilter, FileSelection, LibrarySelection, ListenerOwner, LoadError, ProbeReport, Programs, Selection,
};
use crypto_trace_format::privacy::Privacy;
use crypto_trace_format::record::{Header, ProbeState, Protocol, Tier, trim_comm};

use crate::args::{CaptureArgs, PrivacyMode, UsageError, When};
use crate::exit::Failure;
use crate::libraries::Libraries;
use crate::limits::privileges;
use crate::proc::cgroup;
use crate::proc::entry::{self, Entry};
use crate::proc::listeners::Listeners;
use crate::proc::table::{TableFilter, contains};
use crate::say;
use crate::session::filter::RecordFilter;

/// Settings of the BPF programs.
pub(crate) fn selection(args: &CaptureArgs) -> Result<Selection, Failure> {
    let comms = args.name.iter().map(|name| CommFilter::new(name)).collect::<Result<_, _>>();
    let cgroups = args.cgroup.iter().map(|path| cgroup::open(path)).collect::<Result<_, _>>()?;
    Ok(Selection {
        self_tgid: std::process::id(),
        only_targets: !args.pid.is_empty() || !args.command.is_empty(),
        follow_children: args.follow_children || !args.command.is_empty(),
        comms: comms.map_err(|error| UsageError(format!("-n: {error}")))?,
        uids: args.uid.clone(),
        cgroups,
        files: match (args.file.is_empty(), args.library.is_empty()) {
            (false, _) => FileSelection::Globs(args.file.clone()),
            (true, true) => FileSelection::Catalog,
            (true, false) => FileSelection::None,
        },
        libraries: if !wants_loads(args) { LibrarySelection::None } else { LibrarySelection::Catalog },
        argv: args.argv.selection(),
        tls_cgroups: Vec::new(),
        wire: args.wire.protocols,
        kernel_crypto: args.kernel_crypto().is_wanted(),
        io_uring: args.io_uring != When::Off,
        library_calls: None,
        algorithms: args.api,
        tier: args.tier.choice(),
        budgets: Budgets { process_bytes: args.process_rate, user_bytes: args.user_rate },
    })
}

/// The cgroups whose sockets are looked at: those selected, else all; none when no TLS is wanted or possible. What is not
/// possible is told, and fails the capture only when it was asked for.
pub(crate) fn tls_cgroups(args: &CaptureArgs) -> Result<(Vec<OwnedFd>, Option<ProbeReport>), Failure> {
    if !args.wire().is_wanted() {
        return Ok((Vec::new(), None));
    }
    let found = if !privileges::may_load_network_programs() {
        Err(Failure::privileges("CAP_NET_ADMIN is missing".into()))
    } else if args.cgroup.is_empty() {
        cgroup::open_root().map(|root| vec![root])
    } else {
        args.cgroup.iter().map(|path| cgroup::open(path)).collect()
    };
    match found {
        Ok(cgroups) => Ok((cgroups, None)),
        Err(failure) if args.wire.when == When::On => Err(failure),
        Err(failure) => Ok((Vec::new(), Some(ProbeReport::failed_tls(format!("{:#}", failure.error))))),
    }
}

/// What the process table is told of the same selection.
pub(crate) fn table_filter(args: &CaptureArgs, selection: &Selection) -> Result<TableFilter, Failure> {
    let mut cgroups = Vec::new();
    for path in &args.cgroup {
        let directory = cgroup::directory(path)?;
        let below = directory.strip_prefix(cgroup::root()?).unwrap_or(&directory).to_path_buf();
        cgroups.push(Path::new("/").join(below));
    }
    Ok(TableFilter {
        targets: None,
        pids: Vec::new(),
        names: args.name.clone(),
        uids: args.uid.clone(),
        cgroups,
        self_tgid: selection.self_tgid,
        gate: None,
        libraries: selection.libraries != LibrarySelection::None,
        // With -l alone no opens are recorded either.
        files: args.library.is_empty() || !args.file.is_empty(),
        by_globs: !args.file.is_empty(),
        records: RecordFilter::new(&args.file, &args.library).map_err(|error| UsageError(error.to_string()))?,
        argv: selection.argv,
    })
}

/// Selects the processes that descend from `pids` already. Those forked meanwhile are selected by the programs.
pub(crate) fn add_descendants(programs: &Programs, pids: &[u32]) -> Result<(), Failure> {
    let mut parents = std::collections::HashMap::new();
    for pid in entry::all().context("cannot read /proc")? {
        if let Ok(stat) = Entry::open(pid).and_then(|entry| entry.stat()) {
            parents.insert(pid, stat.ppid);
        }
    }
    for pid in parents.keys().filter(|pid| !pids.contains(pid)) {
        let mut ancestor = *pid;
        // No chain of parents is longer than there are processes.
        for _ in 0..parents.len() {
            let Some(parent) = parents.get(&ancestor) else { break };
            if pids.contains(parent) {
                programs.add_target(*pid, true)?;
                break;
            }
            ancestor = *parent;
        }
    }
    Ok(())
}

/// Tells the programs what they cannot see of the selected processes that are there: that their executables have a wanted name,
/// and whose their listening sockets are; without such a selection everything that arrives is recorded, whosever it is. Names
/// that nothing has yet are reported to people: it may be a wrong one.
pub(crate) fn tell_programs(args: &CaptureArgs, programs: &Programs, table: &TableFilter, tls: bool) {
    let selected = table.selected();
    let mut listeners = Listeners::new();
    for (Header { tgid, start_ns, uid, gid, comm, .. }, _) in &selected {
        if !args.name.is_empty() {
            // Refused only when memory is short; then it is known from the first that it does.
            let _ = programs.add_image(*tgid);
        }
        if tls {
            let owner = ListenerOwner { tgid: *tgid, start_ns: *start_ns, uid: *uid, gid: *gid, comm: *comm };
            let _ = listeners.own(programs, &owner);
        }
    }
    if tls {
        listeners.tell(args.verbose);
    }
    let has = |name: &str| {
        selected.iter().any(|(header, exe)| contains(trim_comm(&header.comm), name) || contains(exe, name))
    };
    for name in args.name.iter().filter(|name| !args.quiet && !has(name)) {
        say::info(&format!("waiting for {name:?}: no running process matches -n {name}"));
    }
}

/// Whether to record who loads libraries.
fn wants_loads(args: &CaptureArgs) -> bool {
    !args.library.is_empty() || args.file.is_empty()
}

/// The finder of libraries, when calls into them are wanted.
pub(crate) fn libraries(args: &CaptureArgs) -> Result<Option<Libraries>, Failure> {
    if !args.library_calls().is_wanted() {
        return Ok(None);
    }
    // Processes that are there have loaded what they load.
    let everywhere = args.pid.is_empty() || args.follow_children;
    let only_pid = match args.pid.as_slice() {
        [pid] if !args.follow_children => Some(*pid),
        _ => None,
    };
    let budget = args.api.then_some(args.api_budget);
    Ok(Some(Libraries::start(everywhere, only_pid, budget, wants_loads(args), args.verbose)?))
}

/// Loads the programs; those for protocols beside TLS, for TLS and for library calls are done without where the kernel refuses them, unless they
/// were asked for. Which of them it is that is refused is found out by trying; no other protocol costs TLS.
pub(crate) fn load(
    args: &CaptureArgs,
    selection: &mut Selection,
    libraries: &mut Option<Libraries>,
    failures: &mut Vec<ProbeReport>,
) -> Result<Programs, Failure> {
    let sizes = args.ring_sizes()?;
    let key = match libraries {
        Some(_) => {
            let mut key = [0; 16];
            rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).context("no random bytes")?;
            let number = u128::from_ne_bytes(key);
            #[allow(clippy::cast_possible_truncation, reason = "splits 128 bits into two words")]
            Some([number as u64, (number >> 64) as u64])
        }
        None => None,
    };
    let algorithms = selection.algorithms;
    let wire = selection.wire;
    let mut cgroups = std::mem::take(&mut selection.tls_cgroups);
    let may_lack_calls = key.is_some() && args.may_lack("api_call");
    let may_lack_tls = !cgroups.is_empty() && args.may_lack("tls_hello");
    let may_lack_others = may_lack_tls && wire & TLS_ALONE != 0 && wire & !TLS_ALONE != 0;
    // Why it cannot be had: with another one only until that was done without.
    let (mut why_no_calls, mut why_no_tls, mut why_no_others) = (String::new(), String::new(), String::new());
    let mut last = None;
    for without in WITHOUT {
        if (without.calls && !may_lack_calls) || (without.tls && !may_lack_tls) || (without.others && !may_lack_others)
        {
            continue;
        }
        selection.library_calls = key.filter(|_| !without.calls);
        selection.algorithms = algorithms && !without.calls;
        selection.wire = if without.others { wire & TLS_ALONE } else { wire };
        if !without.tls {
            selection.tls_cgroups = std::mem::take(&mut cgroups);
        }
        let error = match Programs::load(selection, sizes) {
            Ok(programs) => {
                if without.calls {
                    *libraries = None;
                    failures.push(ProbeReport::failed_calls(why_no_calls));
                }
                if without.tls {
                    failures.push(ProbeReport::failed_tls(why_no_tls));
                } else if without.others {
                    failures.extend(ProbeReport::failed_beside_tls(wire, &why_no_others));
                }
                return Ok(programs);
            }
            Err(error @ LoadError::Failed { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        if !without.calls {
            why_no_calls = error.to_string();
        }
        if !without.tls {
            why_no_tls = error.to_string();
            cgroups = std::mem::take(&mut selection.tls_cgroups);
        }
        if !without.tls && !without.others {
            why_no_others = error.to_string();
        }
        last = Some(error);
    }
    Err(last.map_or_else(|| Failure::bpf("nothing was loaded".to_owned()), Failure::from))
}

/// What no other protocol may cost.
const TLS_ALONE: u16 = Protocol::TLS.bit();

/// What is done without, in the order in which that is tried: as little as possible.
struct Without {
    calls: bool,
    others: bool,
    tls: bool,
}

const WITHOUT: [Without; 6] = [
    Without { calls: false, others: false, tls: false },
    Without { calls: false, others: true, tls: false },
    Without { calls: true, others: false, tls: false },
    Without { calls: true, others: true, tls: false },
    Without { calls: false, others: false, tls: true },
    Without { calls: true, others: false, tls: true },
];

/// A probe that failed would leave silence that looks like absence: then nothing is recorded at all, unless it is one that
/// not every host can have and nobody asked for; that is reported, and recorded.
pub(crate) fn check_probes(args: &CaptureArgs, probes: &[ProbeReport]) -> Result<(), Failure> {
    let io_uring = probes.iter().find(|probe| probe.target.ends_with("io_uring_complete"));
    if let (When::On, Some(probe)) = (args.io_uring, io_uring.filter(|probe| probe.state != ProbeState::ATTACHED)) {
        return Err(Failure::unsupported(format!("--io-uring on: {}", probe.message)));
    }
    let failed = probes.iter().filter(|probe| probe.state == ProbeState::FAILED);
    let (optional, needed): (Vec<_>, Vec<_>) = failed.partition(|probe| args.may_lack(probe.probe));
    // Of others some calls are always seen so, those of 32-bit programs; this is of the tier that was asked for by name: `auto` does not take it where what it misses is not counted.
    let uncounted = probes.iter().find(|probe| {
        let by_kprobe = probe.tier == Tier::KPROBE && probe.state == ProbeState::ATTACHED;
        // Beside fexit programs kretprobes only see what hardly anybody calls.
        let beside = |other: &ProbeReport| other.probe == probe.probe && other.tier == Tier::FENTRY;
        by_kprobe
            && !probes.iter().any(beside)
            && ["file_open", "lib_load"].contains(&probe.probe)
            && !probe.message.is_empty()
    });
    if let Some(probe) = uncounted {
        say::warning(&format!("{} on {}: {}", probe.probe, probe.target, probe.message));
    }
    for probe in optional {
        say::warning(&format!("no {} on {}: {}", probe.probe, probe.target, probe.message));
    }
    if needed.is_empty() {
        return Ok(());
    }
    let list: Vec<_> =
        needed.iter().map(|probe| format!("{} on {}: {}", probe.probe, probe.target, probe.message)).collect();
    Err(Failure::bpf(format!("cannot attach {}", list.join("; "))))
}

/// What becomes of names and addresses. The key of pseudonyms is of this run alone and is written nowhere.
pub(crate) fn privacy(args: &CaptureArgs) -> Result<Option<Privacy>, Failure> {
    Ok(match args.privacy {
        PrivacyMode::Off => None,
        PrivacyMode::Drop => Some(Privacy::Drop),
        PrivacyMode::Hash => {
            let mut key = [0; 32];
            rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).context("no random bytes")?;
            Some(Privacy::Hash(key))
        }
    })
}
