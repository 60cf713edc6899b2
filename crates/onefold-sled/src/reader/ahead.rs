//! A stream being read: while the caller deals with one chunk, the next is read on the pool. Never more than one ahead, so
//! memory is bounded; dropped, it is cancelled.

use std::sync::Arc;

use onefold_core::journal::{ReadError, StreamChunk};
use tokio::sync::oneshot;

use super::Reader;
use super::pool::ReaderPool;
use super::window::StreamWalk;
use crate::shared::Shared;

type Read = (Option<StreamChunk>, StreamWalk);

/// A stream being read.
pub(crate) struct StreamReading {
    shared: Arc<Shared>,
    pool: Arc<ReaderPool>,
    next: Next,
}

enum Next {
    /// To be asked for.
    Idle(StreamWalk),
    /// Being read.
    Asked(oneshot::Receiver<Result<Read, ReadError>>),
    Done,
}

impl StreamReading {
    pub(crate) fn new(shared: &Arc<Shared>, pool: &Arc<ReaderPool>, walk: StreamWalk) -> Self {
        StreamReading { shared: Arc::clone(shared), pool: Arc::clone(pool), next: Next::Idle(walk) }
    }

    /// The next chunk; `None` after the last, or after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<StreamChunk, ReadError>> {
        let read = match std::mem::replace(&mut self.next, Next::Done) {
            Next::Done => return None,
            Next::Idle(walk) => self.pool.run(read(&self.shared, walk)).await,
            Next::Asked(answer) => answer.await.unwrap_or(Err(ReadError::Closed)),
        };
        match read {
            Ok((chunk, walk)) => {
                self.go_on(walk);
                chunk.map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn go_on(&mut self, walk: StreamWalk) {
        self.next = match self.pool.try_permit() {
            _ if walk.is_done() => Next::Done,
            Some(permit) => Next::Asked(self.pool.start(permit, read(&self.shared, walk))),
            None => Next::Idle(walk),
        };
    }
}

fn read(shared: &Arc<Shared>, mut walk: StreamWalk) -> impl FnOnce() -> Result<Read, ReadError> + Send + 'static {
    let shared = Arc::clone(shared);
    move || {
        let chunk = walk.next_chunk(&mut Reader::new(&shared)?)?;
        Ok((chunk, walk))
    }
}
