//! A process that serves something by FUSE, from outside: a question per line on its standard input, an answer per line.
//!
//! It is a process of its own, because a process that waits for a file system that it serves itself cannot even be killed.
//! When its standard input ends, it unmounts and ends: nothing is left if the harness dies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// See the module. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    name: String,
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `program name arguments…`, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It cannot be started, or cannot serve.
    pub fn start(program: &Path, name: &str, arguments: &[&PathBuf]) -> Result<Self> {
        let mut process = Command::new(program)
            .arg(name)
            .args(arguments)
            // A signal to the harness and all its children, from the keyboard for instance, must leave it to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {} {name}", program.display()))?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().context("its output is piped")?);
        let mut server = Server { name: name.to_owned(), process, input, output };
        let said = server.answer()?;
        ensure!(said == "ready", "{name} said {said:?} instead of being ready");
        Ok(server)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        let input = self.input.as_mut().context("it has ended")?;
        writeln!(input, "{question}").with_context(|| format!("{} has ended", self.name))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).with_context(|| format!("{} cannot be heard", self.name))?;
        ensure!(!line.is_empty(), "{} has ended", self.name);
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
