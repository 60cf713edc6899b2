//! Captures what is logged on this thread.
//!
//! One subscriber serves all threads: with one per test, what tracing remembers about who is interested in what depends on
//! which test comes first.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The spans and events of this thread since [`capture`], a line each: level, name, fields.
pub(crate) struct Captured(());

/// Captures on this thread, until dropped: use it with a current-thread runtime.
pub(crate) fn capture() -> Captured {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Collector).expect("nobody else sets one"));
    LINES.set(Some(Vec::new()));
    Captured(())
}

impl Captured {
    /// The lines of that name.
    pub(crate) fn named(&self, name: &str) -> Vec<String> {
        self.all().into_iter().filter(|line| line.split(' ').nth(1) == Some(name)).collect()
    }

    /// All lines.
    pub(crate) fn all(&self) -> Vec<String> {
        let Captured(()) = self;
        LINES.with_borrow(|lines| lines.clone().unwrap_or_default())
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Collector;

fn collect(metadata: &Metadata<'_>, fields: impl FnOnce(&mut Text)) {
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            let mut text = Text(format!("{} {}", metadata.level(), metadata.name()));
            fields(&mut text);
            lines.push(text.0);
        }
    });
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("onefold")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        collect(span.metadata(), |text| span.record(text));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        collect(event.metadata(), |text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
