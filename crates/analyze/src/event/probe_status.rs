//! `probe_status`: what became of a probe.

use super::members::members;
use super::values::{Errno, Path, Text, When, some};
use crypto_trace_format::record::{self, ProbeState, Tier};

members! {
    /// Members of a probe_status.
    pub struct ProbeStatus<'a> from "record" {
        /// name of the probe
        probe: Text<'a>,
        /// what it is attached to
        target: Path<'a>,
        /// `attached`, `failed`, `skipped`, `detached`
        state: ProbeState,
        /// as in file_open
        tier: Tier,
        /// name of the errno of a failure
        error: When<Errno>,
        /// why it failed or was skipped
        message: When<Text<'a>>,
    }
}

impl<'a> ProbeStatus<'a> {
    /// As recorded.
    pub fn new(status: &record::ProbeStatus<'a>) -> Self {
        let errno = status.fixed.errno;
        Self {
            probe: Text(status.probe),
            target: Path(status.target),
            state: ProbeState(status.fixed.state),
            tier: Tier(status.fixed.tier),
            error: When::if_so(errno != 0, Errno(errno.unsigned_abs())),
            message: When(some(status.message).map(Text)),
        }
    }
}
