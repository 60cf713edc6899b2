//! The closed loop: so many clients, each of which sends its next operation when the last one was answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::recorder::{Recorders, Window};
use crate::rng::Rng;
use crate::target::{Outcome, Target};
use crate::workload::{Operation, OperationKind, Picker, Pickers};

/// Runs one round.
pub(crate) async fn run<T: Target>(
    target: &T,
    pickers: &Pickers,
    round: u32,
    window: Window,
    recorders: &Arc<Recorders>,
) {
    let client = |number| client(target.clone(), pickers.picker(round, number), window, Arc::clone(recorders));
    let clients: Vec<_> = (0..pickers.clients()).map(|number| tokio::spawn(client(number))).collect();
    for client in clients {
        client.await.expect("clients don't panic");
    }
}

async fn client<T: Target>(target: T, mut picker: Picker, window: Window, recorders: Arc<Recorders>) {
    let mut started = Instant::now();
    while started < window.end {
        let operation = picker.pick();
        let outcome = target.call(operation).await;
        let answered = Instant::now();
        let refused = matches!(outcome, Outcome::Failed(_) | Outcome::Overloaded { .. });
        recorders.record(&window, operation, outcome, started, answered);
        if refused {
            // A refusal may come without any wait: let the others have the thread.
            tokio::task::yield_now().await;
        }
        started = answered;
    }
}

/// Gives every aggregate one event, in the order of their numbers.
pub(crate) async fn prefill<T: Target>(
    target: &T,
    clients: u32,
    aggregates: u32,
    seed: u64,
    recorders: &Arc<Recorders>,
) {
    let window = Window::starting_now(Duration::ZERO);
    let client = |number: u32| {
        let (target, recorders) = (target.clone(), Arc::clone(recorders));
        let mut rng = Rng::new(seed, u64::MAX, number.into());
        async move {
            for aggregate in (number..aggregates).step_by(clients as usize) {
                let operation = Operation { aggregate, kind: OperationKind::Write { nonce: rng.bits() } };
                let outcome = target.call(operation).await;
                recorders.record(&window, operation, outcome, window.start, window.start);
            }
        }
    };
    let clients: Vec<_> = (0..clients).map(|number| tokio::spawn(client(number))).collect();
    for client in clients {
        client.await.expect("clients don't panic");
    }
}
