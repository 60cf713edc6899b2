//! The next segment is made ready ahead of time, on a thread of its own, so that the writer does not wait for zeros.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::segment::{self, Segment, SegmentHeader};
use crate::medium::{Medium, Step};

/// What the writer, the checkpoint and the preparing thread tell each other.
pub(crate) struct Preparer {
    dir: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    medium: Arc<dyn Medium>,
    segment_bytes: u64,
    spares_max: usize,
}

#[derive(Debug, Default)]
struct State {
    request: Option<(SegmentHeader, u64)>,
    ready: Option<io::Result<Segment>>,
    spares: Vec<PathBuf>,
    stopped: bool,
}

impl Preparer {
    /// Keeps at most `spares_max` files for recycling, all of `segment_bytes`; others are deleted.
    pub(crate) fn new(dir: PathBuf, medium: Arc<dyn Medium>, segment_bytes: u64, spares_max: usize) -> Self {
        Preparer { dir, state: Mutex::default(), changed: Condvar::new(), medium, segment_bytes, spares_max }
    }

    /// Asks for a segment.
    pub(crate) fn request(&self, header: SegmentHeader, bytes: u64) {
        self.state.lock().request = Some((header, bytes));
        self.changed.notify_all();
    }

    /// Waits for the segment that was asked for.
    pub(crate) fn take(&self) -> io::Result<Segment> {
        let mut state = self.state.lock();
        loop {
            if let Some(ready) = state.ready.take() {
                return ready;
            }
            if state.stopped {
                return Err(io::Error::other("the journal is stopping"));
            }
            self.changed.wait(&mut state);
        }
    }

    /// Gives a file that is no longer needed, to be recycled or deleted.
    pub(crate) fn give_spare(&self, path: PathBuf) {
        // A file of another size, from the first small steps of a journal or after a change of configuration, is of no use.
        let fits = path.metadata().is_ok_and(|metadata| metadata.len() == self.segment_bytes);
        let mut state = self.state.lock();
        if fits && state.spares.len() < self.spares_max {
            state.spares.push(path);
            return;
        }
        drop(state);
        delete(&path);
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The thread.
    pub(crate) fn run(&self) {
        let mut state = self.state.lock();
        while !state.stopped {
            let Some((header, bytes)) = state.request.take() else {
                self.changed.wait(&mut state);
                continue;
            };
            let spare = if bytes == self.segment_bytes { state.spares.pop() } else { None };
            drop(state);
            let ready = self.medium.before(Step::Segment);
            let ready = ready.and_then(|()| segment::prepare(&self.dir, header, bytes, spare));
            state = self.state.lock();
            state.ready = Some(ready);
            self.changed.notify_all();
        }
    }
}

/// Deletes a file that holds nothing that is not in sled; a failure only costs space.
fn delete(path: &PathBuf) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "could not delete an old segment");
    }
}
