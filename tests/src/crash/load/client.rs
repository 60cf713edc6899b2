//! A client of the load: draws its next command, announces it, sends it, and says what it heard.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onefold::{Aggregates, Error, Holder, Runtime, transact};
use parking_lot::Mutex;

use super::{EventBytes, LoadOptions};
use crate::crash::chronicle::{Act, Chronicle, Write};
use crate::crash::random::Random;
use crate::crash::transcript::{Holding, Line, NAMESPACE, Recorder, Request, Share, Step, WrongKind};

/// How long a client waits after it was refused.
const PAUSE: Duration = Duration::from_millis(5);

/// How many claims there are: so few that clients meet.
const SEATS: u64 = 64;

/// How long a claim is held at most, when it is not taken for good.
const HOLD_MICROS_MAX: u64 = 20_000;

/// What one aggregate of several gives another at most.
const AMOUNT_MAX: u64 = 1_000;

/// What all clients use.
pub(super) struct Shared {
    pub(super) runtime: Arc<Runtime>,
    pub(super) chronicles: Aggregates<Chronicle>,
    pub(super) recorder: Recorder,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) numbers: AtomicU64,
    pub(super) load: LoadOptions,
    pub(super) run: u32,
    /// Whether the journal's commits can carry keys, claims, and events of several aggregates.
    pub(super) carries_extras: bool,
    /// What an earlier process was sent, and nobody knows what became of it; and some that is known.
    pub(super) again: Mutex<Vec<Request>>,
}

/// What a client heard of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Stored,
    Refused,
    Unknown,
    /// It went away before the answer.
    Nothing,
}

pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) client: u32,
    pub(super) random: Random,
}

impl Client {
    pub(super) async fn run(mut self) {
        loop {
            let next = self.shared.again.lock().pop();
            let Some(request) = next else { break };
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            self.send_again(&request).await;
        }
        while !self.shared.stop.load(Ordering::Relaxed) {
            let stream = self.stream();
            let answered = if self.random.one_in(8) { self.read(stream).await } else { self.write(stream).await };
            if !answered {
                tokio::time::sleep(PAUSE).await;
            }
            if self.shared.load.pause_ms > 0 {
                tokio::time::sleep(Duration::from_millis(self.shared.load.pause_ms)).await;
            }
        }
    }

    /// Mostly an aggregate of its own, sometimes one that all use, sometimes one that was never used before.
    fn stream(&mut self) -> String {
        let (run, client) = (self.shared.run, self.client);
        match self.random.below(16) {
            0..4 => format!("shared-{}", self.random.below(16)),
            4 => format!("new-{run}-{client}-{}", self.random.below(1 << 16)),
            _ => format!("own-{client}-{}", self.random.below(4)),
        }
    }

    /// One commit; says whether it was stored.
    async fn write(&mut self, stream: String) -> bool {
        let request = self.draw(stream).await;
        self.shared.recorder.say(&Line::Attempt(request.clone()));
        if !request.keyed {
            return self.send(&request).await == Heard::Stored;
        }
        let heard = match self.random.one_in(16) {
            true => {
                let patience = Duration::from_micros(self.random.below(5_000));
                let sent = tokio::time::timeout(patience, self.send(&request)).await;
                sent.unwrap_or(Heard::Nothing)
            }
            false => self.send(&request).await,
        };
        match heard {
            Heard::Unknown | Heard::Nothing => self.send_again(&request).await == Heard::Stored,
            Heard::Stored if self.random.one_in(16) => self.send_again(&request).await == Heard::Stored,
            heard => heard == Heard::Stored,
        }
    }

    /// The next command: mostly of one aggregate, one in eight of two or three; one in four wants a claim.
    async fn draw(&mut self, stream: String) -> Request {
        let mut shares = vec![self.share(stream)];
        let carries_extras = self.shared.carries_extras;
        if carries_extras && self.random.one_in(8) {
            for _ in 0..1 + self.random.below(2) {
                let stream = self.stream();
                if shares.iter().all(|share| share.stream != stream) {
                    let mut share = self.share(stream);
                    share.amount = i64::try_from(1 + self.random.below(AMOUNT_MAX)).unwrap_or(1);
                    shares[0].amount -= share.amount;
                    shares.push(share);
                }
            }
        }
        if carries_extras && self.random.one_in(4) {
            self.want_a_claim(&mut shares).await;
        }
        let keyed = carries_extras && self.random.one_in(3);
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        Request { number, keyed, shares }
    }

    fn share(&mut self, stream: String) -> Share {
        let events = match self.random.below(8) {
            0 => 2 + self.random.below(2),
            1 => 2 + self.random.below(7),
            _ => 1,
        };
        Share { stream, events: u16::try_from(events).unwrap_or(1), ..Share::default() }
    }

    /// Looks who holds some claim, and has the first of the shares do what may be done with it then. Others do so, too.
    async fn want_a_claim(&mut self, shares: &mut [Share]) {
        let claim = format!("seat-{}", self.random.below(SEATS));
        let holder = self.look(&claim).await;
        shares[0].step = Some(match holder {
            Some(holder) if !self.random.one_in(4) => {
                let holding = holder.stream.aggregate_id();
                if shares[1..].iter().any(|share| share.stream == holding) {
                    return;
                }
                shares[0].stream = holding.to_owned();
                match self.random.below(5) {
                    0..2 => Step::Release(claim),
                    2..4 => {
                        let other = shares.get(1).map(|share| share.stream.clone());
                        Step::Move(claim, other.unwrap_or_else(|| self.stream()))
                    }
                    _ => Step::Confirm(claim),
                }
            }
            // It is free; or it is wanted all the same, and mostly refused.
            _ if self.random.one_in(2) => Step::Hold(claim, now_micros() + self.random.below(HOLD_MICROS_MAX)),
            _ => Step::Take(claim),
        });
    }

    /// Who holds a claim. Half of the looks end a hold whose time is up.
    async fn look(&mut self, claim: &str) -> Option<Holder> {
        let holder = match self.random.one_in(2) {
            true => self.shared.runtime.claim(NAMESPACE, claim).await.ok()?,
            false => {
                let name = onefold::ClaimName::new(NAMESPACE, claim).ok()?;
                self.shared.runtime.journal().claim(name).await.ok()?
            }
        };
        if let Some(Holder { stream, since, expires_at }) = &holder {
            let (claim, stream) = (claim.to_owned(), stream.aggregate_id().to_owned());
            let until = expires_at.map(onefold::Timestamp::as_micros);
            self.shared.recorder.say(&Line::Holds(Holding { claim, stream, since: since.get(), until }));
        }
        holder
    }

    async fn send_again(&self, request: &Request) -> Heard {
        self.shared.recorder.say(&Line::Again { number: request.number });
        self.send(request).await
    }

    /// Sends a command that was announced, and says what was heard.
    async fn send(&self, request: &Request) -> Heard {
        let number = request.number;
        let (heard, line) = match self.ask(request).await {
            Ok(versions) => (Heard::Stored, Line::Stored { number, versions }),
            Err(error @ Error::OutcomeUnknown(_)) => {
                (Heard::Unknown, Line::Unknown { number, error: error.to_string() })
            }
            Err(error @ (Error::KeyReused { .. } | Error::AlreadyDone(_))) => {
                let what = format!("command {number}: {error}");
                (Heard::Refused, Line::Wrong { kind: WrongKind::Repeat, what })
            }
            Err(error) => (Heard::Refused, Line::Refused { number, error: error.to_string() }),
        };
        self.shared.recorder.say(&line);
        heard
    }

    /// The version of each of its aggregates after it.
    async fn ask(&self, request: &Request) -> Result<Vec<u64>, Error<Infallible>> {
        let Shared { chronicles, load: LoadOptions { event_bytes: EventBytes(bytes), .. }, .. } = &*self.shared;
        let (number, of) = (request.number, request.events());
        if let Some(pieces) = request.in_pieces() {
            let stream = pieces[0].stream.clone();
            let act = |(first, piece)| Act::new(number, &piece, first, of, bytes.clone());
            let asks = chronicles.ask_all(stream, (0..).zip(pieces).map(act).collect::<Vec<_>>());
            let asks = if request.keyed { asks.idempotency_key(Write::key(number)) } else { asks };
            return Ok(asks.await?.into_iter().max().into_iter().collect());
        }
        let ask = |(first, share): (u16, &Share)| {
            let ask = chronicles.ask(&share.stream, Act::new(number, share, first, of, bytes.clone()));
            if request.keyed { ask.idempotency_key(Write::key(number)) } else { ask }
        };
        let mut asks: Vec<_> = request.placed().map(ask).collect();
        match asks.pop() {
            Some(only) if asks.is_empty() => only.await.map(|version| vec![version]),
            last => {
                asks.extend(last);
                Ok(transact(asks).await?)
            }
        }
    }

    /// One look; says whether it was answered.
    async fn read(&mut self, stream: String) -> bool {
        let Shared { chronicles, recorder, .. } = &*self.shared;
        match chronicles.read(&stream, |chronicle| *chronicle).await {
            Ok(Chronicle { version, digest, .. }) => {
                recorder.say(&Line::Shown { stream, version, digest });
                true
            }
            Err(_) => false,
        }
    }
}

fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
