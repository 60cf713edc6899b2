//! Who holds which claim in a test, and how a decision changes that: as a journal would decide it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use onefold_core::journal::{AppendError, ClaimAction, ClaimChange, ClaimFact, DecidedClaims, PinState, PinnedClaim};
use onefold_core::{ClaimName, ClaimRefused, ClaimRequest, CommitNumber, Holder, StreamId, Timestamp, TooLarge};

use super::failure::Failure;

/// The id of the aggregate that holds what is taken.
const SOMEBODY_ELSE: &str = "somebody-else";

/// A claim that somebody holds before the first command.
pub(super) struct GivenClaim {
    pub(super) name: ClaimName,
    /// The aggregate under test holds it; or else somebody else.
    pub(super) is_own: bool,
    pub(super) expires_at: Option<Timestamp>,
}

/// Who holds which claim.
pub(super) struct Claims {
    stream: StreamId,
    holders: BTreeMap<ClaimName, Holder>,
}

/// What comes of the changes that a decision asks for, if nothing is wrong with them.
pub(super) enum Claimed<R> {
    Done(Vec<ClaimFact>),
    Rejected(R),
}

struct Held(Option<Holder>);

impl PinState for Held {
    fn holder(&self) -> Option<Holder> {
        self.0.clone()
    }
}

impl Claims {
    pub(super) fn new(stream: &StreamId, given: Vec<GivenClaim>) -> Self {
        let other =
            StreamId::new(stream.aggregate_type(), SOMEBODY_ELSE).expect("a type that is a stream's, and an id");
        let holder = |is_own, expires_at| {
            let stream = if is_own { stream.clone() } else { other.clone() };
            Holder { stream, since: CommitNumber::NONE, expires_at }
        };
        let holders = given.into_iter().map(|claim| (claim.name, holder(claim.is_own, claim.expires_at))).collect();
        Claims { stream: stream.clone(), holders }
    }

    /// The claims that the aggregate holds, by name.
    pub(super) fn own(&self) -> Vec<(ClaimName, Holder)> {
        let own = self.holders.iter().filter(|(_, holder)| holder.stream == self.stream);
        own.map(|(name, holder)| (name.clone(), holder.clone())).collect()
    }

    /// All of them, in words: a line each.
    pub(super) fn told(&self) -> Vec<String> {
        let limit = |holder: &Holder| until(holder.expires_at);
        let told = |(name, holder): (&ClaimName, &Holder)| match holder.stream == self.stream {
            true => format!("holds {name}{}", limit(holder)),
            false => format!("{name} is taken{}", limit(holder)),
        };
        self.holders.iter().map(told).collect()
    }

    /// Makes the changes that a decision asks for, or none of them.
    pub(super) fn carry_out<R>(
        &mut self,
        requests: Vec<ClaimRequest<R>>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Claimed<R>, Failure> {
        let actual = requests.len();
        if actual > limit {
            return Err(refusal("TooLarge", TooLarge::ClaimsPerCommit { actual, limit }.to_string()));
        }
        let mut changes = Vec::with_capacity(actual);
        let mut words = Vec::with_capacity(actual);
        for ClaimRequest { name, action, or_reject } in requests {
            let name = name.map_err(|error| refusal("InvalidClaim", error.to_string()))?;
            let action = match action {
                ClaimAction::Take { expires_at, .. } => ClaimAction::Take { expires_at, as_of: Some(now) },
                action => action,
            };
            let holder = self.holders.get(&name).cloned();
            words.push(Words { claim: name.clone(), takes: matches!(action, ClaimAction::Take { .. }), or_reject });
            changes.push(ClaimChange { claim: PinnedClaim::new(name, Held(holder)), action });
        }
        let (facts, holders) = match DecidedClaims::foreseen(&self.stream, &changes) {
            Ok(DecidedClaims { facts, holders }) => (facts, holders),
            Err(error) => return refused(&self.stream, &error, words),
        };
        for (claim, holder) in holders {
            match holder {
                Some(holder) => self.holders.insert(claim.name().clone(), holder),
                None => self.holders.remove(claim.name()),
            };
        }
        Ok(Claimed::Done(facts.into_iter().map(|(_, fact)| fact).collect()))
    }
}

/// What the domain says when a change cannot be made.
struct Words<R> {
    claim: ClaimName,
    takes: bool,
    or_reject: Option<Box<dyn FnOnce(ClaimRefused) -> R + Send>>,
}

/// What the domain says of the first change that cannot be made; without words of the domain the test fails.
fn refused<R>(stream: &StreamId, error: &AppendError, words: Vec<Words<R>>) -> Result<Claimed<R>, Failure> {
    let (kind, claim, holder) = match error {
        AppendError::ClaimTaken { claim, holder } => ("ClaimTaken", claim, Some(&**holder)),
        AppendError::ClaimNotHeld { claim, holder, .. } => ("ClaimNotHeld", claim, holder.as_deref()),
        other => return Err(refusal("NotStored", other.to_string())),
    };
    // Only a taking fails by `ClaimTaken`, and none by `ClaimNotHeld`: as the runtime looks for them.
    let taken = kind == "ClaimTaken";
    let mut words = words.into_iter().filter(|words| words.claim == *claim && words.takes == taken);
    match words.next().and_then(|words| words.or_reject) {
        Some(reject) => {
            let refused = ClaimRefused { claim: claim.clone(), holder: holder.cloned() };
            let rejection = catch_unwind(AssertUnwindSafe(|| reject(refused)));
            rejection.map(Claimed::Rejected).map_err(|panic| Failure::panicked("`or_reject`", &*panic))
        }
        None => {
            let held = match (kind, holder) {
                ("ClaimTaken", Some(holder)) => {
                    format!("{stream} cannot have the claim {claim}: {} holds it", holder.stream)
                }
                (_, Some(holder)) => format!("{stream} does not hold the claim {claim}: {} does", holder.stream),
                (_, None) => format!("{stream} does not hold the claim {claim}"),
            };
            Err(refusal(kind, format!("{held}\n\nWith `.or_reject(…)` behind the change it is a rejection.")))
        }
    }
}

fn refusal(kind: &str, shown: String) -> Failure {
    Failure::new(format!("the decision cannot be carried out: the caller is told `{kind}`"), shown)
}

/// What became of a claim, in words.
pub(super) fn told(fact: &ClaimFact) -> String {
    match fact {
        ClaimFact::Taken { claim, expires_at } => format!("holds {claim}{}", until(*expires_at)),
        ClaimFact::Released { claim } => format!("gives up {claim}"),
        ClaimFact::Moved { claim, to, .. } => format!("hands {claim} to {to}"),
        ClaimFact::Expired { claim, .. } => format!("the hold of {claim} ends"),
        other => format!("{other:?}"),
    }
}

fn until(expires_at: Option<Timestamp>) -> String {
    expires_at.map_or_else(String::new, |limit| format!(" until {limit}"))
}
