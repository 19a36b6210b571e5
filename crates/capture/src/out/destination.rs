//! Where a recording goes: segment files, a stream on standard output, or the analyzer that renders it.

use std::ffi::OsString;
use std::io::BufWriter;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crypto_trace_format::segment::{SegmentMeta, SegmentStore, SegmentWriter, StoreOptions};

use crate::args::RecordArgs;
use crate::exit::Failure;
use crate::out::output;
use crate::out::renderer::{Renderer, RendererCommand, user_behind_sudo};
use crate::out::stream::StreamOutput;
use crate::out::writer::{Shared, Sink};

/// How often what is rendered at once is handed over.
const RENDERER_FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Buffer of a stream: about one compressed block.
const STREAM_BUFFER_BYTES: usize = 256 << 10;

/// Where a recording is to go.
#[derive(Debug)]
pub enum Destination<'a> {
    /// As the options of `record` say.
    Record(&'a RecordArgs),
    /// To an analyzer.
    Renderer {
        /// Its arguments.
        words: Vec<OsString>,
        /// Where it writes; standard output without it.
        output: Option<&'a Path>,
    },
}

/// The same, as far as it is open already.
pub(crate) enum Place<'a> {
    Files(&'a RecordArgs),
    Stdout(&'a RecordArgs, OwnedFd),
    /// With our standard output where it goes on writing there.
    Renderer(Renderer, OwnedFd, Option<OwnedFd>),
}

/// What a recording writes to; the streams once more, to look whether one is closed; and who reads it.
pub(crate) type Begun = (Sink, Vec<OwnedFd>, Option<Renderer>);

impl Destination<'_> {
    /// Whether standard output carries what is recorded.
    pub(crate) fn takes_stdout(&self) -> bool {
        match self {
            Self::Record(args) => args.to_stdout(),
            Self::Renderer { output, .. } => output.is_none(),
        }
    }

    /// Whether segments go to somebody who reads them at once.
    pub(crate) fn is_stream(&self) -> bool {
        match self {
            Self::Record(args) => args.to_stdout(),
            Self::Renderer { .. } => true,
        }
    }

    /// Starts `renderer`, if there is one; needs the privileges to give them up.
    pub(crate) fn open(&self, renderer: Option<RendererCommand>) -> Result<Place<'_>, Failure> {
        if let Some(renderer) = renderer {
            let stdout = self.takes_stdout().then(own_stdout).transpose()?;
            let (renderer, pipe) = renderer.start()?;
            return Ok(Place::Renderer(renderer, pipe.into(), stdout));
        }
        match self {
            Self::Record(args) if args.to_stdout() => Ok(Place::Stdout(args, own_stdout()?)),
            Self::Record(args) => Ok(Place::Files(args)),
            Self::Renderer { .. } => Err(anyhow::anyhow!("no analyzer was started").into()),
        }
    }
}

impl Place<'_> {
    /// How often blocks are closed though they are not full.
    pub(crate) fn flush_interval(&self) -> Duration {
        match self {
            Self::Files(args) | Self::Stdout(args, _) => args.flush_interval(),
            Self::Renderer(..) => RENDERER_FLUSH_INTERVAL,
        }
    }

    /// Begins the first segment.
    pub(crate) fn begin(self, meta: SegmentMeta, shared: &Arc<Shared>) -> Result<Begun, Failure> {
        let stream = |fd: OwnedFd, name: &str, level: i32| -> Result<(Sink, OwnedFd), Failure> {
            let watch = fd.try_clone().with_context(|| format!("{name}: cannot be watched"))?;
            let out = BufWriter::with_capacity(STREAM_BUFFER_BYTES, StreamOutput::new(fd, Arc::clone(shared)));
            let writer = SegmentWriter::create(out, &meta, level).with_context(|| format!("cannot write to {name}"))?;
            Ok((Sink::Stream(Box::new(writer)), watch))
        };
        match self {
            Self::Files(args) => Ok((files(args, meta)?, Vec::new(), None)),
            Self::Stdout(args, fd) => {
                let (sink, watch) = stream(fd, "-", args.compression_level)?;
                Ok((sink, vec![watch], None))
            }
            Self::Renderer(mut renderer, fd, stdout) => {
                let (sink, watch) = stream(fd, "the analyzer", 1).or_else(|error| renderer.ended_first(error))?;
                Ok((sink, stdout.into_iter().chain([watch]).collect(), Some(renderer)))
            }
        }
    }
}

fn own_stdout() -> Result<OwnedFd, Failure> {
    Ok(std::io::stdout().as_fd().try_clone_to_owned().context("standard output is closed")?)
}

fn files(args: &RecordArgs, meta: SegmentMeta) -> Result<Sink, Failure> {
    let options = StoreOptions {
        segment_bytes: args.segment_size,
        segment_age: Some(args.segment_age),
        retain_bytes: args.retain_bytes,
        retain_segments: args.retain_segments,
        retain_age: args.retain_age,
        retain_min_age: args.retain_min_age,
        compression_level: args.compression_level,
    };
    let output = args.output();
    let store = if is_file(output) {
        SegmentStore::single_file(output, meta, options)
    } else {
        SegmentStore::in_directory(output, meta, options)
    };
    let store = store.with_context(|| format!("cannot write to {}", output.display()))?;
    output::warn_if_shared(store.directory(), output, user_behind_sudo().map(|(uid, _)| uid));
    Ok(Sink::Store(Box::new(store)))
}

/// Whether the output names a file rather than a directory.
pub(crate) fn is_file(output: &Path) -> bool {
    !output.is_dir() && output.extension().is_some_and(|extension| extension == "ctseg")
}
