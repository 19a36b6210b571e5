//! Work on files of others that may never end: a file system may not answer. So it is done in a thread that can be given up.
//!
//! There is one such thread at a time, and the next one is started when it is given up. As long as a device holds one, nothing else is
//! asked of it; and when as many are held as there may be, nothing of devices that never answered.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::thread::ClockId;

use super::finder::Refusal;

/// How long a file system may not answer at all.
pub const NO_ANSWER: Duration = Duration::from_secs(2);

/// How long one piece of work may wait for a file system that answers slowly.
pub const LONGEST: Duration = Duration::from_secs(10);

/// How long a device that was given up is not asked again.
const PAUSE: Duration = Duration::from_secs(30);

/// Processor time of one piece of work.
pub const PROCESSOR: Duration = Duration::from_secs(2);

/// Threads that are given up and have not come back, at most.
const MAX_HELD: usize = 8;

/// Devices that are remembered.
const MAX_DEVICES: usize = 4_096;

/// How often it is looked whether the work goes on.
const LOOK: Duration = Duration::from_millis(100);

/// What the work reports as it goes on, and what it may cost.
#[derive(Debug, Clone, Default)]
pub struct Work {
    steps: Arc<AtomicU64>,
    /// Processor time of its thread when it began.
    began: Duration,
}

impl Work {
    fn begin(steps: &Arc<AtomicU64>) -> Self {
        Self { steps: Arc::clone(steps), began: processor_time() }
    }

    /// It goes on; false: it has had its share of the processor.
    pub fn step(&self) -> bool {
        self.steps.fetch_add(1, Ordering::Relaxed);
        // Without a begin it is nobody's share.
        self.began.is_zero() || processor_time().saturating_sub(self.began) <= PROCESSOR
    }
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

type Job = Box<dyn FnOnce(&Work) + Send>;

struct Worker {
    jobs: Sender<Job>,
    steps: Arc<AtomicU64>,
    /// What /proc says of the thread.
    stat: Option<std::fs::File>,
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
struct Limits {
    no_answer: Duration,
    longest: Duration,
    pause: Duration,
}

/// Who has work done and waits for it.
pub struct Patience {
    limits: Limits,
    worker: Option<Worker>,
    /// Devices that hold a thread.
    held: Arc<Mutex<HashSet<u64>>>,
    /// Devices that answered.
    answered: HashSet<u64>,
    /// Those that were given up, and when.
    given_up: HashMap<u64, Instant>,
}

/// Stands for the device of what a process runs, when that is not known; for process 0 of the dynamic linker's cache.
pub fn unknown(tgid: u32) -> u64 {
    UNKNOWN | u64::from(tgid)
}

/// No device has such a number.
const UNKNOWN: u64 = 1 << 63;

/// Work goes on, is done, is given up.
const GOES_ON: u8 = 0;
const DONE: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Patience {
    /// No thread is started yet.
    pub fn new() -> Self {
        Self::with(Limits { no_answer: NO_ANSWER, longest: LONGEST, pause: PAUSE })
    }

    fn with(limits: Limits) -> Self {
        Self { limits, worker: None, held: Arc::default(), answered: HashSet::new(), given_up: HashMap::new() }
    }

    /// Whether any device does not answer now: then what is asked is to be known by its own.
    pub fn is_troubled(&self) -> bool {
        self.held.lock().is_ok_and(|held| !held.is_empty())
    }

    /// What `job` says, which asks something of a device.
    ///
    /// # Errors
    /// When the device does not answer, or did not before.
    pub fn ask<T: Send + 'static>(
        &mut self,
        device: u64,
        job: impl FnOnce(&Work) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let held = self.held.lock().map(|held| (held.contains(&device), held.len())).unwrap_or_default();
        let pauses = self.given_up.get(&device).is_some_and(|since| since.elapsed() < self.limits.pause);
        match held {
            _ if pauses => return Err(refusal("its file system did not answer a short time ago".to_owned())),
            (true, _) => return Err(refusal("its file system does not answer".to_owned())),
            (_, held) if held >= MAX_HELD && !self.answered.contains(&device) => {
                return Err(refusal(format!("it is not examined while {held} file systems do not answer")));
            }
            _ => {}
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start().map_err(Refusal::from)?,
        };
        let state = Arc::new(AtomicU8::new(GOES_ON));
        let (answer, answered) = sync_channel(1);
        let (own, held) = (Arc::clone(&state), Arc::clone(&self.held));
        let job = move |work: &Work| {
            // Before anybody can know that it is over.
            let _ = answer.send(job(work));
            if own.swap(DONE, Ordering::AcqRel) == GIVEN_UP
                && let Ok(mut held) = held.lock()
            {
                held.remove(&device);
            }
        };
        let gone = || refusal("the thread that looks at files has ended".to_owned());
        worker.jobs.send(Box::new(job)).map_err(|_| gone())?;
        let began = Instant::now();
        let (mut steps, mut since) = (worker.steps.load(Ordering::Relaxed), began);
        // Time in which it waited for the device, and not for a processor.
        let (mut waited, mut looked) = (Duration::ZERO, began);
        loop {
            match answered.recv_timeout(LOOK.min(self.limits.no_answer)) {
                Ok(result) => {
                    self.worker = Some(worker);
                    if self.answered.len() >= MAX_DEVICES {
                        self.answered.clear();
                    }
                    if device & UNKNOWN == 0 {
                        self.answered.insert(device);
                    }
                    return Ok(result);
                }
                // A defect of ours ended it: the next one has a new thread.
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            let reached = worker.steps.load(Ordering::Relaxed);
            let is_running = worker.is_running();
            if reached != steps || is_running {
                (steps, since) = (reached, now);
            }
            if !is_running {
                waited += now.duration_since(looked);
            }
            looked = now;
            let is_slow = waited > self.limits.longest;
            if now.duration_since(since) < self.limits.no_answer && !is_slow {
                continue;
            }
            // Held before it is given up, so that it is let go of in this order.
            if let Ok(mut held) = self.held.lock() {
                held.insert(device);
            }
            if state.swap(GIVEN_UP, Ordering::AcqRel) == DONE {
                if let Ok(mut held) = self.held.lock() {
                    held.remove(&device);
                }
                continue;
            }
            if self.given_up.len() >= MAX_DEVICES {
                self.given_up.clear();
            }
            self.given_up.insert(device, now);
            let after = now.duration_since(began).as_secs_f64();
            let how = if is_slow { "was too slow" } else { "did not answer" };
            return Err(refusal(format!("its file system {how}: given up after {after:.1} s")));
        }
    }
}

/// `ETIMEDOUT`.
fn refusal(message: String) -> Refusal {
    Refusal { errno: rustix::io::Errno::TIMEDOUT.raw_os_error(), message }
}

impl Worker {
    /// Has the privileges of this thread.
    fn start() -> std::io::Result<Self> {
        let (jobs, todo) = channel::<Job>();
        let (name, named) = sync_channel(1);
        let steps = Arc::new(AtomicU64::new(0));
        let own = Arc::clone(&steps);
        std::thread::Builder::new().name("ct-reader".to_owned()).spawn(move || {
            let _ = name.send(rustix::thread::gettid());
            for job in todo {
                job(&Work::begin(&own));
            }
        })?;
        let thread = named.recv().map_err(std::io::Error::other)?;
        let stat = std::fs::File::open(format!("/proc/self/task/{}/stat", thread.as_raw_nonzero())).ok();
        Ok(Self { jobs, steps, stat })
    }

    /// Whether the thread has a processor, or would if there was one: then it waits for nobody.
    fn is_running(&self) -> bool {
        let mut text = [0; 128];
        let read = self.stat.as_ref().and_then(|stat| stat.read_at(&mut text, 0).ok()).unwrap_or(0);
        let text = text.get(..read).unwrap_or_default();
        // 7 (ct-reader) R …: proc_pid_stat(5).
        let after = text.iter().rposition(|byte| *byte == b')').and_then(|end| text.get(end + 2));
        after == Some(&b'R')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        no_answer: Duration::from_millis(150),
        longest: Duration::from_millis(700),
        pause: Duration::from_millis(400),
    };

    /// Work that waits until it is let go.
    fn stuck(patience: &mut Patience, device: u64) -> (Sender<()>, Refusal) {
        let (go, wait) = channel();
        let refusal = patience.ask(device, move |_| wait.recv().is_ok()).expect_err("it is given up");
        (go, refusal)
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_given_up_and_others_go_on() {
        let mut patience = Patience::with(LIMITS);
        assert_eq!(patience.ask(1, |_| 7).ok(), Some(7));
        let (go, refusal) = stuck(&mut patience, 2);
        assert!(refusal.message.contains("did not answer"), "{}", refusal.message);
        // At once, for a while and as long as it holds a thread.
        let began = Instant::now();
        let refusal = patience.ask(2, |_| 7).expect_err("a short time ago");
        assert_eq!(refusal.message, "its file system did not answer a short time ago");
        assert!(began.elapsed() < LIMITS.no_answer);
        std::thread::sleep(LIMITS.pause);
        let refusal = patience.ask(2, |_| 7).expect_err("it holds a thread");
        assert_eq!(refusal.message, "its file system does not answer");
        assert_eq!(patience.ask(1, |_| 8).ok(), Some(8));
        assert_eq!(patience.ask(3, |_| 9).ok(), Some(9));
        // Once it answers, it is asked again.
        go.send(()).expect("somebody waits");
        while patience.held.lock().expect("no panic").contains(&2) {
            std::thread::yield_now();
        }
        assert_eq!(patience.ask(2, |_| 10).ok(), Some(10));
    }

    #[test]
    fn no_more_threads_are_given_up_than_there_may_be() {
        let mut patience = Patience::with(LIMITS);
        assert!(patience.ask(100, |_| ()).is_ok());
        let held: Vec<_> = (0..MAX_HELD as u64).map(|device| stuck(&mut patience, device).0).collect();
        let refusal = patience.ask(50, |_| ()).expect_err("it never answered");
        assert!(refusal.message.contains("8 file systems do not answer"), "{}", refusal.message);
        assert!(patience.ask(100, |_| ()).is_ok(), "it did");
        drop(held);
    }

    #[test]
    fn work_that_goes_on_is_waited_for_but_not_for_ever() {
        let mut patience = Patience::with(LIMITS);
        let slow = |for_: Duration| {
            move |work: &Work| {
                let began = Instant::now();
                while began.elapsed() < for_ {
                    work.step();
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        };
        assert!(patience.ask(1, slow(LIMITS.no_answer * 2)).is_ok());
        let refusal = patience.ask(1, slow(LIMITS.longest * 2)).expect_err("too slow");
        assert!(refusal.message.contains("was too slow"), "{}", refusal.message);
    }

    /// Where there are few processors, work may wait for one: that is no file system that does not answer.
    #[test]
    fn work_that_waits_for_a_processor_is_no_file_system_that_does_not_answer() {
        let mut patience = Patience::with(LIMITS);
        let busy = |_: &Work| {
            let began = Instant::now();
            while began.elapsed() < LIMITS.no_answer * 2 {}
        };
        assert!(patience.ask(1, busy).is_ok());
    }

    #[test]
    fn a_share_of_the_processor_ends() {
        let mut patience = Patience::with(Limits { longest: LONGEST, ..LIMITS });
        let spent = patience.ask(1, |work: &Work| {
            let before = processor_time();
            while work.step() {}
            processor_time() - before
        });
        assert!(spent.is_ok_and(|spent| spent > PROCESSOR / 2 && spent < PROCESSOR * 2));
    }
}
