//! Who is in memory. At the limit the least recently used idle instance of a sample goes; when none is idle, newcomers wait
//! in a bounded line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::sync::Mutex;

use crate::config::{Config, RESIDENT_BYTES};

/// An aggregate's slot, as far as its place in memory is concerned.
pub(crate) trait Resident: Send + Sync {
    fn key(&self) -> u64;
    /// Milliseconds since the runtime's start.
    fn last_used(&self) -> u32;
    fn weight(&self) -> usize;
    /// Where it stands in the list of residents, as told last.
    fn index(&self) -> usize;
    fn set_index(&self, index: usize);
    /// Lets it go if it is idle. It does not call back.
    fn evict(&self) -> bool;
    /// Sends its actor home if there is nothing to do for it. Its place stays its own.
    fn let_doze(&self);
    /// Its place is free: spawns its actor. May call back.
    fn start(self: Arc<Self>);
}

/// How many residents are looked at for the least recently used one.
const SAMPLE: usize = 8;

/// How many residents are looked at when the sample has no idle one.
const SCAN: usize = 1024;

/// See the module.
pub(crate) struct Residency {
    places: Mutex<Places>,
    /// Whether somebody stands in line; read for every idle slot.
    has_line: AtomicBool,
    /// What the residents weigh beyond [`RESIDENT_BYTES`] each.
    weight: AtomicUsize,
    passivations: AtomicUsize,
    residents_max: usize,
    bytes_max: usize,
    line_max: usize,
}

struct Places {
    residents: Vec<Arc<dyn Resident>>,
    line: VecDeque<Arc<dyn Resident>>,
    serving: Serving,
    random: u64,
    cursor: usize,
}

/// Whether the line is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    Nobody,
    Somebody,
    /// And is to be looked at once more: something has changed since.
    Again,
}

/// What became of a newcomer.
pub(crate) enum Entered {
    /// It has started, or will when it is its turn.
    Welcome,
    /// The line is full.
    LineFull { limit: usize },
}

impl Residency {
    pub(super) fn new(config: &Config, seed: u64) -> Self {
        let (residents, line, serving) = (Vec::new(), VecDeque::new(), Serving::Nobody);
        let places = Places { residents, line, serving, random: seed | 1, cursor: 0 };
        Residency {
            places: Mutex::new(places),
            has_line: AtomicBool::new(false),
            weight: AtomicUsize::new(0),
            passivations: AtomicUsize::new(0),
            residents_max: config.resident_max,
            bytes_max: config.resident_bytes_max,
            line_max: config.residency_line_max,
        }
    }

    /// Finds a place for a newcomer, or puts it in line.
    pub(crate) fn enter(&self, newcomer: Arc<dyn Resident>) -> Entered {
        let mut places = self.places.lock();
        if places.line.is_empty() {
            if self.has_room(&places) {
                places.seat(newcomer.clone());
                drop(places);
                newcomer.start();
                return Entered::Welcome;
            }
            drop(places);
            if self.evict_one() {
                places = self.places.lock();
                if places.line.is_empty() && self.has_room(&places) {
                    places.seat(newcomer.clone());
                    drop(places);
                    newcomer.start();
                    return Entered::Welcome;
                }
            } else {
                places = self.places.lock();
            }
        }
        if places.line.len() >= self.line_max {
            return Entered::LineFull { limit: self.line_max };
        }
        places.line.push_back(newcomer);
        self.has_line.store(true, Ordering::Release);
        drop(places);
        // A place may have become free before the line was seen.
        self.serve_line();
        Entered::Welcome
    }

    /// A resident is gone.
    pub(crate) fn leave(&self, resident: &dyn Resident) {
        if self.give_back(resident) {
            self.serve_line();
        }
    }

    /// A resident's weight changed.
    pub(crate) fn reweigh(&self, before: usize, after: usize) {
        self.weight.fetch_add(after, Ordering::Relaxed);
        self.weight.fetch_sub(before, Ordering::Relaxed);
    }

    /// Whether somebody waits for a place.
    pub(crate) fn has_line(&self) -> bool {
        self.has_line.load(Ordering::Acquire)
    }

    /// How many are in memory.
    pub(crate) fn count(&self) -> usize {
        self.places.lock().residents.len()
    }

    /// How many were let go.
    pub(crate) fn passivations(&self) -> usize {
        self.passivations.load(Ordering::Relaxed)
    }

    /// Lets those in line in, as far as there is room or can be made.
    ///
    /// IMPORTANT: one at a time serves. Whoever is let in may leave at once, because its runtime has ended, and that serves
    /// the line again: with thousands in line the one inside the other would overflow the stack.
    pub(crate) fn serve_line(&self) {
        let before = std::mem::replace(&mut self.places.lock().serving, Serving::Again);
        if before != Serving::Nobody {
            return;
        }
        loop {
            let mut places = self.places.lock();
            if places.line.is_empty() {
                self.has_line.store(false, Ordering::Release);
                places.serving = Serving::Nobody;
                return;
            }
            places.serving = Serving::Somebody;
            if self.has_room(&places) {
                if let Some(next) = places.line.pop_front() {
                    places.seat(next.clone());
                    drop(places);
                    next.start();
                }
                continue;
            }
            drop(places);
            if !self.evict_one() {
                let mut places = self.places.lock();
                if places.serving == Serving::Somebody {
                    places.serving = Serving::Nobody;
                    return;
                }
            }
        }
    }

    /// Lets the idle ones among the residents from place `from` on go, a part of them; returns the place to go on from,
    /// until it is through. The actors of the `quiet` ones, which stay, are sent home.
    pub(crate) fn sweep(&self, from: usize, idle: impl Fn(u32) -> bool, quiet: impl Fn(u32) -> bool) -> Option<usize> {
        let part: Vec<_> = self.places.lock().residents.iter().skip(from).take(SCAN).cloned().collect();
        if part.is_empty() {
            return None;
        }
        let let_go = part.iter().filter(|one| idle(one.last_used()) && self.let_go(&***one)).count();
        part.iter().filter(|one| quiet(one.last_used())).for_each(|one| one.let_doze());
        // Those that went were replaced from the end of the list: these places are looked at again.
        Some(from + part.len() - let_go)
    }

    /// Lets idle ones go while the residents weigh too much together: they may have grown where they are.
    pub(super) fn trim(&self) {
        while self.is_overweight() && self.evict_one() {}
    }

    fn is_overweight(&self) -> bool {
        let residents = self.places.lock().residents.len();
        residents > 1 && residents * RESIDENT_BYTES + self.weight.load(Ordering::Relaxed) > self.bytes_max
    }

    fn has_room(&self, places: &Places) -> bool {
        let residents = places.residents.len();
        let bytes = residents * RESIDENT_BYTES + self.weight.load(Ordering::Relaxed);
        residents == 0 || (residents < self.residents_max && bytes + RESIDENT_BYTES <= self.bytes_max)
    }

    /// Lets the least recently used idle resident of a sample go; failing that, the first idle one of a scan.
    fn evict_one(&self) -> bool {
        let mut sample = self.places.lock().sample();
        sample.sort_by_key(|resident| resident.last_used());
        if sample.iter().any(|resident| self.let_go(&**resident)) {
            return true;
        }
        let scan = self.places.lock().scan();
        scan.iter().any(|resident| self.let_go(&**resident))
    }

    fn let_go(&self, resident: &dyn Resident) -> bool {
        // Not under the lock of the places: the slot has its own, and the registry too.
        if !resident.evict() {
            return false;
        }
        self.give_back(resident);
        true
    }

    /// Takes it off the list, if it is still there.
    fn give_back(&self, resident: &dyn Resident) -> bool {
        let mut places = self.places.lock();
        // IMPORTANT: its index is read under the lock. Another one that leaves may move it.
        let left = places.unseat(resident.index(), resident.key());
        drop(places);
        if left.is_some() {
            self.passivations.fetch_add(1, Ordering::Relaxed);
            self.weight.fetch_sub(resident.weight(), Ordering::Relaxed);
        }
        left.is_some()
    }
}

impl Places {
    fn seat(&mut self, newcomer: Arc<dyn Resident>) {
        newcomer.set_index(self.residents.len());
        self.residents.push(newcomer);
    }

    fn unseat(&mut self, index: usize, key: u64) -> Option<Arc<dyn Resident>> {
        if self.residents.get(index)?.key() != key {
            return None;
        }
        let left = self.residents.swap_remove(index);
        if let Some(moved) = self.residents.get(index) {
            moved.set_index(index);
        }
        Some(left)
    }

    fn sample(&mut self) -> Vec<Arc<dyn Resident>> {
        let len = self.residents.len();
        let mut pick = || {
            // xorshift64: any spread will do.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            usize::try_from(self.random >> 1).unwrap_or(0) % len
        };
        (0..SAMPLE.min(len)).map(|_| pick()).map(|index| self.residents[index].clone()).collect()
    }

    fn scan(&mut self) -> Vec<Arc<dyn Resident>> {
        let len = self.residents.len();
        let start = self.cursor;
        self.cursor = if len == 0 { 0 } else { (start + SCAN) % len };
        (0..SCAN.min(len)).map(|offset| self.residents[(start + offset) % len].clone()).collect()
    }
}
