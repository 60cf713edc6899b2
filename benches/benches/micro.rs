//! What the parts of a command cost, one at a time: encoding, the envelope, an append in memory, a round trip.
//!
//! `cargo bench -p onefold-benches --bench micro`
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use onefold::journal::record::{self, EncodedFacts, PartPlace, RecordView};
use onefold::journal::{
    Acknowledge, Acknowledgement, Append, AppendError, AppendOutcome, AppendPart, EncodedEvents, Journal,
    MemoryJournal, Session,
};
use onefold::{
    Aggregate, CodecId, CommitNumber, ExpectedVersion, GlobalPosition, Limits, Metadata, Runtime, StreamId,
    StreamVersion,
};
use onefold_benches::counter::{Add, Counter, CounterEvent};
use onefold_benches::entry::Entry;

/// As in RESULTS.md.
const EVENT_BYTES: u32 = 80;

/// Appends after which a journal in memory is thrown away, so that it does not grow without bound.
const APPENDS_PER_JOURNAL: u64 = 100_000;

criterion_group! {
    name = micro;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = events, envelope, memory_append, round_trips
}
criterion_main!(micro);

fn event() -> CounterEvent {
    CounterEvent::Added { entry: Entry::new(1, 0x0123_4567_89ab_cdef, EVENT_BYTES) }
}

fn encoded() -> EncodedEvents {
    EncodedEvents::encode(&[event()], CodecId::Bincode, &Limits::default()).expect("within the limits")
}

fn events(criterion: &mut Criterion) {
    let (limits, event) = (Limits::default(), [event()]);
    criterion.bench_function("event/encode", |bencher| {
        bencher.iter(|| EncodedEvents::encode(black_box(&event), CodecId::Bincode, &limits));
    });
    let encoded = encoded();
    criterion.bench_function("event/decode", |bencher| {
        bencher.iter(|| {
            let mut frames = onefold::journal::EventFrames::new(black_box(encoded.bytes()), 1);
            frames.next().flatten().expect("one frame").decode::<CounterEvent>()
        });
    });
}

fn envelope(criterion: &mut Criterion) {
    let append = append(&open(&MemoryJournal::new()), 0, &Acknowledged::nobody());
    let places = [PartPlace { previous: CommitNumber::NONE, first_version: StreamVersion::new(1) }];
    let write = |out: &mut Vec<u8>| {
        record::encode(
            black_box(&append),
            CommitNumber::new(1),
            GlobalPosition::new(1),
            &places,
            &EncodedFacts::default(),
            out,
        );
    };
    let mut out = Vec::new();
    criterion.bench_function("envelope/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            write(&mut out);
        });
    });
    let mut bytes = Vec::new();
    write(&mut bytes);
    let source = Bytes::from(bytes);
    criterion.bench_function("envelope/parse", |bencher| bencher.iter(|| RecordView::parse(black_box(&source))));
    criterion.bench_function("envelope/parse and take", |bencher| {
        bencher.iter(|| {
            let view = RecordView::parse(black_box(&source)).expect("just written");
            view.parts().next().map(|part| view.take(&part, &source))
        });
    });
}

fn memory_append(criterion: &mut Criterion) {
    let listener = Acknowledged::nobody();
    criterion.bench_function("memory journal/append", |bencher| {
        bencher.iter_custom(|appends| {
            let mut elapsed = Duration::ZERO;
            let mut left = appends;
            while left > 0 {
                let batch = left.min(APPENDS_PER_JOURNAL);
                let journal = MemoryJournal::new();
                let session = open(&journal);
                let appends: Vec<_> = (0..batch).map(|version| append(&session, version, &listener)).collect();
                let began = Instant::now();
                for append in appends {
                    journal.append(append).expect("memory has no queue");
                }
                elapsed += began.elapsed();
                left -= batch;
            }
            elapsed
        });
    });
}

fn round_trips(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let runtime = tokio.block_on(Runtime::builder(MemoryJournal::new()).aggregate::<Counter>(()).start());
    let runtime = runtime.expect("a valid configuration");
    let counters = runtime.aggregates::<Counter>().expect("registered");
    criterion.bench_function("round trip/ask", |bencher| {
        bencher.iter_batched(
            || counters.ask("one", Add { nonce: 1, event_bytes: EVENT_BYTES }),
            |ask| tokio.block_on(ask),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("round trip/read", |bencher| {
        bencher.iter(|| tokio.block_on(counters.read("one", |counter| counter.count)));
    });
    drop(counters);
    tokio.block_on(runtime.shutdown(Duration::from_secs(5)));
}

fn open(journal: &MemoryJournal) -> Session {
    let stream = StreamId::new(Counter::TYPE, "one").expect("a valid id");
    journal.open(&stream).now_or_never().expect("memory does not wait").expect("open").session
}

fn append(session: &Session, version: u64, listener: &Arc<Acknowledged>) -> Append {
    let part = AppendPart {
        session: session.clone(),
        expected: ExpectedVersion::from(version),
        events: encoded(),
        claims: Vec::new(),
    };
    let mut metadata = Vec::new();
    Metadata::default().encode(&Limits::default(), &mut metadata).expect("no entries");
    Append::new(part, metadata, Acknowledgement::new(listener.clone()))
}

/// Whom an append tells its outcome.
struct Acknowledged;

impl Acknowledged {
    fn nobody() -> Arc<Self> {
        Arc::new(Acknowledged)
    }
}

impl Acknowledge for Acknowledged {
    fn acknowledge(self: Arc<Self>, outcome: AppendOutcome) {
        // The append of the envelope's bench is never submitted, hence "unknown"; a refused one would measure nothing.
        assert!(!outcome.as_ref().is_err_and(AppendError::surely_not_stored), "{outcome:?}");
    }
}
