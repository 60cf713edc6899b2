//! Which command is being handled on this thread right now, so that an `ask` from inside a handler inherits its correlation
//! and an endless circle is found instead of waited for.
//!
//! The scope is entered for each poll of a handler, as a task-local would be. A task that a handler spawns is outside.

use std::cell::RefCell;
use std::sync::Arc;

use onefold_core::{CommandId, CorrelationId};

use crate::sync::thread_local;

/// The aggregates that wait for a call, from the inside out.
#[derive(Debug)]
pub(crate) struct Chain {
    slot: u64,
    up: Option<Arc<Chain>>,
}

impl Chain {
    /// These slots wait, too.
    pub(crate) fn with(slots: impl IntoIterator<Item = u64>, up: Option<Arc<Chain>>) -> Option<Arc<Chain>> {
        slots.into_iter().fold(up, |up, slot| Some(Arc::new(Chain { slot, up })))
    }

    /// Whether that slot is waiting.
    pub(crate) fn contains(&self, slot: u64) -> bool {
        let mut link = Some(self);
        while let Some(chain) = link {
            if chain.slot == slot {
                return true;
            }
            link = chain.up.as_deref();
        }
        false
    }
}

/// The command that is being handled.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) slot: u64,
    pub(crate) command_id: CommandId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) chain: Option<Arc<Chain>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

impl Scope {
    /// Runs `body` with `scope` as the current one; gives it back afterwards, also when `body` panics.
    pub(crate) fn enter<T>(scope: &mut Option<Scope>, body: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a mut Option<Scope>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                CURRENT.with(|current| std::mem::swap(&mut *current.borrow_mut(), self.0));
            }
        }
        CURRENT.with(|current| std::mem::swap(&mut *current.borrow_mut(), scope));
        let _restore = Restore(scope);
        body()
    }

    /// The command being handled here, and the chain for a call made by its handler.
    pub(crate) fn current() -> Option<(CommandId, CorrelationId, Arc<Chain>)> {
        CURRENT.with(|current| {
            current.borrow().as_ref().map(|scope| {
                let chain = Arc::new(Chain { slot: scope.slot, up: scope.chain.clone() });
                (scope.command_id, scope.correlation_id, chain)
            })
        })
    }
}
