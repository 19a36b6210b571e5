//! What is to be looked at, in turns: a user's files wait for one file of each other user's, and within that a process's for one of each
//! other process's. So nobody's many files keep another's waiting, and what waits has a limit.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::finder::Request;

/// Files that may wait: of all users, and of one. Each has a path of 4 KiB at most.
const FILES: Limits = Limits { all: 2_048, user: 512 };

/// Programs that may wait. Each has a path of [`MAX_PROGRAM_PATH`](super::notices::MAX_PROGRAM_PATH) at most.
const PROGRAMS: Limits = Limits { all: 65_536, user: 32_768 };

#[derive(Debug, Clone, Copy)]
struct Limits {
    all: usize,
    user: usize,
}

/// Things in turns of their owners.
#[derive(Debug)]
struct Turns<K, T> {
    turns: VecDeque<K>,
    of: HashMap<K, T>,
}

impl<K: Copy + Eq + Hash, T: Default> Turns<K, T> {
    fn new() -> Self {
        Self { turns: VecDeque::new(), of: HashMap::new() }
    }

    /// What its owner has, who gets a turn after all others if there is none.
    fn of(&mut self, owner: K) -> &mut T {
        let turns = &mut self.turns;
        self.of.entry(owner).or_insert_with(|| {
            turns.push_back(owner);
            T::default()
        })
    }

    /// Takes something of whose turn it is; `take` says whether that was the last.
    fn next<R>(&mut self, take: impl FnOnce(&mut T) -> (Option<R>, bool)) -> Option<R> {
        let owner = self.turns.pop_front()?;
        let (taken, was_last) = take(self.of.get_mut(&owner)?);
        if was_last {
            self.of.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        taken
    }
}

/// Things of one user, by process.
#[derive(Debug)]
struct OfUser {
    processes: Turns<u32, VecDeque<Request>>,
    len: usize,
}

impl Default for OfUser {
    fn default() -> Self {
        Self { processes: Turns::new(), len: 0 }
    }
}

/// Things of all users.
#[derive(Debug)]
struct Fair {
    users: Turns<u32, OfUser>,
    len: usize,
    limits: Limits,
}

impl Fair {
    fn new(limits: Limits) -> Self {
        Self { users: Turns::new(), len: 0, limits }
    }

    /// Gives back what there is no room for.
    #[allow(clippy::result_large_err, reason = "what is refused is given back")]
    fn push(&mut self, user: u32, process: u32, request: Request) -> Result<(), Request> {
        if self.len >= self.limits.all || self.users.of.get(&user).is_some_and(|own| own.len >= self.limits.user) {
            return Err(request);
        }
        let own = self.users.of(user);
        own.processes.of(process).push_back(request);
        own.len += 1;
        self.len += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Request> {
        let taken = self.users.next(|user| {
            let taken = user.processes.next(|process| {
                let taken = process.pop_front();
                (taken, process.is_empty())
            });
            user.len -= usize::from(taken.is_some());
            (taken, user.len == 0)
        });
        self.len -= usize::from(taken.is_some());
        taken
    }
}

#[derive(Debug)]
struct State {
    /// What comes before everything else, and in its order.
    first: VecDeque<Request>,
    files: Fair,
    programs: Fair,
    /// Marks, which come last.
    marks: usize,
    is_closed: bool,
}

/// Between the drain thread and the finder.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    refused: AtomicU64,
}

impl Queue {
    /// Empty.
    pub fn new() -> Self {
        let (files, programs) = (Fair::new(FILES), Fair::new(PROGRAMS));
        let state = State { first: VecDeque::new(), files, programs, marks: 0, is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), refused: AtomicU64::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something; false: there is no room for it, which is counted.
    pub fn push(&self, request: Request) -> bool {
        self.push_or_give_back(request).is_ok()
    }

    /// The same; gives back what there is no room for.
    ///
    /// # Errors
    /// What there is no room for.
    #[allow(clippy::result_large_err, reason = "what is refused is given back")]
    pub fn push_or_give_back(&self, request: Request) -> Result<(), Request> {
        let mut state = self.state();
        let pushed = match request {
            Request::Cache | Request::Forget { .. } => {
                state.first.push_back(request);
                Ok(())
            }
            Request::Library { header, .. } | Request::Process { header } => {
                state.files.push(header.uid, header.tgid, request)
            }
            Request::Program { header, .. } => state.programs.push(header.uid, header.tgid, request),
            Request::Mark => {
                state.marks += 1;
                Ok(())
            }
        };
        drop(state);
        match &pushed {
            Ok(()) => self.changed.notify_one(),
            Err(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        pushed
    }

    /// Files and programs that there was no room for, since this was asked last.
    pub fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    /// What comes next; waits for it. `None`: nothing will come any more.
    pub fn pop(&self) -> Option<Request> {
        let mut state = self.state();
        loop {
            let next = state.first.pop_front().or_else(|| state.files.pop()).or_else(|| state.programs.pop());
            if next.is_some() {
                return next;
            }
            if state.marks > 0 {
                state.marks -= 1;
                return Some(Request::Mark);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing will come any more, and what has come need not be looked at.
    pub fn close(&self) {
        let mut state = self.state();
        let closed = Queue::new();
        *state = closed.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use crypto_trace_format::record::Header;

    use super::*;

    fn file(uid: u32, tgid: u32, ino: u64) -> Request {
        let header = Header { uid, tgid, ..Header::default() };
        Request::Library { header, path: Vec::new(), id: (1, ino), address: 0, again: false }
    }

    fn next(queue: &Queue) -> (u32, u32, u64) {
        match queue.pop() {
            Some(Request::Library { header, id, .. }) => (header.uid, header.tgid, id.1),
            other => panic!("no file: {other:?}"),
        }
    }

    /// A genuine library waited for a thousand files of somebody else.
    #[test]
    fn the_files_of_one_do_not_take_anothers_turn() {
        let queue = Queue::new();
        for ino in 0..100 {
            assert!(queue.push(file(1_000, 10, ino)));
        }
        assert!(queue.push(file(1_000, 11, 500)));
        assert!(queue.push(file(0, 1, 700)));
        assert!(queue.push(file(0, 1, 701)));
        let all: Vec<_> = (0..103).map(|_| next(&queue)).collect();
        let at = |file| all.iter().position(|other| *other == file);
        assert_eq!(at((0, 1, 700)), Some(1));
        assert_eq!(at((0, 1, 701)), Some(3));
        assert_eq!(at((1_000, 11, 500)), Some(2));
        let own: Vec<_> = all.iter().filter(|file| file.1 == 10).map(|file| file.2).collect();
        assert_eq!(own, (0..100).collect::<Vec<_>>(), "in their order");
    }

    #[test]
    fn what_waits_has_a_limit_for_each_user_and_for_all() {
        let queue = Queue::new();
        let many = FILES.user as u64;
        assert!((0..many).all(|ino| queue.push(file(1_000, 10, ino))));
        assert!(!queue.push(file(1_000, 11, 0)));
        assert!(queue.push(file(1_001, 12, 0)));
        let others = u32::try_from(FILES.all.div_ceil(FILES.user)).expect("few");
        let taken = (0..others).flat_map(|user| (0..many).map(move |ino| file(user, 1, ino)));
        let refused = taken.map(|file| u64::from(!queue.push(file))).sum::<u64>();
        assert!(refused > 0);
        assert_eq!(queue.take_refused(), refused + 1);
        assert_eq!(queue.take_refused(), 0);
        next(&queue);
        assert!(queue.push(file(2_000, 1, 1)), "there is room again");
    }

    #[test]
    fn what_is_forgotten_comes_first_and_marks_come_last() {
        let queue = Queue::new();
        queue.push(Request::Mark);
        let header = Header::default();
        queue.push(Request::Program { header, exe: None });
        queue.push(file(0, 1, 1));
        queue.push(Request::Forget { id: (1, 1) });
        queue.push(Request::Forget { id: (1, 2) });
        assert!(matches!(queue.pop(), Some(Request::Forget { id: (1, 1) })));
        assert!(matches!(queue.pop(), Some(Request::Forget { id: (1, 2) })));
        assert_eq!(next(&queue), (0, 1, 1));
        assert!(matches!(queue.pop(), Some(Request::Program { .. })));
        assert!(matches!(queue.pop(), Some(Request::Mark)));
        queue.push(Request::Program { header, exe: None });
        queue.close();
        assert!(queue.pop().is_none());
    }
}
