//! The journal's two tasks: the writer, which makes groups durable, and the messenger, which tells the answers when they
//! are due.

use std::future::pending;
use std::sync::Arc;

use tokio::time::timeout_at;

use super::{Boundary, Shared, pause};

pub(super) fn start(shared: &Arc<Shared>) {
    tokio::spawn(write(shared.clone()));
    tokio::spawn(send(shared.clone()));
}

async fn write(shared: Arc<Shared>) {
    loop {
        while !shared.state.lock().has_work() {
            shared.work.notified().await;
        }
        let time = {
            let mut state = shared.state.lock();
            if !state.strikes(Boundary::BeforeWrite, &shared) {
                state.writing = true;
                state.write(&shared);
            }
            let limit = state.weather.sync;
            state.random.time_below(limit)
        };
        pause(time).await;
        let halted = {
            let mut state = shared.state.lock();
            if !state.halted && !state.strikes(Boundary::Written, &shared) {
                state.sync(&shared);
                state.writing = false;
                state.strikes(Boundary::Synced, &shared);
            }
            state.halted
        };
        if halted {
            return pending().await;
        }
        tell(&shared);
        shared.due.notify_one();
    }
}

async fn send(shared: Arc<Shared>) {
    loop {
        let next = shared.state.lock().next_due();
        match next {
            None => shared.due.notified().await,
            Some(at) => {
                let _ = timeout_at(at, shared.due.notified()).await;
            }
        }
        tell(&shared);
    }
}

/// Hands out what is due. Without a lock: who is told may append, which brings it here again.
pub(super) fn tell(shared: &Shared) {
    loop {
        let answers = shared.state.lock().begin_telling(shared);
        if answers.is_empty() {
            return;
        }
        answers.into_iter().for_each(|(acknowledgement, outcome)| acknowledgement.complete(outcome));
        let mut state = shared.state.lock();
        state.end_telling(shared);
        state.strikes(Boundary::Acknowledged, shared);
    }
}
