//! The process that serves a folder with faults, from outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::fault::Fault;
use crate::crash::disk::served::Server;

/// A folder in which calls go wrong.
#[derive(Debug)]
pub(super) struct FolderServer {
    server: Server,
    folder: PathBuf,
    served: PathBuf,
}

impl FolderServer {
    /// Serves a new folder, with its files below `home`.
    pub(super) fn start(program: &Path, home: &Path) -> Result<Self> {
        let (folder, served) = (home.join("real"), home.join("served"));
        for path in [&folder, &served] {
            std::fs::create_dir_all(path).with_context(|| format!("could not create {}", path.display()))?;
        }
        let server = Server::start(program, "folder-server", &[&folder, &served])?;
        Ok(FolderServer { server, folder, served })
    }

    /// The folder as it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder in which calls go wrong.
    pub(super) fn served(&self) -> &Path {
        &self.served
    }

    pub(super) fn plan(&mut self, fault: Fault, call: u64, delay: Duration) -> Result<()> {
        let answer = self.server.ask(&format!("{fault} {call} {}", delay.as_millis()))?;
        ensure!(answer == "planned", "the folder's server answered {answer:?}");
        Ok(())
    }

    pub(super) fn plan_nothing(&mut self) -> Result<()> {
        let answer = self.server.ask("none")?;
        ensure!(answer == "planned", "the folder's server answered {answer:?}");
        Ok(())
    }

    /// The call that went wrong, in words.
    pub(super) fn fired(&mut self) -> Result<Option<String>> {
        let answer = self.server.ask("fired")?;
        Ok((answer != "not yet").then_some(answer))
    }
}
