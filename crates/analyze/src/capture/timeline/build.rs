//! Filling a timeline from lifecycle records, in the order the capture wrote them.
//!
//! That order is causal: a child's fork comes after its parent's exec. What was already running when the capture began
//! arrives as process_info, perhaps after the first records of its children.

use super::container::container_id;
use super::strings::{OverBudget, StringId};
use super::{Image, NONE, Process, ProcessId, TICK_NS, Timeline, index};
use crypto_trace_format::record::{
    Header, Kind, ProcessExec, ProcessExit, ProcessFork, ProcessInfo, Record, RecordError, flags,
};

/// Images one process may have: a process that execs in a loop must not make lookups slow.
const MAX_IMAGES_PER_PROCESS: usize = 1 << 16;

/// What an exec or a look at /proc tells of a process.
struct Told<'a> {
    ppid: u32,
    parent: u32,
    exe: &'a [u8],
    argv: &'a [u8],
    argv_full_len: u32,
    cgroup: &'a [u8],
}

impl Timeline {
    /// Takes in one record. Kinds that say nothing of processes are ignored.
    ///
    /// # Errors
    /// When the record's body is malformed.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        let header = &record.header;
        let outcome = match Kind(header.kind) {
            ProcessExec::KIND => {
                let exec = ProcessExec::decode(record)?;
                self.exec(header, &exec)
            }
            ProcessFork::KIND => {
                let fork = ProcessFork::decode(record)?;
                self.fork(header, &fork)
            }
            ProcessInfo::KIND => {
                let info = ProcessInfo::decode(record)?;
                self.info(header, &info)
            }
            ProcessExit::KIND => self.exit(header),
            _ => Ok(()),
        };
        self.refused += u64::from(outcome.is_err());
        Ok(())
    }

    fn exec(&mut self, header: &Header, exec: &ProcessExec<'_>) -> Result<(), OverBudget> {
        let process = self.ensure(header.tgid, header.start_ns, is_tick(header))?;
        let parent = self.ensure_parent(exec.fixed.ppid, exec.fixed.parent_start_ns);
        self.set_parent(process, parent, exec.fixed.ppid);
        let told = Told {
            ppid: exec.fixed.ppid,
            parent,
            exe: exec.exe,
            argv: exec.argv,
            argv_full_len: exec.fixed.argv_full_len,
            cgroup: exec.cgroup,
        };
        let image = self.told_image(process, header, header.time_ns, &told)?;
        self.add_image(image)
    }

    fn fork(&mut self, header: &Header, fork: &ProcessFork<'_>) -> Result<(), OverBudget> {
        let child = self.ensure(header.tgid, header.start_ns, is_tick(header))?;
        let parent = self.ensure_parent(fork.fixed.ppid, fork.fixed.parent_start_ns);
        if parent == child {
            return Ok(());
        }
        self.set_parent(child, parent, fork.fixed.ppid);
        let inherited = self.image_at(ProcessId(parent), header.time_ns);
        let base = self.images.get(index(inherited.0)).cloned();
        let image = Image {
            process: child,
            from_ns: header.time_ns,
            comm: header.comm,
            ppid: Some(fork.fixed.ppid),
            parent,
            inherits: base.as_ref().is_none_or(|base| base.exe.is_none()),
            forked: true,
            ..base.unwrap_or_else(|| blank(child))
        };
        self.add_image(image)
    }

    fn info(&mut self, header: &Header, info: &ProcessInfo<'_>) -> Result<(), OverBudget> {
        let process = self.ensure(header.tgid, header.start_ns, is_tick(header))?;
        self.set_parent(process, NONE, info.fixed.ppid);
        let told = Told {
            ppid: info.fixed.ppid,
            parent: NONE,
            exe: info.exe,
            argv: info.argv,
            argv_full_len: info.fixed.argv_full_len,
            cgroup: info.cgroup,
        };
        let mut image = self.told_image(process, header, header.time_ns, &told)?;
        let latest = self.image_at(ProcessId(process), header.time_ns);
        let Some(known) = self.images.get_mut(index(latest.0)) else {
            // First heard of: it has been running this for as long as anyone can tell.
            image.from_ns = 0;
            return self.add_image(image);
        };
        if known.inherits {
            let (from_ns, parent, forked, comm) = (known.from_ns, known.parent, known.forked, known.comm);
            *known = Image { from_ns, parent, forked, comm, ..image };
            return Ok(());
        }
        if (known.exe, known.argv) == (image.exe, image.argv) || image.exe.is_none() {
            known.cgroup = known.cgroup.or(image.cgroup);
            known.container = known.container.or(image.container);
            return Ok(());
        }
        // An exec was missed, or argv was rewritten since.
        image.parent = known.parent;
        self.add_image(image)
    }

    fn exit(&mut self, header: &Header) -> Result<(), OverBudget> {
        if let Some(found) = self.find(header.tgid, header.start_ns, is_tick(header))
            && let Some(process) = self.processes.get_mut(index(found))
        {
            process.exit_ns = Some(header.time_ns);
        }
        Ok(())
    }

    fn told_image(
        &mut self,
        process: u32,
        header: &Header,
        from_ns: u64,
        told: &Told<'_>,
    ) -> Result<Image, OverBudget> {
        Ok(Image {
            from_ns,
            comm: header.comm,
            exe: self.strings.intern(told.exe)?,
            argv: self.strings.intern(told.argv)?,
            cgroup: self.strings.intern(told.cgroup)?,
            container: self.strings.intern(container_id(told.cgroup).unwrap_or_default())?,
            ppid: Some(told.ppid),
            parent: told.parent,
            argv_cut: usize::try_from(told.argv_full_len).is_ok_and(|full| full > told.argv.len()),
            ..blank(process)
        })
    }

    fn add_image(&mut self, image: Image) -> Result<(), OverBudget> {
        let Some(process) = self.processes.get_mut(index(image.process)) else { return Ok(()) };
        let number = u32::try_from(self.images.len()).map_err(|_| OverBudget)?;
        if self.images.len() >= self.limits.processes || process.images.len() >= MAX_IMAGES_PER_PROCESS {
            return Err(OverBudget);
        }
        let images = &self.images;
        let starts_before = |id: &u32| images.get(index(*id)).is_some_and(|known| known.from_ns <= image.from_ns);
        let at = match process.images.last() {
            Some(last) if !starts_before(last) => process.images.partition_point(starts_before),
            _ => process.images.len(),
        };
        process.images.insert(at, number);
        self.images.push(image);
        Ok(())
    }

    /// The process with this identity, made when it is new.
    fn ensure(&mut self, tgid: u32, start_ns: u64, tick: bool) -> Result<u32, OverBudget> {
        if let Some(found) = self.find(tgid, start_ns, tick) {
            if let Some(process) = self.processes.get_mut(index(found)).filter(|process| process.tick && !tick) {
                process.tick = false;
                process.start_ns = start_ns;
                self.by_start.insert((tgid, start_ns), found);
            }
            return Ok(found);
        }
        let number = u32::try_from(self.processes.len()).map_err(|_| OverBudget)?;
        if self.processes.len() >= self.limits.processes {
            return Err(OverBudget);
        }
        self.by_start.insert((tgid, start_ns), number);
        self.by_tick.insert((tgid, start_ns / TICK_NS), number);
        let previous = self.by_tgid.insert(tgid, number).unwrap_or(NONE);
        self.processes.push(Process {
            tgid,
            start_ns,
            tick,
            previous,
            parent: NONE,
            ppid: None,
            exit_ns: None,
            images: Vec::new(),
        });
        Ok(number)
    }

    /// The parent a record names; also one that no record has shown yet.
    fn ensure_parent(&mut self, ppid: u32, start_ns: u64) -> u32 {
        if start_ns == 0 && ppid == 0 {
            return NONE;
        }
        self.ensure(ppid, start_ns, false).unwrap_or(NONE)
    }

    /// The first parent heard of stays: later ones are reapers.
    fn set_parent(&mut self, process: u32, parent: u32, ppid: u32) {
        if let Some(process) = self.processes.get_mut(index(process)) {
            if process.parent == NONE {
                process.parent = parent;
            }
            process.ppid.get_or_insert(ppid);
        }
    }
}

fn is_tick(header: &Header) -> bool {
    header.flags & flags::START_IS_TICK != 0
}

fn blank(process: u32) -> Image {
    Image {
        process,
        from_ns: 0,
        comm: [0; 16],
        exe: StringId::NONE,
        argv: StringId::NONE,
        cgroup: StringId::NONE,
        container: StringId::NONE,
        ppid: None,
        parent: NONE,
        argv_cut: false,
        inherits: false,
        forked: false,
    }
}
