//! Making a group: every append is checked, then encoded straight behind the one before.

use std::collections::VecDeque;
use std::sync::Arc;

use onefold_core::journal::record::{self, EncodedFacts, PartPlace};
use onefold_core::journal::{
    Append, AppendError, AppendPart, Appended, DecidedClaims, OpenedSession, PinnedClaim, Session, WeakSession,
    WriterEpoch,
};
use onefold_core::{CommitNumber, GlobalPosition, Holder, StreamVersion};
use smallvec::SmallVec;

use super::flight::{InHand, Pending};
use super::queue::{Entry, OpenRequest};
use crate::block::RECORD_BYTES_MAX;
use crate::claims::{Claim, ClaimPin, ClaimPlace, Claims};
use crate::heads::{HeadPin, HeadState, Heads, Place, StreamHead};
use crate::redo::group::HEADER_BYTES;

/// Versions between two entries of the sparse index: a commit that reaches a multiple of it gets one.
pub(crate) const INDEX_VERSIONS: u64 = 256;

/// Entries that are touched ahead together.
const WARMED: usize = 16;

/// The journal's own state inside a session.
pub(crate) struct SessionState {
    pub(crate) pin: HeadPin,
}

/// Bounds of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupBounds {
    pub(crate) commits: usize,
    pub(crate) bytes: usize,
}

/// The group in the making, and the numbers that go on from group to group.
pub(crate) struct Forming {
    heads: Arc<Heads>,
    claims: Arc<Claims>,
    /// The number of the group in the making.
    pub(crate) group: u64,
    /// The last commit, and the last event's position.
    pub(crate) commit: u64,
    pub(crate) position: u64,
    /// Room for the header, then records.
    pub(crate) bytes: Vec<u8>,
    pub(crate) offsets: Vec<u32>,
    /// Heads and claims that became dirty by this group.
    pub(crate) dirty: Vec<Arc<StreamHead>>,
    pub(crate) dirty_claims: Vec<Arc<Claim>>,
    /// Entries taken into the group, and their bytes.
    pub(crate) entries: usize,
    pub(crate) entry_bytes: usize,
    pub(crate) disk_low: Option<(u64, u64)>,
    /// Bytes and commits of the group before: a guess at the next one's.
    sizes: (usize, usize),
}

impl Forming {
    pub(crate) fn new(heads: Arc<Heads>, claims: Arc<Claims>, commit: u64, position: u64) -> Self {
        Forming {
            heads,
            claims,
            group: 0,
            commit,
            position,
            bytes: Vec::new(),
            offsets: Vec::new(),
            dirty: Vec::new(),
            dirty_claims: Vec::new(),
            entries: 0,
            entry_bytes: 0,
            disk_low: None,
            sizes: (0, 0),
        }
    }

    /// Fills a new group from the backlog, up to the bounds.
    pub(crate) fn fill(&mut self, group: u64, in_hand: &mut InHand, bounds: GroupBounds) {
        let (bytes_before, commits_before) = self.sizes;
        self.group = group;
        self.bytes = Vec::with_capacity(HEADER_BYTES * 2 + bytes_before + bytes_before / 4);
        self.bytes.resize(HEADER_BYTES, 0);
        self.offsets = Vec::with_capacity(commits_before);
        (self.entries, self.entry_bytes) = (0, 0);
        while self.offsets.len() < bounds.commits && self.entries < bounds.commits.max(1024) {
            if self.entries.is_multiple_of(WARMED) {
                warm(&in_hand.backlog);
            }
            let Some(entry) = in_hand.backlog.pop_front() else { break };
            if let Entry::Append(append) = &entry
                && !self.offsets.is_empty()
                && self.bytes.len() + append.queued_bytes() > bounds.bytes
            {
                in_hand.backlog.push_front(entry);
                break;
            }
            self.entries += 1;
            self.entry_bytes += entry.bytes();
            let pending = match entry {
                Entry::Append(append) => self.take(append),
                Entry::Open(request) => open(request),
            };
            in_hand.pending.push(pending);
        }
        self.sizes = (self.bytes.len(), self.offsets.len());
    }

    /// Checks an append and encodes it; or ends its sessions.
    fn take(&mut self, append: Append) -> Pending {
        let outcome = self.check(&append).and_then(|places| self.encode(&append, &places));
        if outcome.is_err() {
            append.parts.iter().for_each(|part| part.session.end());
        }
        Pending::Append { acknowledgement: append.acknowledgement, outcome: outcome.map_err(Box::new) }
    }

    /// Checks session and expected version of every part. Returns where those go that are recorded.
    fn check(&self, append: &Append) -> Result<SmallVec<[PartPlace; 1]>, AppendError> {
        let mut places = SmallVec::new();
        for part in &append.parts {
            let place = *self.head(part)?.state.lock().value();
            let actual = StreamVersion::new(place.version);
            if !part.expected.accepts(actual) {
                return Err(AppendError::Conflict { stream: part.stream().clone(), expected: part.expected, actual });
            }
            if part.is_recorded() {
                places.push(PartPlace { previous: CommitNumber::new(place.commit), first_version: actual.next() });
            }
        }
        match self.disk_low {
            Some((free_bytes, reserve_bytes)) if !places.is_empty() => {
                Err(AppendError::DiskLow { free_bytes, reserve_bytes })
            }
            _ => Ok(places),
        }
    }

    /// The head of a part whose session is live and ours.
    fn head<'a>(&self, part: &'a AppendPart) -> Result<&'a Arc<StreamHead>, AppendError> {
        let state = part.session.state::<SessionState>().filter(|state| state.pin.is_of(&self.heads));
        match state.filter(|_| part.session.is_live()) {
            Some(state) => Ok(&state.pin.entry),
            None => Err(AppendError::Superseded { stream: part.stream().clone() }),
        }
    }

    /// Encodes a checked append, if its claims can be had, and moves heads and claims on. A barrier changes nothing.
    #[expect(clippy::cast_possible_truncation, reason = "a group is smaller than 4 GiB")]
    fn encode(&mut self, append: &Append, places: &[PartPlace]) -> Result<Appended, AppendError> {
        if !places.is_empty() {
            // IMPORTANT: after session and version of every part, before anything is changed.
            let claims = DecidedClaims::decide(append, CommitNumber::new(self.commit + 1), |claim| self.holder(claim))?;
            let facts = EncodedFacts::encode(append, &claims);
            let length = record::encoded_len(append, &facts);
            if length > RECORD_BYTES_MAX {
                return Err(AppendError::Unavailable { reason: format!("{length} bytes are too many").into() });
            }
            self.make_room(length);
            self.commit += 1;
            self.offsets.push(self.bytes.len() as u32);
            let first = GlobalPosition::new(self.position + 1);
            record::encode(append, CommitNumber::new(self.commit), first, places, &facts, &mut self.bytes);
            for part in append.parts.iter().filter(|part| part.is_recorded()) {
                self.advance(part);
            }
            for (claim, holder) in claims.holders {
                self.change(claim, holder);
            }
        }
        Ok(Appended { commit: CommitNumber::new(self.commit), position: GlobalPosition::new(self.position) })
    }

    /// Makes room for a record. A quarter at a time: what a group does not use is held until the group is in sled.
    fn make_room(&mut self, length: usize) {
        if self.bytes.capacity() - self.bytes.len() < length {
            self.bytes.reserve_exact(length.max(self.bytes.len() / 4));
        }
    }

    fn advance(&mut self, part: &AppendPart) {
        let count = u64::from(part.events.count());
        self.position += count;
        let Some(state) = part.session.state::<SessionState>() else { return };
        let head = &state.pin.entry;
        let mut state = head.state.lock();
        let before = state.value().version;
        let place = Place { version: before + count, commit: self.commit };
        if before / INDEX_VERSIONS != place.version / INDEX_VERSIONS {
            state.notes.index.push((place.version, place.commit));
        }
        if state.advance(self.group, place) {
            self.dirty.push(Arc::clone(head));
        }
    }

    /// Who holds a claim, with everything that is in a group; `None` of another journal's pin.
    fn holder(&self, claim: &PinnedClaim) -> Option<Option<Holder>> {
        let state = claim.state::<ClaimPin>().filter(|state| state.pin.is_of(&self.claims))?;
        Some(state.pin.entry.state.lock().value().holder.clone())
    }

    fn change(&mut self, claim: &PinnedClaim, holder: Option<Holder>) {
        let Some(state) = claim.state::<ClaimPin>() else { return };
        let claim = &state.pin.entry;
        if claim.state.lock().advance(self.group, ClaimPlace { holder, commit: self.commit }) {
            self.dirty_claims.push(Arc::clone(claim));
        }
    }
}

/// Touches what the next entries lie on. With many streams nothing of an append is in this processor's cache: looked at one
/// after the other, each of its places would be waited for; looked at in passes, the processor fetches them side by side.
fn warm(backlog: &VecDeque<Entry>) {
    let parts = || {
        backlog.iter().take(WARMED).filter_map(|entry| match entry {
            Entry::Append(append) => append.parts.first(),
            Entry::Open(_) => None,
        })
    };
    let live = parts().filter(|part| part.session.is_live()).count();
    let heads = || parts().filter_map(|part| part.session.state::<SessionState>()).map(|state| &state.pin.entry);
    let busy = heads().filter(|head| head.state.is_locked()).count();
    let text = parts().filter(|part| part.stream().as_str().starts_with(' ')).count();
    let bytes =
        parts().filter(|part| part.events.bytes().first().or(part.events.key_bytes().first()) == Some(&0)).count();
    // Nobody needs the sums; but for them the look would be left out.
    std::hint::black_box((live, busy, text, bytes));
}

/// Gives a new session; what was submitted before under older ones is decided by now, or will be told before.
fn open(request: OpenRequest) -> Pending {
    let OpenRequest { pin, reply } = request;
    Pending::Open { reply, opened: new_session(pin) }
}

/// A new session in place of the older one. Only for the writer: what was submitted under the older one is in a group.
fn new_session(pin: HeadPin) -> OpenedSession {
    let head = Arc::clone(&pin.entry);
    let mut state = head.state.lock();
    let (opened, older) = install(pin, &mut state);
    drop(state);
    // IMPORTANT: outside the lock, because dropping the last handle of a session locks its head.
    if let Some(older) = older.and_then(|older| older.upgrade()) {
        older.end();
    }
    opened
}

/// A new session for a head that had none since it came into memory, so that no append to it is under way; else the pin.
pub(crate) fn first_session(pin: HeadPin) -> Result<OpenedSession, HeadPin> {
    let head = Arc::clone(&pin.entry);
    // IMPORTANT: looked up and installed under one lock: whoever comes second goes through the writer.
    let mut state = head.state.lock();
    if state.notes.had_session {
        drop(state);
        return Err(pin);
    }
    let (opened, _) = install(pin, &mut state);
    Ok(opened)
}

fn install(pin: HeadPin, state: &mut HeadState) -> (OpenedSession, Option<WeakSession>) {
    let stream = pin.entry.key.clone();
    let session = Session::new(stream, WriterEpoch::default(), SessionState { pin });
    state.notes.had_session = true;
    let older = state.notes.session.replace(session.downgrade());
    let place = state.value();
    let (head, last_commit) = (StreamVersion::new(place.version), CommitNumber::new(place.commit));
    (OpenedSession { session, head, last_commit }, older)
}
