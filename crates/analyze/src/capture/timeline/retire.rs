//! Forgetting processes that ended, so that a live reader can run for ever.

use super::strings::StringId;
use super::{Image, NONE, Process, TICK_NS, Timeline, index};

impl Timeline {
    /// How many processes are known.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is known.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Forgets processes that ended before a boot time, unless they are parents of others that are kept. All process and
    /// image numbers change.
    pub fn retire(&mut self, before_ns: u64) {
        let alive = |process: &Process| process.exit_ns.is_none_or(|exit_ns| exit_ns >= before_ns);
        let mut keep: Vec<bool> = self.processes.iter().map(alive).collect();
        for process in self.processes.iter().filter(|process| alive(process)) {
            let of_images = process.images.iter().filter_map(|id| self.images.get(index(*id)));
            for parent in of_images.map(|image| image.parent).chain([process.parent]) {
                if let Some(keep) = keep.get_mut(index(parent)) {
                    *keep = true;
                }
            }
        }
        let mut kept = Self::new(self.limits);
        kept.refused = self.refused;
        let mut next = 0..NONE;
        let numbers: Vec<u32> =
            keep.iter().map(|keep| if *keep { next.next().unwrap_or(NONE) } else { NONE }).collect();
        let number = |old: u32| numbers.get(index(old)).copied().unwrap_or(NONE);
        for (old, process) in (0u32..).zip(&self.processes) {
            if number(old) != NONE {
                self.copy_process(&mut kept, process, &number);
            }
        }
        *self = kept;
    }

    fn copy_process(&self, kept: &mut Self, process: &Process, number: &impl Fn(u32) -> u32) {
        let new = u32::try_from(kept.processes.len()).unwrap_or(NONE);
        kept.by_start.insert((process.tgid, process.start_ns), new);
        kept.by_tick.insert((process.tgid, process.start_ns / TICK_NS), new);
        let previous = kept.by_tgid.insert(process.tgid, new).unwrap_or(NONE);
        let mut images = Vec::with_capacity(process.images.len());
        for image in process.images.iter().filter_map(|id| self.images.get(index(*id))) {
            images.push(u32::try_from(kept.images.len()).unwrap_or(NONE));
            let source = self.source(image);
            let mut copy = |id: StringId| {
                let string = self.strings.get(id).unwrap_or_default();
                // There were no fewer strings before.
                kept.strings.intern(string).unwrap_or(StringId::NONE)
            };
            let image = Image {
                process: new,
                exe: copy(source.exe),
                argv: copy(source.argv),
                cgroup: copy(image.cgroup.or(source.cgroup)),
                container: copy(image.container.or(source.container)),
                argv_cut: source.argv_cut,
                parent: number(image.parent),
                inherits: image.inherits && source.exe.is_none(),
                ..image.clone()
            };
            kept.images.push(image);
        }
        kept.processes.push(Process { previous, parent: number(process.parent), images, ..*process });
    }
}
