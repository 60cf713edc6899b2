//! The bar on the terminal. Hidden when there is none.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over what an attack does.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many steps.
    pub fn new(name: &'static str, steps: u64) -> Self {
        let bar = ProgressBar::new(steps).with_prefix(name);
        let template = "{prefix:>10.bold} {bar:40.cyan/dim} {human_pos}/{human_len}  {elapsed}  left {eta}  {msg}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(250));
        Progress(bar)
    }

    /// So many steps in all.
    pub fn steps(&self, steps: u64) {
        self.0.set_length(steps);
    }

    /// Some steps are done.
    pub fn step(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// How many steps are done.
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// Says what is going on.
    pub fn say(&self, message: impl Into<Cow<'static, str>>) {
        self.0.set_message(message);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
