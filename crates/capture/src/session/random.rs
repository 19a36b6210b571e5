//! `api_call` records of the random bytes that processes got from the kernel, made once a second of what was added to the
//! BPF programs' counts.
//!
//! The counts only grow, and what was reported of them is remembered here: whatever is added between two readings, or while
//! one goes on, is reported exactly once.

use std::collections::HashMap;
use std::path::Path;

use crypto_trace_bpf::{RandomCount, RandomCounts};
use crypto_trace_format::record::{ApiCall, ApiCallFixed, ApiLevel, ApiMeaning, Header, api_state};

use crate::limits::privileges;

/// Every so many readings, processes of which nothing is new are looked for in /proc.
const LOOK_EVERY: u32 = 64;

/// What was told so far.
pub struct RandomTally {
    counts: RandomCounts,
    told: HashMap<(u32, u64), RandomCount>,
    readings: u32,
    /// Whether /proc has the kernel's process ids.
    ids_are_ours: bool,
}

impl RandomTally {
    /// Nothing is told yet.
    pub fn new(counts: RandomCounts) -> Self {
        Self { counts, told: HashMap::new(), readings: 0, ids_are_ours: privileges::in_initial_pid_namespace() }
    }

    /// Appends records of what was added since the last time; `now_ns`, `CLOCK_BOOTTIME`, was read just before.
    pub fn encode(&mut self, now_ns: u64, out: &mut Vec<u8>) {
        // Refused: then the next reading tells it.
        let Ok(all) = self.counts.read() else { return };
        self.readings = self.readings.wrapping_add(1);
        let look = self.ids_are_ours && self.readings.is_multiple_of(LOOK_EVERY);
        let mut ended = Vec::new();
        for count in all {
            let key = (count.tgid, count.start_ns);
            let before = self.told.get(&key).copied().unwrap_or_default();
            let is_new = encode_added(&before, &count, now_ns, out);
            // One that came later may have come while this entry was being read: then the next reading is the last.
            let has_ended = count.ended_ns != 0 && count.ended_ns < now_ns;
            // Its end was missed.
            let is_gone = look && !is_new && !Path::new(&format!("/proc/{}", count.tgid)).exists();
            if has_ended || is_gone {
                ended.push(count);
            }
            if is_new && !has_ended {
                self.told.insert(key, count);
            }
        }
        match self.counts.remove(&ended) {
            Ok(()) => {
                for count in &ended {
                    self.told.remove(&(count.tgid, count.start_ns));
                }
            }
            // They will be read again: what was reported of them must be known.
            Err(_) => self.told.extend(ended.into_iter().map(|count| ((count.tgid, count.start_ns), count))),
        }
    }
}

/// Appends a record for each count that grew; false when none did.
fn encode_added(before: &RandomCount, count: &RandomCount, now_ns: u64, out: &mut Vec<u8>) -> bool {
    let header = Header {
        time_ns: if count.ended_ns == 0 { now_ns } else { count.ended_ns.min(now_ns) },
        tid: count.tgid,
        tgid: count.tgid,
        uid: count.uid,
        gid: count.gid,
        start_ns: count.start_ns,
        comm: count.comm,
        ..Header::default()
    };
    let fixed =
        ApiCallFixed { fd: -1, meaning: ApiMeaning::RANDOM.0, level: ApiLevel::KERNEL.0, ..ApiCallFixed::default() };
    let bytes = count.bytes.wrapping_sub(before.bytes);
    let refused = ApiCallFixed { state: api_state::RESULT, result: count.error.into(), ..fixed };
    let sources = [
        (before.getrandom, count.getrandom, ApiCallFixed { number: bytes, ..fixed }, "getrandom", ""),
        (before.refused, count.refused, refused, "getrandom", ""),
        (before.dev_urandom, count.dev_urandom, fixed, "open", "/dev/urandom"),
        (before.dev_random, count.dev_random, fixed, "open", "/dev/random"),
    ];
    let len = out.len();
    for (before, now, fixed, function, text) in sources {
        let added = now.wrapping_sub(before);
        // Bytes may be there before their call is counted (random.h); they are reported with it.
        if added > 0 {
            let (function, text) = (function.as_bytes(), text.as_bytes());
            let fixed = ApiCallFixed { count: added, ..fixed };
            ApiCall { fixed, function, text, ..ApiCall::default() }.encode(header, out);
        }
    }
    out.len() > len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_trace_format::record::Records;

    fn added(before: &RandomCount, count: &RandomCount) -> Vec<(String, u64, u64, i64)> {
        let mut out = Vec::new();
        let any = encode_added(before, count, 1000, &mut out);
        assert_eq!(any, !out.is_empty());
        let told = |record: Result<crypto_trace_format::record::Record<'_>, _>| {
            let record = record.expect("well formed");
            let call = ApiCall::decode(&record).expect("readable");
            let text = String::from_utf8_lossy(&[call.function, b" ", call.text].concat()).into_owned();
            (text, call.fixed.count, call.fixed.number, call.fixed.result)
        };
        Records::new(&out).map(told).collect()
    }

    #[test]
    fn what_was_added_is_told_once() {
        let none = RandomCount::default();
        let first = RandomCount { getrandom: 3, bytes: 96, dev_urandom: 1, ..none };
        let second =
            RandomCount { getrandom: 4, bytes: 100, refused: 2, error: -11, dev_urandom: 1, dev_random: 1, ..none };
        assert_eq!(added(&none, &first), [("getrandom ".into(), 3, 96, 0), ("open /dev/urandom".into(), 1, 0, 0)]);
        assert_eq!(
            added(&first, &second),
            [("getrandom ".into(), 1, 4, 0), ("getrandom ".into(), 2, 0, -11), ("open /dev/random".into(), 1, 0, 0)]
        );
        assert_eq!(added(&second, &second), []);
    }

    #[test]
    fn bytes_wait_for_the_call_that_they_belong_to() {
        let before = RandomCount { getrandom: 3, bytes: 96, ..RandomCount::default() };
        assert_eq!(added(&before, &RandomCount { bytes: 128, ..before }), []);
    }
}
