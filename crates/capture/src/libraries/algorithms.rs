//! Algorithms in use, counted in the kernel: taken over once a second as `api_call` records, and kept within their budget.
//!
//! What a probe costs is not measured but reckoned: hits times what one hit costs, which is mostly the kernel's breakpoint. When
//! all together would cost more than the budget, the ones that cost most are detached for a while, and a `probe_status` record says
//! so. A process that is not even selected can make a probe cost too much: so it is attached again, and given up for longer each
//! time that it costs too much again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crypto_trace_bpf::{FunctionRow, Hits, LoadError, Programs, Use};
use crypto_trace_format::record::{
    ApiCall, ApiCallFixed, ApiLevel, Header, ProbeState, ProbeStatus, ProbeStatusFixed, Tier, api_state,
};

use super::finder::FileId;
use crate::clock::boottime_ns;
use crate::say;

/// What one hit costs the program, measured in docs/performance.md; most probes are where the kernel emulates the instruction.
const HIT_NS: u64 = 1_500;

/// For how long a probe that costs too much is detached the first time; twice as long each time after that.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Rounds without a new call after which a use is forgotten.
const IDLE_ROUNDS: u32 = 30;

/// What is to become of what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It is taken over.
    Take,
    /// For the last time: nothing is attached any more.
    TakeLast,
    /// It stays in the kernel; only the budget is kept.
    Leave,
}

/// What was taken over so far.
#[derive(Debug)]
pub struct Algorithms {
    /// Nanoseconds of every second that all probes may cost.
    budget_ns: u64,
    last_ns: u64,
    taken: HashMap<Vec<u8>, Taken>,
    libraries: HashMap<u16, (FileId, Vec<u8>)>,
    /// Probes that cost too much, by their number.
    pauses: BTreeMap<u32, Pause>,
}

/// A probe that is detached, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    slot: u16,
    function: u16,
    /// The latest; ns.
    length_ns: u64,
    /// When it was detached the last time; `CLOCK_BOOTTIME` ns.
    from_ns: u64,
    /// When it is attached again; `None`: it is.
    until_ns: Option<u64>,
    /// For how long it was detached altogether, without the pause that is not over; ns.
    sum_ns: u64,
}

impl Pause {
    /// The first, or the next of a probe.
    fn new(before: Option<&Self>, hit: &Hits, now_ns: u64) -> Self {
        let (first_ns, longest_ns) = (ns(FIRST_PAUSE), ns(LONGEST_PAUSE));
        // Of a probe that kept within the budget for longer than any pause, the past is forgotten.
        let was_good =
            |pause: &&Self| now_ns.saturating_sub(pause.from_ns.saturating_add(pause.length_ns)) < longest_ns;
        let length_ns = before.filter(was_good).map_or(first_ns, |pause| (pause.length_ns * 2).min(longest_ns));
        let sum_ns = before.map_or(0, |pause| pause.sum_ns);
        let until_ns = Some(now_ns.saturating_add(length_ns));
        Self { slot: hit.slot, function: hit.function, length_ns, from_ns: now_ns, until_ns, sum_ns }
    }
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug, Default)]
struct Taken {
    count: u64,
    last_ns: u64,
    idle: u32,
    slot: u16,
}

impl Algorithms {
    /// With a budget in percent of a core.
    pub fn new(budget: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100 percent of 1e9")]
        let budget_ns = (budget / 100.0 * 1e9) as u64;
        Self {
            budget_ns,
            last_ns: boottime_ns(),
            taken: HashMap::new(),
            libraries: HashMap::new(),
            pauses: BTreeMap::new(),
        }
    }

    /// Which file has this number.
    pub fn add_library(&mut self, slot: u16, id: FileId, path: &[u8]) {
        self.libraries.insert(slot, (id, path.to_vec()));
    }

    /// The file with this number is gone, and what was counted of it has been taken over.
    pub fn remove_library(&mut self, programs: &Programs, slot: u16) {
        self.libraries.remove(&slot);
        self.pauses.retain(|_, pause| pause.slot != slot);
        for (key, _) in self.taken.extract_if(|_, taken| taken.slot == slot) {
            programs.forget_use(&key);
        }
    }

    /// Records of what is new.
    pub fn take(
        &mut self,
        programs: &mut Programs,
        functions: &[FunctionRow],
        counts: Counts,
    ) -> Result<Vec<u8>, LoadError> {
        let mut out = Vec::new();
        if counts != Counts::TakeLast {
            self.keep_budget(programs, functions, &mut out)?;
            self.resume(programs, functions, &mut out);
        }
        if counts == Counts::Leave {
            return Ok(out);
        }
        for use_ in programs.uses()? {
            let taken = self.taken.entry(use_.key.clone()).or_default();
            let new = use_.count.saturating_sub(taken.count);
            if new == 0 {
                taken.idle += 1;
                if taken.idle > IDLE_ROUNDS {
                    self.taken.remove(&use_.key);
                    programs.forget_use(&use_.key);
                }
                continue;
            }
            let first_ns = if taken.count == 0 { use_.first_ns } else { taken.last_ns };
            *taken = Taken { count: use_.count, last_ns: use_.last_ns, idle: 0, slot: use_.slot };
            self.encode(&use_, new, first_ns, functions, &mut out);
        }
        Ok(out)
    }

    fn encode(&self, use_: &Use, count: u64, first_ns: u64, functions: &[FunctionRow], out: &mut Vec<u8>) {
        let Some(function) = functions.get(usize::from(use_.function)) else { return };
        let (dev, ino) = self.libraries.get(&use_.slot).map(|(id, _)| *id).unwrap_or_default();
        let fixed = ApiCallFixed {
            dev,
            ino,
            duration_ns: use_.last_ns.saturating_sub(first_ns),
            count,
            number: use_.number,
            fd: -1,
            meaning: function.meaning,
            state: if use_.internal { api_state::INTERNAL } else { 0 },
            level: ApiLevel::ALGORITHM.0,
            ..ApiCallFixed::default()
        };
        let header = Header {
            time_ns: use_.last_ns,
            tid: use_.tgid,
            tgid: use_.tgid,
            uid: use_.uid,
            gid: use_.gid,
            start_ns: use_.start_ns,
            comm: use_.comm,
            ..Header::default()
        };
        let function = function.name.as_bytes();
        ApiCall { fixed, function, text: &use_.text, ..ApiCall::default() }.encode(header, out);
    }

    /// Detaches what costs most until the rest is within the budget.
    fn keep_budget(
        &mut self,
        programs: &mut Programs,
        functions: &[FunctionRow],
        out: &mut Vec<u8>,
    ) -> Result<(), LoadError> {
        let now = boottime_ns();
        let elapsed_ns = now.saturating_sub(self.last_ns).max(1);
        self.last_ns = now;
        let mut hits = programs.hits()?;
        for hit in over_budget(&mut hits, self.budget_ns, elapsed_ns) {
            programs.detach_counted(hit.number);
            let pause = Pause::new(self.pauses.get(&hit.number), &hit, now);
            self.pauses.insert(hit.number, pause);
            let rate = u128::from(hit.new) * 1_000_000_000 / u128::from(elapsed_ns);
            let seconds = pause.length_ns / 1_000_000_000;
            let message = format!("{rate} calls a second cost more than --api-budget: not counted for {seconds} s");
            let target = self.target(pause, functions);
            say::warning(&format!("{target}: {message}"));
            encode_status(ProbeState::DETACHED, &target, &message, now, out);
        }
        Ok(())
    }

    /// Attaches those again whose time is over. What can't be attached again stays detached, which was said.
    fn resume(&mut self, programs: &mut Programs, functions: &[FunctionRow], out: &mut Vec<u8>) {
        let now = boottime_ns();
        let due = |pause: &Pause| pause.until_ns.is_some_and(|until_ns| until_ns <= now);
        let due: Vec<u32> = self.pauses.iter().filter(|(_, pause)| due(pause)).map(|(number, _)| *number).collect();
        for number in due {
            let Some(pause) = self.pauses.get_mut(&number) else { continue };
            pause.until_ns = None;
            pause.sum_ns = pause.sum_ns.saturating_add(now.saturating_sub(pause.from_ns));
            let pause = *pause;
            let target = self.target(pause, functions);
            let seconds = pause.sum_ns / 1_000_000_000;
            let (state, message) = match programs.attach_counted_again(number) {
                Ok(()) => (
                    ProbeState::ATTACHED,
                    format!(
                        "counted again; not counted for {seconds} s in all so far, because that cost more than --api-budget"
                    ),
                ),
                Err(error) => (ProbeState::FAILED, format!("no longer counted: {}", error.message)),
            };
            say::info(&format!("{target}: {message}"));
            encode_status(state, &target, &message, now, out);
        }
    }

    /// Which function of which file it is on.
    fn target(&self, pause: Pause, functions: &[FunctionRow]) -> String {
        let function = functions.get(usize::from(pause.function)).map_or("", |function| &function.name);
        let path = self.libraries.get(&pause.slot).map(|(_, path)| String::from_utf8_lossy(path).into_owned());
        format!("{}:{function}", path.unwrap_or_default())
    }
}

/// Appends a `probe_status` record of a probe that counts.
fn encode_status(state: ProbeState, target: &str, message: &str, now_ns: u64, out: &mut Vec<u8>) {
    let fixed = ProbeStatusFixed { state: state.0, tier: Tier::UPROBE.0, ..ProbeStatusFixed::default() };
    let (target, message) = (target.as_bytes(), message.as_bytes());
    let header = Header { time_ns: now_ns, ..Header::default() };
    ProbeStatus { fixed, probe: b"api_call", target, message, ..ProbeStatus::default() }.encode(header, out);
}

/// The probes to give up, the costliest first.
fn over_budget(hits: &mut [Hits], budget_ns: u64, elapsed_ns: u64) -> Vec<Hits> {
    let cost = |hits: u64| u128::from(hits) * u128::from(HIT_NS) * 1_000_000_000 / u128::from(elapsed_ns);
    hits.sort_by_key(|hit| (std::cmp::Reverse(hit.new), hit.number));
    let mut total: u128 = hits.iter().map(|hit| cost(hit.new)).sum();
    let mut over = Vec::new();
    for hit in hits {
        if total <= u128::from(budget_ns) {
            break;
        }
        total -= cost(hit.new);
        over.push(*hit);
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One process's loop switched a function off for everybody, for good.
    #[test]
    fn a_probe_that_costs_too_much_comes_back_and_is_given_up_for_longer_each_time() {
        let minute_ns = 60_000_000_000;
        let hit = Hits { number: 3, slot: 1, function: 2, new: 9 };
        let mut pause = Pause::new(None, &hit, minute_ns);
        assert_eq!((pause.length_ns, pause.until_ns), (minute_ns, Some(2 * minute_ns)));
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let now_ns = pause.from_ns + pause.length_ns + 1_000_000_000;
            pause = Pause::new(Some(&pause), &hit, now_ns);
            lengths.push(pause.length_ns / minute_ns);
        }
        assert_eq!(lengths, [2, 4, 8, 16, 32, 60, 60, 60]);
        let later_ns = pause.from_ns + 121 * minute_ns;
        assert_eq!(Pause::new(Some(&pause), &hit, later_ns).length_ns, minute_ns);
    }

    #[test]
    fn the_costliest_go_until_the_rest_is_within_the_budget() {
        let hits = |new: &[u64]| -> Vec<Hits> {
            (0..).zip(new).map(|(number, new)| Hits { number, slot: 0, function: 0, new: *new }).collect()
        };
        let over = |new: &[u64], elapsed_ns| -> Vec<u32> {
            over_budget(&mut hits(new), 10_000_000, elapsed_ns).iter().map(|hit| hit.number).collect()
        };
        // 1 % of a core is 6,666 calls a second.
        assert_eq!(over(&[3_000, 3_000], 1_000_000_000), [0_u32; 0]);
        assert_eq!(over(&[1_000, 9_000, 3_000], 1_000_000_000), [1]);
        assert_eq!(over(&[8_000, 9_000, 3_000], 1_000_000_000), [1, 0]);
        // Twice the time, half the rate.
        assert_eq!(over(&[1_000, 9_000, 3_000], 2_000_000_000), [0_u32; 0]);
    }
}
