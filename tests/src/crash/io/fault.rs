//! Which call to the disk goes wrong, and how.

use std::fmt;
use std::time::Duration;

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// One call fails with `EIO`. If it is a sync, what was written since the last one is gone, as after a real one.
    Eio,
    /// The disk is full from that call on: `ENOSPC`.
    Enospc,
    /// One write writes half, and says so.
    Short,
    /// One call takes much longer than the watchdog waits.
    Delay,
}

impl Fault {
    /// All.
    pub const ALL: [Fault; 4] = [Fault::Eio, Fault::Enospc, Fault::Short, Fault::Delay];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Eio => "eio",
            Fault::Enospc => "enospc",
            Fault::Short => "short",
            Fault::Delay => "delay",
        })
    }
}

/// A call that changes the disk or makes changes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Bytes into a file.
    Write,
    /// A file or a directory made durable.
    Sync,
    /// A name, or a file's length.
    Change,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It fails with this error.
    Fails(rustix::io::Errno),
    /// It writes half.
    Halved,
    /// It is done after that long.
    Late(Duration),
}

/// Counts calls, and lets the one go wrong that was planned.
#[derive(Debug)]
pub struct Plan {
    fault: Option<(Fault, u64)>,
    delay: Duration,
    calls: u64,
    fired: Option<String>,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Plan { fault: None, delay: Duration::ZERO, calls: 0, fired: None }
    }

    /// The call with this number, from 1, goes wrong; or the first behind it that can.
    pub fn at(fault: Fault, number: u64, delay: Duration) -> Self {
        Plan { fault: Some((fault, number)), delay, ..Plan::none() }
    }

    /// The next call; `what` is it in words.
    pub fn call(&mut self, call: Call, what: impl FnOnce() -> String) -> Fate {
        self.calls += 1;
        let Some((fault, number)) = self.fault else { return Fate::Done };
        if self.calls < number {
            return Fate::Done;
        }
        let is_lasting = fault == Fault::Enospc;
        if self.fired.is_some() && !is_lasting {
            return Fate::Done;
        }
        let fate = match (fault, call) {
            (Fault::Eio, _) => Fate::Fails(rustix::io::Errno::IO),
            (Fault::Enospc, Call::Write | Call::Change) => Fate::Fails(rustix::io::Errno::NOSPC),
            (Fault::Short, Call::Write) => Fate::Halved,
            (Fault::Delay, _) => Fate::Late(self.delay),
            // A full disk still syncs, and only writes are short.
            (Fault::Enospc | Fault::Short, _) => Fate::Done,
        };
        if fate != Fate::Done && self.fired.is_none() {
            self.fired = Some(format!("call {}: {}", self.calls, what()));
        }
        fate
    }

    /// Whether the next call will be late.
    pub fn is_next_late(&self) -> bool {
        let is_next = self.fault.is_some_and(|(fault, number)| fault == Fault::Delay && self.calls + 1 >= number);
        is_next && self.fired.is_none()
    }

    /// The call that went wrong, in words.
    pub fn fired(&self) -> Option<&str> {
        self.fired.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(fault: Fault, number: u64, calls: &[Call]) -> Vec<bool> {
        let mut plan = Plan::at(fault, number, Duration::from_secs(1));
        calls.iter().map(|call| plan.call(*call, String::new) != Fate::Done).collect()
    }

    #[test]
    fn the_planned_call_goes_wrong_or_the_next_that_can() {
        use Call::{Change, Sync, Write};
        let calls = [Write, Sync, Write, Change, Write];
        assert_eq!(fates(Fault::Eio, 2, &calls), [false, true, false, false, false]);
        assert_eq!(fates(Fault::Short, 2, &calls), [false, false, true, false, false]);
        assert_eq!(fates(Fault::Enospc, 2, &calls), [false, false, true, true, true]);
        assert_eq!(fates(Fault::Delay, 4, &calls), [false, false, false, true, false]);
        assert_eq!(Plan::none().call(Write, String::new), Fate::Done);
    }

    #[test]
    fn it_says_which_call_went_wrong() {
        let mut plan = Plan::at(Fault::Enospc, 2, Duration::ZERO);
        for name in ["a", "b", "c"] {
            plan.call(Call::Write, || name.to_owned());
        }
        assert_eq!(plan.fired(), Some("call 2: b"));
    }
}
