//! How long a thread, or the whole process, had a core, and how long it waited for one.

use std::ops::Sub;
use std::time::Duration;

/// Since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoreTime {
    pub(crate) running: Duration,
    /// Ready to run, and not running.
    pub(crate) waiting: Duration,
}

impl CoreTime {
    /// Of the calling thread, as Linux tells; nothing where nobody tells.
    pub(crate) fn of_this_thread() -> Self {
        std::fs::read_to_string("/proc/thread-self/schedstat").map(|text| parse(&text)).unwrap_or_default()
    }

    /// Of all threads that this process has now.
    pub(crate) fn of_this_process() -> Self {
        let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return CoreTime::default() };
        let of = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok().map(|text| parse(&text))
        };
        threads.filter_map(of).fold(CoreTime::default(), |sum, one| CoreTime {
            running: sum.running + one.running,
            waiting: sum.waiting + one.waiting,
        })
    }
}

impl Sub for CoreTime {
    type Output = CoreTime;

    fn sub(self, earlier: CoreTime) -> CoreTime {
        CoreTime {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }
}

/// Nanoseconds on a core, nanoseconds in the queue for one, and how many times.
fn parse(schedstat: &str) -> CoreTime {
    let mut nanos = schedstat.split_whitespace().map(|number| number.parse().unwrap_or(0));
    let mut next = || Duration::from_nanos(nanos.next().unwrap_or(0));
    CoreTime { running: next(), waiting: next() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_understood() {
        let parsed = parse("166033639 395232227 66\n");
        assert_eq!(parsed.running, Duration::from_nanos(166_033_639));
        assert_eq!(parsed.waiting, Duration::from_nanos(395_232_227));
        assert_eq!(parse("").running, Duration::ZERO);
    }
}
