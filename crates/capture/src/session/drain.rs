//! The drain thread's work: from the rings into blocks, from full blocks into the writer's queue. A copy per record, nothing
//! else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use crypto_trace_bpf::Rings;
use crypto_trace_format::privacy::{Anonymizer, Privacy};
use crypto_trace_format::record::{Record, Records};
use crypto_trace_format::segment::{BlockBuilder, BlockType};

use crate::libraries::Notices;
use crate::out::writer::{BLOCK_BYTES, Message};
use crate::session::filter::RecordFilter;
use crate::session::stats::{Accounting, from_rings};

/// Records taken from a ring in one go.
const EVENTS_PER_PASS: usize = 1024;
const LIFECYCLE_PER_PASS: usize = 4096;

/// A drain gives way to everything else at least this often.
const LONGEST_DRAIN: Duration = Duration::from_millis(100);

/// Blocks being filled, and full ones waiting for room in the queue.
pub struct Blocks {
    lifecycle: BlockBuilder,
    events: BlockBuilder,
    full: VecDeque<BlockBuilder>,
    recycled: Receiver<BlockBuilder>,
    filter: RecordFilter,
    filter_passes_all: bool,
    anonymizer: Option<Anonymizer>,
    /// Libraries and processes to look at, when calls into libraries are wanted.
    pub notices: Option<Notices>,
    discarding: bool,
    /// Counts of everything that passed here.
    pub accounting: Accounting,
}

/// Whether everything was drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The rings were empty.
    All,
    /// The writer's queue is full, or time was up: there is more.
    More,
}

impl Blocks {
    /// Empty blocks. Emptied ones come back from the writer over `recycled`.
    pub fn new(
        filter: RecordFilter,
        privacy: Option<Privacy>,
        notices: Option<Notices>,
        recycled: Receiver<BlockBuilder>,
        accounting: Accounting,
    ) -> Self {
        Self {
            lifecycle: new_block(BlockType::Lifecycle),
            events: new_block(BlockType::Events),
            full: VecDeque::new(),
            recycled,
            filter_passes_all: filter.passes_all(),
            anonymizer: privacy.map(Anonymizer::new),
            notices,
            filter,
            discarding: false,
            accounting,
        }
    }

    /// Takes one record from a ring.
    pub fn push(&mut self, bytes: &[u8]) {
        let Ok(record) = Record::parse(bytes) else {
            self.accounting.malformed += 1;
            return;
        };
        if let Some(notices) = &mut self.notices {
            notices.see(&record);
        }
        if !self.filter_passes_all {
            let kept = self.filter.keeps(&record);
            self.accounting.note_library(&record, kept);
            if !kept {
                self.accounting.filtered += 1;
                return;
            }
        }
        if self.discarding {
            self.accounting.discarded += 1;
            return;
        }
        self.accounting.recorded += 1;
        self.accounting.raw_bytes += record.bytes().len() as u64;
        match self.anonymizer.as_mut().and_then(|anonymizer| anonymizer.apply(&record)) {
            Some(bytes) => self.push_own(&bytes),
            None => self.append(&record),
        }
    }

    /// Takes records made of what the BPF programs counted: as good as from a ring.
    pub fn push_counts(&mut self, bytes: &[u8]) {
        for record in Records::new(bytes).flatten() {
            self.accounting.counts += 1;
            self.push(record.bytes());
        }
    }

    /// Whether there is more than the writer's queue takes.
    pub fn is_backlogged(&self) -> bool {
        !self.full.is_empty()
    }

    /// From now on records from the rings are only counted.
    pub fn discard(&mut self) {
        self.discarding = true;
    }

    /// Takes records of what was found in /proc, as far as it is wanted.
    pub fn push_found(&mut self, bytes: &[u8]) {
        for record in Records::new(bytes).flatten() {
            if self.filter_passes_all || self.filter.keeps(&record) {
                self.append(&record);
            }
        }
    }

    /// Appends records made in user space.
    pub fn push_own(&mut self, bytes: &[u8]) {
        for record in Records::new(bytes).flatten() {
            self.append(&record);
        }
    }

    fn append(&mut self, record: &Record<'_>) {
        let block = if record.kind().is_lifecycle() { &mut self.lifecycle } else { &mut self.events };
        block.push(&record.header, record.bytes());
        if block.len_bytes() >= BLOCK_BYTES {
            self.close(record.kind().is_lifecycle());
        }
    }

    /// Moves the block being filled to the full ones; lifecycle first, so that a reader of the stream knows a process
    /// before it sees its events.
    fn close(&mut self, lifecycle_only: bool) {
        if !self.lifecycle.is_empty() {
            let next = self.take_empty(BlockType::Lifecycle);
            self.full.push_back(std::mem::replace(&mut self.lifecycle, next));
        }
        if !lifecycle_only && !self.events.is_empty() {
            let next = self.take_empty(BlockType::Events);
            self.full.push_back(std::mem::replace(&mut self.events, next));
        }
    }

    fn take_empty(&mut self, block_type: BlockType) -> BlockBuilder {
        match self.recycled.try_recv() {
            Ok(mut block) => {
                block.set_type(block_type);
                block
            }
            Err(_) => new_block(block_type),
        }
    }

    /// Hands full blocks to the writer; false when its queue has no room.
    pub fn ship(&mut self, queue: &SyncSender<Message>, flush: bool) -> bool {
        let lost = self.accounting.lost();
        while let Some(block) = self.full.pop_front() {
            let flush_end = flush && self.full.is_empty();
            match queue.try_send(Message::Block { block, lost, flush_end }) {
                Ok(()) => {}
                Err(
                    TrySendError::Full(Message::Block { block, .. })
                    | TrySendError::Disconnected(Message::Block { block, .. }),
                ) => {
                    self.full.push_front(block);
                    return false;
                }
                Err(_) => return false,
            }
        }
        true
    }
}

fn new_block(block_type: BlockType) -> BlockBuilder {
    BlockBuilder::new(block_type, BLOCK_BYTES + (32 << 10))
}

/// Drains both rings into blocks and full blocks into the queue.
///
/// Events first and lifecycle second: what an event's process did before it is then always in the blocks too.
pub fn drain(rings: &mut Rings, blocks: &RefCell<Blocks>, queue: &SyncSender<Message>) -> Drained {
    let started = Instant::now();
    let before = blocks.borrow().accounting.raw_bytes;
    let result = loop {
        if !blocks.borrow_mut().ship(queue, false) {
            break Drained::More;
        }
        let mut blocks = blocks.borrow_mut();
        let events = rings.drain_events(EVENTS_PER_PASS, |bytes| blocks.push(bytes));
        let lifecycle = rings.drain_lifecycle(LIFECYCLE_PER_PASS, |bytes| blocks.push(bytes));
        if events == 0 && lifecycle == 0 {
            break Drained::All;
        }
        if started.elapsed() > LONGEST_DRAIN {
            break Drained::More;
        }
    };
    let accounting = &mut blocks.borrow_mut().accounting;
    let taken = accounting.raw_bytes - before;
    accounting.ring_peak_bytes = accounting.ring_peak_bytes.max(taken);
    accounting.ring_fill_bytes = accounting.ring_fill_bytes.max(taken);
    result
}

/// Closes the blocks being filled and hands them over, as far as the queue has room.
pub fn flush(blocks: &RefCell<Blocks>, queue: &SyncSender<Message>) -> bool {
    let mut blocks = blocks.borrow_mut();
    // Blocks that wait already keep their order; closing more of them would only add to the heap.
    if blocks.full.is_empty() {
        blocks.close(false);
    }
    blocks.ship(queue, true)
}

/// Records from the rings still in user space, which a writer that gives up will not see.
pub fn unwritten(blocks: &RefCell<Blocks>) -> u64 {
    let blocks = blocks.borrow();
    blocks.full.iter().chain([&blocks.lifecycle, &blocks.events]).map(from_rings).sum()
}
