//! What the two threads do for each record, without a kernel: for counting its instructions (`cargo xtask instructions`).

use std::cell::RefCell;
use std::sync::mpsc::{channel, sync_channel};

use anyhow::Context as _;
use crypto_trace_format::record::Records;
use crypto_trace_format::segment::{BlockBuilder, SegmentMeta, SegmentWriter};

use crate::out::writer::Message;
use crate::session::drain::Blocks;
use crate::session::filter::RecordFilter;
use crate::session::stats::Accounting;

/// As `record` has it by default.
const COMPRESSION_LEVEL: i32 = 1;

/// The drain thread's part: these records, as from a ring, into blocks; `each` takes the full ones. Returns how many records
/// were recorded.
///
/// # Errors
/// Never, but for a defect.
pub fn drain(records: &[u8], mut each: impl FnMut(&BlockBuilder)) -> anyhow::Result<u64> {
    let (recycle, recycled) = channel();
    let (queue, messages) = sync_channel(4);
    let filter = RecordFilter::new(&[], &[])?;
    let blocks = RefCell::new(Blocks::new(filter, None, None, recycled, Accounting::new(0)));
    let mut take = || {
        while let Ok(message) = messages.try_recv() {
            if let Message::Block { mut block, .. } = message {
                each(&block);
                block.clear();
                let _ = recycle.send(block);
            }
        }
    };
    for record in Records::new(records) {
        blocks.borrow_mut().push(record?.bytes());
        if blocks.borrow().is_backlogged() {
            blocks.borrow_mut().ship(&queue, false);
            take();
        }
    }
    crate::session::drain::flush(&blocks, &queue);
    take();
    Ok(blocks.into_inner().accounting.recorded)
}

/// Both threads' part: the same, and the blocks compressed and written to nowhere.
///
/// # Errors
/// When compression fails.
pub fn drain_and_write(records: &[u8]) -> anyhow::Result<u64> {
    let meta = SegmentMeta::default();
    let mut writer =
        SegmentWriter::create(std::io::sink(), &meta, COMPRESSION_LEVEL).context("cannot begin a segment")?;
    let mut result = Ok(());
    let recorded = drain(records, |block| {
        if result.is_ok() {
            result = writer.write_block(block, 0, 0, false);
        }
    })?;
    result.context("cannot write a block")?;
    writer.finish().context("cannot finish the segment")?;
    Ok(recorded)
}
