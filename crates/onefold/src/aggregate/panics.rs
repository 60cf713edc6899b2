//! Panics of a user's code, and users' values whose drop may panic: caught, put into words, and nobody else's matter.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use onefold_core::StreamId;

use crate::telemetry;

/// What is kept of a panic's message at most.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What a panic said; the end of a long message is cut off.
pub(crate) fn message_of(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = cut(text.unwrap_or("a value that is no text"));
    // What it carried is a user's value, too. Should that panic, what the second panic carried is leaked.
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
    message
}

fn cut(message: &str) -> String {
    match message.len() <= MESSAGE_BYTES_MAX {
        true => message.to_owned(),
        false => format!("{}…", &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]),
    }
}

/// Drops a user's value: should its drop panic, that is told to the log and to nobody else.
pub(crate) fn drop_guarded<T>(value: T, stream: &StreamId) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        telemetry::panicked(stream, "drop", &message_of(panic));
    }
}
