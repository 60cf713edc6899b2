//! A bar on stderr, while something takes long and somebody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onefold::admin::Progress;

/// The bar. On what is no terminal it is not there.
pub(crate) struct Bar {
    bar: ProgressBar,
    stage: &'static str,
}

impl Bar {
    pub(crate) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        Bar { bar, stage: "" }
    }

    /// Shows how far it got.
    pub(crate) fn show(&mut self, progress: Progress) {
        if self.stage != progress.stage {
            self.stage = progress.stage;
            self.bar.set_message(progress.stage);
        }
        let template = match progress.total {
            0 => "{spinner} {msg} {human_pos}",
            _ => "{spinner} {msg} [{bar:30}] {human_pos}/{human_len} {eta}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        if progress.total > 0 {
            self.bar.set_length(progress.total);
        }
        self.bar.set_position(progress.done);
        self.bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
