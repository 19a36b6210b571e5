//! Records read back from segments, owned and decoded, for tests to ask about.

use std::path::PathBuf;

use crypto_trace_format::record::{
    ApiCall, ApiCallFixed, CertificateFile, CertificateFileFixed, ClockFixed, FileChange, FileChangeFixed, FileOpen,
    FileOpenFixed, Header, Inventory, InventoryFixed, LibLoad, LibLoadFixed, LibraryInfo, LibraryInfoFixed, Loss,
    LossFixed, ProbeStatus, ProbeStatusFixed, ProcessExec, ProcessExecFixed, ProcessExit, ProcessExitFixed,
    ProcessFork, ProcessForkFixed, ProcessInfo, ProcessInfoFixed, Record, SelfStats, SelfStatsFixed, Suppressed,
    SuppressedFixed, TlsHello, TlsHelloFixed, trim_comm,
};
use crypto_trace_format::segment::{BlockBuffer, Fault, SegmentMeta, SegmentReader, StreamItem, StreamReader};

/// One record.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its header.
    pub header: Header,
    /// Its body.
    pub body: Body,
}

impl Event {
    /// Who: process id and start.
    pub fn process(&self) -> (u32, u64) {
        (self.header.tgid, self.header.start_ns)
    }

    /// Thread name.
    pub fn comm(&self) -> &[u8] {
        trim_comm(&self.header.comm)
    }

    /// Whether this flag of `record::flags` is set.
    pub fn has(&self, flag: u16) -> bool {
        self.header.flags & flag != 0
    }
}

/// What happened.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as the record kinds")]
pub enum Body {
    Exec(Exec),
    Fork(ProcessForkFixed),
    Exit(ProcessExitFixed),
    Open(Open),
    Change(Change),
    Lib(Lib),
    Hello(TlsHelloFixed),
    Call(Call),
    Library(Library),
    Info(Info),
    Loss(LossFixed),
    Clock(ClockFixed),
    Probe(Probe),
    Stats(SelfStatsFixed),
    Suppressed(SuppressedFixed),
    Look(InventoryFixed),
    /// `certificate_file`.
    Certificate(CertificateFileFixed),
}

/// `process_exec`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Exec {
    pub fixed: ProcessExecFixed,
    pub exe: Vec<u8>,
    pub argv: Vec<u8>,
    pub cwd: Vec<u8>,
    pub cgroup: Vec<u8>,
}

impl Exec {
    /// Arguments, as far as recorded.
    pub fn args(&self) -> Vec<&[u8]> {
        self.argv.strip_suffix(b"\0").unwrap_or(&self.argv).split(|byte| *byte == 0).collect()
    }
}

/// `file_open`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Open {
    pub fixed: FileOpenFixed,
    pub path: Vec<u8>,
    pub given: Vec<u8>,
    pub dir: Vec<u8>,
}

/// `file_change`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Change {
    pub fixed: FileChangeFixed,
    pub path: Vec<u8>,
    pub dir: Vec<u8>,
    pub new: Vec<u8>,
    pub new_dir: Vec<u8>,
}

/// `lib_load`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Lib {
    pub fixed: LibLoadFixed,
    pub path: Vec<u8>,
}

/// `process_info`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Info {
    pub fixed: ProcessInfoFixed,
    pub exe: Vec<u8>,
    pub argv: Vec<u8>,
}

/// `api_call`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Call {
    pub fixed: ApiCallFixed,
    pub function: String,
    pub text: String,
}

/// `library_info`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Library {
    pub fixed: LibraryInfoFixed,
    pub path: String,
    pub family: String,
    pub version: String,
    pub build_id: Vec<u8>,
    pub message: String,
}

/// `probe_status`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in the record")]
pub struct Probe {
    pub fixed: ProbeStatusFixed,
    pub probe: String,
    pub target: String,
    pub message: String,
}

/// All records of a capture, in file order.
#[derive(Debug, Default)]
pub struct Trace {
    /// Records.
    pub events: Vec<Event>,
    /// What could not be read.
    pub faults: Vec<Fault>,
    /// Header of each segment.
    pub metas: Vec<SegmentMeta>,
    /// Raw bytes of all records.
    pub raw: Vec<u8>,
}

impl Trace {
    /// Reads segment files.
    pub fn read(segments: &[PathBuf]) -> Self {
        Self::read_each(segments, false)
    }

    /// Reads segment files that are being written, and may be gone or empty.
    pub fn read_so_far(segments: &[PathBuf]) -> Self {
        Self::read_each(segments, true)
    }

    fn read_each(segments: &[PathBuf], being_written: bool) -> Self {
        let mut trace = Self::default();
        let mut buffer = BlockBuffer::default();
        for path in segments {
            let reader = match SegmentReader::open(path) {
                Ok(reader) => reader,
                Err(_) if being_written => continue,
                Err(error) => panic!("{}: {error}", path.display()),
            };
            trace.metas.push(reader.meta().clone());
            trace.faults.extend(reader.faults().iter().cloned());
            for index in 0..reader.blocks().len() {
                match reader.read_block(index, &mut buffer) {
                    Ok(()) => trace.take(&buffer),
                    Err(fault) => trace.faults.push(fault),
                }
            }
        }
        trace
    }

    /// Reads a stream.
    pub fn read_stream(bytes: &[u8]) -> Self {
        let mut trace = Self::default();
        let mut buffer = BlockBuffer::default();
        let mut reader = StreamReader::new(bytes);
        while let Some(item) = reader.next(&mut buffer).unwrap() {
            match item {
                StreamItem::Segment(meta) => trace.metas.push(meta),
                StreamItem::Block(_) => trace.take(&buffer),
                StreamItem::Fault(fault) => trace.faults.push(fault),
            }
        }
        trace
    }

    fn take(&mut self, buffer: &BlockBuffer) {
        self.raw.extend_from_slice(buffer.raw());
        for record in buffer.records() {
            let record = record.unwrap();
            self.events.push(Event { header: record.header, body: body(&record) });
        }
    }

    /// Events of one kind, with their bodies.
    fn select<'a, T: 'a>(&'a self, pick: impl Fn(&'a Body) -> Option<&'a T>) -> Vec<(&'a Event, &'a T)> {
        self.events.iter().filter_map(|event| pick(&event.body).map(|body| (event, body))).collect()
    }

    /// All `process_exec`.
    pub fn execs(&self) -> Vec<(&Event, &Exec)> {
        self.select(|body| if let Body::Exec(exec) = body { Some(exec) } else { None })
    }

    /// All `process_fork`.
    pub fn forks(&self) -> Vec<(&Event, &ProcessForkFixed)> {
        self.select(|body| if let Body::Fork(fork) = body { Some(fork) } else { None })
    }

    /// All `process_exit`.
    pub fn exits(&self) -> Vec<(&Event, &ProcessExitFixed)> {
        self.select(|body| if let Body::Exit(exit) = body { Some(exit) } else { None })
    }

    /// All `file_open`.
    pub fn opens(&self) -> Vec<(&Event, &Open)> {
        self.select(|body| if let Body::Open(open) = body { Some(open) } else { None })
    }

    /// All `lib_load`.
    pub fn libs(&self) -> Vec<(&Event, &Lib)> {
        self.select(|body| if let Body::Lib(lib) = body { Some(lib) } else { None })
    }

    /// All `process_info`.
    pub fn infos(&self) -> Vec<(&Event, &Info)> {
        self.select(|body| if let Body::Info(info) = body { Some(info) } else { None })
    }

    /// All `loss`.
    pub fn losses(&self) -> Vec<(&Event, &LossFixed)> {
        self.select(|body| if let Body::Loss(loss) = body { Some(loss) } else { None })
    }

    /// All `suppressed`.
    pub fn suppressed(&self) -> Vec<(&Event, &SuppressedFixed)> {
        self.select(|body| if let Body::Suppressed(suppressed) = body { Some(suppressed) } else { None })
    }

    /// All `probe_status`.
    pub fn probes(&self) -> Vec<(&Event, &Probe)> {
        self.select(|body| if let Body::Probe(probe) = body { Some(probe) } else { None })
    }

    /// All `tls_hello`.
    pub fn hellos(&self) -> Vec<(&Event, &TlsHelloFixed)> {
        self.select(|body| if let Body::Hello(hello) = body { Some(hello) } else { None })
    }

    /// All `api_call`.
    pub fn calls(&self) -> Vec<(&Event, &Call)> {
        self.select(|body| if let Body::Call(call) = body { Some(call) } else { None })
    }

    /// All `library_info`.
    pub fn libraries(&self) -> Vec<(&Event, &Library)> {
        self.select(|body| if let Body::Library(library) = body { Some(library) } else { None })
    }

    /// The last `self_stats`.
    pub fn stats(&self) -> SelfStatsFixed {
        let all = self.select(|body| if let Body::Stats(stats) = body { Some(stats) } else { None });
        *all.last().expect("a sealed capture ends in self_stats").1
    }

    /// The opens whose path, as recorded, ends in `name`.
    pub fn opens_of(&self, name: &str) -> Vec<(&Event, &Open)> {
        let mut opens = self.opens();
        opens.retain(|(_, open)| open.path.ends_with(name.as_bytes()));
        opens
    }

    /// The one open whose path ends in `name`.
    pub fn open_of(&self, name: &str) -> (&Event, &Open) {
        let opens = self.opens_of(name);
        assert_eq!(opens.len(), 1, "opens of {name}, of {:#?}", self.opens());
        opens[0]
    }

    /// Records that came from the kernel: everything but what the capture says of itself and of /proc.
    pub fn from_kernel(&self) -> Vec<&Event> {
        let from_proc = |event: &Event| event.has(crypto_trace_format::record::flags::FROM_PROC);
        self.events.iter().filter(|event| event.header.kind < 16 && !from_proc(event)).collect()
    }
}

fn body(record: &Record<'_>) -> Body {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match record.kind() {
        ApiCall::KIND => {
            let ApiCall { fixed, function, text: argument, .. } = ApiCall::decode(record).unwrap();
            Body::Call(Call { fixed, function: text(function), text: text(argument) })
        }
        Suppressed::KIND => Body::Suppressed(Suppressed::decode(record).unwrap().fixed),
        LibraryInfo::KIND => {
            let library = LibraryInfo::decode(record).unwrap();
            Body::Library(Library {
                fixed: library.fixed,
                path: text(library.path),
                family: text(library.family),
                version: text(library.version),
                build_id: library.build_id.to_vec(),
                message: text(library.message),
            })
        }
        ProcessExec::KIND => {
            let exec = ProcessExec::decode(record).unwrap();
            let ProcessExec { fixed, exe, argv, cwd, cgroup, .. } = exec;
            let (exe, argv, cwd, cgroup) = (exe.to_vec(), argv.to_vec(), cwd.to_vec(), cgroup.to_vec());
            Body::Exec(Exec { fixed, exe, argv, cwd, cgroup })
        }
        ProcessFork::KIND => Body::Fork(ProcessFork::decode(record).unwrap().fixed),
        ProcessExit::KIND => Body::Exit(ProcessExit::decode(record).unwrap().fixed),
        FileOpen::KIND => {
            let FileOpen { fixed, path, given, dir, .. } = FileOpen::decode(record).unwrap();
            Body::Open(Open { fixed, path: path.to_vec(), given: given.to_vec(), dir: dir.to_vec() })
        }
        FileChange::KIND => {
            let FileChange { fixed, path, dir, new, new_dir, .. } = FileChange::decode(record).unwrap();
            let (path, dir, new, new_dir) = (path.to_vec(), dir.to_vec(), new.to_vec(), new_dir.to_vec());
            Body::Change(Change { fixed, path, dir, new, new_dir })
        }
        LibLoad::KIND => {
            let lib = LibLoad::decode(record).unwrap();
            Body::Lib(Lib { fixed: lib.fixed, path: lib.path.to_vec() })
        }
        ProcessInfo::KIND => {
            let ProcessInfo { fixed, exe, argv, .. } = ProcessInfo::decode(record).unwrap();
            Body::Info(Info { fixed, exe: exe.to_vec(), argv: argv.to_vec() })
        }
        TlsHello::KIND => Body::Hello(TlsHello::decode(record).unwrap().fixed),
        Loss::KIND => Body::Loss(Loss::decode(record).unwrap().fixed),
        ProbeStatus::KIND => {
            let ProbeStatus { fixed, probe, target, message, .. } = ProbeStatus::decode(record).unwrap();
            Body::Probe(Probe { fixed, probe: text(probe), target: text(target), message: text(message) })
        }
        SelfStats::KIND => Body::Stats(SelfStats::decode(record).unwrap().fixed),
        Inventory::KIND => Body::Look(Inventory::decode(record).unwrap().fixed),
        CertificateFile::KIND => Body::Certificate(CertificateFile::decode(record).unwrap().fixed),
        crypto_trace_format::record::Clock::KIND => {
            Body::Clock(crypto_trace_format::record::Clock::decode(record).unwrap().fixed)
        }
        kind => panic!("unknown record kind {kind:?}"),
    }
}
