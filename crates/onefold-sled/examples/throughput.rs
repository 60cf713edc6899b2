//! The journal alone: how many appends a second it takes, beside a bare append and sync of the same bytes.
//!
//! ```text
//! cargo run --release -p onefold-sled --example throughput -- <directory> [streams] [in flight] [seconds] [event bytes]
//! ```

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use onefold_core::journal::{
    Acknowledge, Acknowledgement, Append, AppendOutcome, AppendPart, EncodedEvents, Journal, OpenedSession, Session,
};
use onefold_core::{
    CodecError, CodecId, DecodeError, Event, EventType, ExpectedVersion, Limits, Metadata, PayloadWriter, StreamId,
    StreamVersion,
};
use onefold_sled::SledJournal;
use parking_lot::{Condvar, Mutex};

type Failure = Box<dyn Error>;

struct Options {
    streams: usize,
    in_flight: usize,
    seconds: f64,
    event_bytes: usize,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = arguments.first().ok_or("the first argument is a directory that is not there yet")?;
    let number = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let options = Options {
        streams: number(1, 100_000)?,
        in_flight: number(2, 4_096)?,
        seconds: arguments.get(3).map_or(Ok(5.0), |text| text.parse())?,
        event_bytes: number(4, 80)?,
    };
    std::fs::create_dir(directory)?;
    bare(&Path::new(directory).join("bare"), &options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let path = Path::new(directory).join("journal");
    let appended = runtime.block_on(journal(&path, &options))?;
    runtime.block_on(replay(&path, &options, appended))
}

/// One record of the same size, appended to a growing file and synced: what the disk can do for one client.
fn bare(path: &Path, options: &Options) -> Result<(), Failure> {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path)?;
    let record = vec![7; options.event_bytes + 140];
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed().as_secs_f64() < options.seconds.min(2.0) {
        let before = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let syncs = times.len() as f64 / options.seconds.min(2.0);
    println!("bare append + fdatasync, one client: p50 {:?}, {syncs:.0} syncs/s", times[times.len() / 2]);
    Ok(())
}

struct Noted(String);

impl Event for Noted {
    const TYPES: &'static [EventType] = &[EventType { name: "note.noted", revision: 1 }];

    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }

    fn encode(&self, codec: CodecId, out: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        codec.encode(&self.0, out)
    }

    fn decode(name: &str, revision: u16, codec: CodecId, payload: &[u8]) -> Result<Self, DecodeError> {
        codec.decode(payload).map(Noted).map_err(|error| DecodeError::payload(name, revision, error))
    }
}

/// How many appends were answered since the last look.
#[derive(Default)]
struct Answered {
    state: Mutex<(usize, Option<String>)>,
    changed: Condvar,
}

impl Acknowledge for Answered {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        let mut state = self.state.lock();
        state.0 += 1;
        if let Err(error) = outcome {
            state.1.get_or_insert(error.to_string());
        }
        if state.0 == 1 {
            self.changed.notify_one();
        }
    }
}

impl Answered {
    fn wait(&self) -> Result<usize, Failure> {
        let mut state = self.state.lock();
        while state.0 == 0 {
            self.changed.wait(&mut state);
        }
        match state.1.take() {
            Some(error) => Err(error.into()),
            None => Ok(std::mem::take(&mut state.0)),
        }
    }
}

async fn journal(path: &Path, options: &Options) -> Result<u64, Failure> {
    let journal = SledJournal::open(path)?;
    let started = Instant::now();
    let opened = open_all(&journal, options).await?;
    println!("open of new streams: {:.0}/s", options.streams as f64 / started.elapsed().as_secs_f64());
    let mut streams: Vec<(Session, u64)> = opened.into_iter().map(|o| (o.session, o.head.get())).collect();
    let events = EncodedEvents::encode(&[Noted("x".repeat(options.event_bytes))], CodecId::Bincode, &Limits::CEILING)?;
    let mut metadata = Vec::new();
    Metadata::default().encode(&Limits::default(), &mut metadata)?;
    let answered = Arc::new(Answered::default());
    let (mut room, mut next, mut total) = (options.in_flight, 0, 0u64);
    let started = Instant::now();
    let time = Duration::from_secs_f64(options.seconds);
    while started.elapsed() < time {
        while room > 0 {
            next = (next + 1) % streams.len();
            let (session, version) = &mut streams[next];
            let expected = ExpectedVersion::from(*version);
            *version += 1;
            let part = AppendPart { session: session.clone(), expected, events: events.clone(), claims: Vec::new() };
            let listener = Acknowledgement::new(Arc::clone(&answered) as Arc<dyn Acknowledge>);
            let mut append = Append::new(part, metadata.clone(), listener);
            while let Err(back) = journal.append(append) {
                append = back;
                journal.capacity().await;
            }
            room -= 1;
        }
        let done = answered.wait()?;
        (room, total) = (room + done, total + done as u64);
    }
    while room < options.in_flight {
        let done = answered.wait()?;
        (room, total) = (room + done, total + done as u64);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let stats = journal.stats();
    println!("journal: {:.0} appends/s, {:.0} syncs/s", total as f64 / elapsed, stats.syncs as f64 / elapsed);
    println!("{stats:?}");
    if options.in_flight == 1 {
        println!("one client: mean {:.0} us", elapsed * 1e6 / total as f64);
    }
    let started = Instant::now();
    journal.close().await?;
    println!("close: {:?}", started.elapsed());
    Ok(total)
}

async fn open_all(journal: &SledJournal, options: &Options) -> Result<Vec<OpenedSession>, Failure> {
    let ids = (0..options.streams).map(|index| StreamId::new("note", format!("stream-{index}")));
    let opens = futures_util::stream::iter(ids).map(|id| match id {
        Ok(id) => journal.open(&id).map(|opened| opened.map_err(Failure::from)).boxed_local(),
        Err(error) => std::future::ready(Err(error.into())).boxed_local(),
    });
    let opened: Vec<Result<OpenedSession, Failure>> = opens.buffered(256).collect().await;
    opened.into_iter().collect()
}

async fn replay(path: &Path, options: &Options, appended: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let journal = SledJournal::open(path)?;
    println!("reopen: {:?}", started.elapsed());
    for round in ["cold", "warm"] {
        let started = Instant::now();
        let mut chunks = journal.read_stream(&StreamId::new("note", "stream-0")?, StreamVersion::EMPTY);
        let mut events = 0;
        while let Some(chunk) = chunks.next().await {
            events += chunk?.parts.len();
        }
        println!("one stream, {round}: {events} events, {:.0}/s", events as f64 / started.elapsed().as_secs_f64());
    }
    for round in ["cold", "warm"] {
        let started = Instant::now();
        let ids = (0..options.streams).map(|index| StreamId::new("note", format!("stream-{index}")).expect("an id"));
        let journal = &journal;
        let reads = futures_util::stream::iter(ids).map(|id| async move {
            let opened = journal.open(&id).await.expect("an open stream");
            let mut chunks = journal.read_stream(&id, StreamVersion::EMPTY);
            let mut events = 0;
            while let Some(chunk) = chunks.next().await {
                let parts = chunk.expect("a chunk").parts;
                events += parts.iter().map(|part| u64::from(part.event_count)).sum::<u64>();
            }
            assert_eq!(events, opened.head.get());
            events
        });
        let events: u64 = reads.buffered(64).fold(0, |sum, events| async move { sum + events }).await;
        assert_eq!(events, appended);
        let elapsed = started.elapsed().as_secs_f64();
        let (streams, events) = (options.streams as f64 / elapsed, events as f64 / elapsed);
        println!("open and read all, {round}: {streams:.0} streams/s, {events:.0} events/s");
    }
    println!("{:?}", journal.stats());
    Ok(())
}
