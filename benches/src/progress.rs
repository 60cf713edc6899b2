//! The bar on the terminal. Hidden when there is none.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::recorder::{Recorders, Window};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(250);

/// One bar over all that a command does.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar of so much time in all.
    pub(crate) fn timed(whole: Duration) -> Self {
        let bar = ProgressBar::new(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{prefix:>10.bold} {bar:40.cyan/dim} {percent:>3} %  {msg}");
        bar.set_style(style.expect("a constant template"));
        Progress { bar }
    }

    /// A bar without a known end.
    pub(crate) fn spinner() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Progress { bar }
    }

    /// Says what is going on.
    pub(crate) fn say(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }

    /// Follows one round until the returned guard is dropped.
    pub(crate) fn follow(&self, name: &'static str, window: Window, recorders: &Arc<Recorders>) -> Following {
        if self.bar.is_hidden() {
            return Following(None);
        }
        let (bar, recorders, before) = (self.bar.clone(), Arc::clone(recorders), self.bar.position());
        bar.set_prefix(name);
        Following(Some(tokio::spawn(async move {
            let mut answered = 0;
            loop {
                tokio::time::sleep(TICK).await;
                let elapsed = Instant::now().min(window.end) - window.start;
                bar.set_position(before + u64::try_from(elapsed.as_millis()).unwrap_or(0));
                let so_far = recorders.answered();
                bar.set_message(format!("{}/s", crate::report::number((so_far - answered) * 1_000 / 250)));
                answered = so_far;
            }
        })))
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar's task; ends when dropped.
#[derive(Debug)]
pub(crate) struct Following(Option<JoinHandle<()>>);

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
