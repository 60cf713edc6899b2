//! What the tests of the command line share: a journal of many sorts of commits, and the real binary.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own share of this")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use onefold::{Aggregate, CodecId, Config, Context, Decision, Error, Event, Handle, Runtime, SledJournal, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

/// Text that is kept.
#[derive(Default)]
pub(crate) struct Note;

/// Another type with the same events, so that there are two.
#[derive(Default)]
pub(crate) struct Memo;

#[derive(Event)]
#[event(prefix = "note")]
pub(crate) enum Noted {
    Written { text: String, lines: u32 },
}

macro_rules! aggregate {
    ($name:ident, $aggregate_type:literal) => {
        impl Aggregate for $name {
            const TYPE: &'static str = $aggregate_type;
            type Event = Noted;
            type Rejection = std::convert::Infallible;
            type Services = ();
            fn apply(&mut self, _: &Noted) {}
        }

        impl Handle<Vec<String>> for $name {
            type Reply = ();
            async fn handle(
                &self,
                texts: Vec<String>,
                _: &Context<Self>,
            ) -> Result<Decision<Self, ()>, Self::Rejection> {
                Ok(self.emit_all(texts.into_iter().map(|text| Noted::Written { text, lines: 1 })))
            }
        }
    };
}

/// Writes a memo, and changes a claim.
enum Claim {
    Take(&'static str),
    Hold(&'static str, Timestamp),
    Release(&'static str),
}

impl Handle<Claim> for Memo {
    type Reply = ();
    async fn handle(&self, claim: Claim, _: &Context<Self>) -> Result<Decision<Self, ()>, Self::Rejection> {
        let decision = self.emit(Noted::Written { text: "claims".to_owned(), lines: 1 });
        Ok(match claim {
            Claim::Take(value) => decision.claim(NAMESPACE, value),
            Claim::Hold(value, until) => decision.hold(NAMESPACE, value, until),
            Claim::Release(value) => decision.release(NAMESPACE, value),
        })
    }
}

aggregate!(Note, "note");
aggregate!(Memo, "memo.v2");

/// How many commits and events [`journal`] writes.
pub(crate) const COMMITS: u64 = BEFORE_CLAIMS + 4 + 4;
pub(crate) const EVENTS: u64 = COMMITS + 1;

/// How many come before the claims.
const BEFORE_CLAIMS: u64 = 3 + 300 + 40;

/// How many claims are held in the end.
pub(crate) const CLAIMS: u64 = 2;

/// Where all claims are.
const NAMESPACE: &str = "seat";

/// The key of the first command.
const KEY: &str = "order-17";

/// A cleanly closed journal: bincode and JSON, many streams, a long one, large events, metadata of the caller's own, claims
/// and an idempotency key.
pub(crate) fn journal(path: &Path) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        for codec in [CodecId::Bincode, CodecId::Json] {
            let journal = SledJournal::builder(path).free_space_reserve_bytes(0).open().unwrap();
            let config = Config { codec, ..Config::default() };
            let runtime = Runtime::builder(journal).config(config).aggregate::<Note>(()).aggregate::<Memo>(());
            let runtime = runtime.start().await.unwrap();
            write(&runtime, codec).await;
            assert!(runtime.shutdown(Duration::from_secs(20)).await.is_clean());
        }
    });
}

async fn write(runtime: &Runtime, codec: CodecId) {
    let notes = runtime.aggregates::<Note>().unwrap();
    let memos = runtime.aggregates::<Memo>().unwrap();
    if codec == CodecId::Json {
        notes.ask("readable", line("in words")).await.unwrap();
        memos.ask("ä/ö ü", line("odd id")).await.unwrap();
        let asked = notes.ask("readable", line("with metadata"));
        asked.metadata("who", "ada").metadata("why", "a test").await.unwrap();
        notes.ask("large", line(&"j".repeat(900_000))).await.unwrap();
        return;
    }
    notes.ask("several", [line("one"), line("two")].concat()).idempotency_key(KEY).await.unwrap();
    // With name, revision and length the payload is as large as an event may be, nearly.
    notes.ask("large", line(&"x".repeat((1 << 20) - 16))).await.unwrap();
    notes.ask("large", line("small")).await.unwrap();
    for index in 0..300 {
        notes.ask("long", line(&format!("text {index}"))).await.unwrap();
    }
    for index in 0..40 {
        memos.ask(format!("m{index:02}"), line("short")).await.unwrap();
    }
    for claim in [Claim::Take("1"), Claim::Hold("2", limit()), Claim::Take("3"), Claim::Release("3")] {
        memos.ask("m00", claim).await.unwrap();
    }
}

fn line(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// The limit of the hold: in the year 2100.
fn limit() -> Timestamp {
    Timestamp::from_micros(4_102_444_800_000_000)
}

/// A copy knows who has held the claims since when, and recognises the repeat of the command with the key.
#[track_caller]
pub(crate) fn check_claims_and_key(path: &Path) {
    let (holders, version) = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let journal = SledJournal::builder(path).free_space_reserve_bytes(0).open().unwrap();
        let runtime = Runtime::builder(journal).aggregate::<Note>(()).aggregate::<Memo>(()).start().await.unwrap();
        let mut holders = Vec::new();
        for value in ["1", "2", "3"] {
            let holder = runtime.claim(NAMESPACE, value).await.unwrap();
            holders.push(holder.map(|holder| (holder.stream.to_string(), holder.since.get(), holder.expires_at)));
        }
        let notes = runtime.aggregates::<Note>().unwrap();
        notes.ask("several", [line("one"), line("two")].concat()).idempotency_key(KEY).await.unwrap();
        let other = notes.ask("several", line("three")).idempotency_key(KEY).await;
        assert!(matches!(other, Err(Error::KeyReused { .. })), "{other:?}");
        let version = notes.version("several").await.unwrap().get();
        assert!(runtime.shutdown(Duration::from_secs(20)).await.is_clean());
        (holders, version)
    });
    let held = |number: u64, until| Some(("memo.v2/m00".to_owned(), BEFORE_CLAIMS + number, until));
    assert_eq!(holders, [held(1, None), held(2, Some(limit())), None]);
    assert_eq!(version, 2, "the repeat stores nothing");
}

/// A temporary directory with a [`journal`] in it.
pub(crate) fn with_journal() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = temporary.path().join("journal");
    journal(&path);
    (temporary, path)
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The answer of a command that must succeed.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.text());
        self
    }

    /// The objects, one per line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}", self.text());
        objects.remove(0)
    }
}

pub(crate) fn command(journal: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onefold"));
    command.args(arguments).arg("--journal").arg(journal);
    command.env_remove("RUST_LOG").env_remove("ONEFOLD_JOURNAL").stdin(Stdio::null());
    command
}

/// The real binary with these arguments, on a journal.
pub(crate) fn onefold(journal: &Path, arguments: &[&str]) -> Said {
    said(command(journal, arguments).output().unwrap())
}

/// The same with something on stdin.
pub(crate) fn onefold_with(journal: &Path, arguments: &[&str], input: &[u8]) -> Said {
    let mut command = command(journal, arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What does not want all of it closes its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    said(child.wait_with_output().unwrap())
}

fn said(output: std::process::Output) -> Said {
    let stderr = String::from_utf8(output.stderr).unwrap();
    Said { stdout: output.stdout, stderr, code: output.status.code().expect("an exit code") }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Changes values in sled; `change` says whether to keep them. sled is made anew, so that its file holds no older copy of what
/// was changed.
pub(crate) fn edit(path: &Path, kind: u8, mut change: impl FnMut(&[u8], &mut Vec<u8>) -> bool) {
    let entries: Vec<_> = open_store(path).iter().map(Result::unwrap).collect();
    let made = path.with_file_name("made-anew");
    let db = open_store(&made);
    for (key, value) in entries {
        let mut value = value.to_vec();
        if key[0] != kind || change(&key, &mut value) {
            db.insert(key, value).unwrap();
        }
    }
    db.flush().unwrap();
    drop(db);
    let is_sleds = |name: &str| name == "db" || name == "conf" || name.starts_with("snap.");
    for (directory, is_old) in [(path, true), (&*made, false)] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            match is_old {
                _ if !is_sleds(&name) => {}
                true => std::fs::remove_file(&file).unwrap(),
                false => drop(std::fs::copy(&file, path.join(name)).unwrap()),
            }
        }
    }
    std::fs::remove_dir_all(made).unwrap();
}

pub(crate) fn open_store(path: &Path) -> sled::Db {
    loop {
        match sled::Config::new().path(path).open() {
            // Threads of sled's hold its file for a moment after it was closed.
            Err(error) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}
