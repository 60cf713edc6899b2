//! A disk that fails on cue.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use onefold_sled::{Disk, Medium, Step};
use parking_lot::{Condvar, Mutex};

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Work,
    FailWrite,
    FailSync,
    WriteHalf,
    HangWrite,
    HangSync,
    Delay(Duration),
}

/// What goes wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Fail,
    Panic,
    Hang,
}

pub(crate) struct Scripted {
    script: Mutex<Script>,
    fault: Mutex<Option<(Step, Fault)>>,
    changed: Condvar,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Scripted { script: Mutex::new(Script::Work), fault: Mutex::default(), changed: Condvar::new() })
    }

    pub(crate) fn play(&self, script: Script) {
        *self.script.lock() = script;
        self.changed.notify_all();
    }

    pub(crate) fn break_step(&self, fault: Option<(Step, Fault)>) {
        *self.fault.lock() = fault;
    }
}

impl Medium for Scripted {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut script = self.script.lock();
        while *script == Script::HangWrite {
            self.changed.wait(&mut script);
        }
        let script = *script;
        match script {
            Script::FailWrite => Err(io::Error::other("scripted: the write failed")),
            Script::WriteHalf => {
                Disk.write(file, &bytes[..bytes.len() / 2], offset)?;
                Err(io::Error::other("scripted: half was written"))
            }
            _ => Disk.write(file, bytes, offset),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut script = self.script.lock();
        while *script == Script::HangSync {
            self.changed.wait(&mut script);
        }
        match *script {
            Script::FailSync => Err(io::Error::from_raw_os_error(5)),
            Script::Delay(delay) => {
                drop(script);
                std::thread::sleep(delay);
                Disk.sync(file)
            }
            _ => Disk.sync(file),
        }
    }

    fn before(&self, step: Step) -> io::Result<()> {
        let broken = || self.fault.lock().filter(|(broken, _)| *broken == step).map(|(_, fault)| fault);
        while broken() == Some(Fault::Hang) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match broken() {
            Some(Fault::Fail) => Err(io::Error::from_raw_os_error(28)),
            Some(Fault::Panic) => panic!("scripted"),
            _ => Ok(()),
        }
    }
}
