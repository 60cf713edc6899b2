//! Changes of claims that a decision asks for, beside its events.

use std::fmt;

use super::Decision;
use crate::journal::ClaimAction;
use crate::{Aggregate, ClaimName, Holder, InvalidClaim, StreamId, Timestamp};

/// What a decision asks for, in order.
pub(super) struct Requests<R>(pub(super) Vec<ClaimRequest<R>>);

/// One change of a claim, as a decision asks for it. `R` is the aggregate's rejection. For runtimes and test kits.
pub struct ClaimRequest<R> {
    /// Which claim; or what is wrong with its name.
    pub name: Result<ClaimName, InvalidClaim>,
    /// What is to become of it. `as_of` of a [`ClaimAction::Take`] is not set yet.
    pub action: ClaimAction,
    /// What the domain says when it cannot be had.
    pub or_reject: Option<Box<dyn FnOnce(ClaimRefused) -> R + Send>>,
}

/// A change of a claim that cannot be made, because of who holds the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRefused {
    /// The claim.
    pub claim: ClaimName,
    /// Who holds it; nobody, if it was to be given up or confirmed by somebody who does not hold it.
    pub holder: Option<Holder>,
}

/// # Claims
///
/// A claim is a value that at most one aggregate of the whole journal holds: a user name, a seat. A decision takes it, and
/// the journal checks and records that in the same commit as the events: of two aggregates that decide to take one name at
/// the same moment, one does, and the other's command fails as a whole.
///
/// What a decision asks for is done in order. When one of it cannot be done, nothing of the decision happens, and the caller
/// is told [`ClaimTaken` or `ClaimNotHeld`](ClaimRefused); or, if [`or_reject`](Decision::or_reject) stands behind it, a
/// rejection in words of the domain.
///
/// After a decision with claims the aggregate decides nothing else until it is durable: what followed would fall with it.
impl<A: Aggregate, R> Decision<A, R> {
    /// Takes the claim `namespace/value` for good. What this aggregate holds already it goes on to hold; what it only
    /// [held](Decision::hold) until some time is its own from then on.
    ///
    /// Two values are the same claim only if they are the same bytes: fold the case first, if `Bob` is to be `bob`.
    ///
    /// ```
    /// # use onefold_core::{Aggregate, Context, Decision, Handle};
    /// # use onefold_core::{CodecError, CodecId, DecodeError, Event, EventType, PayloadWriter};
    /// # pub struct Registered;
    /// # impl Event for Registered {
    /// #     const TYPES: &'static [EventType] = &[EventType { name: "user.registered", revision: 1 }];
    /// #     fn event_type(&self) -> EventType { Self::TYPES[0] }
    /// #     fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> { Ok(()) }
    /// #     fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> { Ok(Registered) }
    /// # }
    /// # #[derive(Default)]
    /// # struct User;
    /// # #[derive(Debug, thiserror::Error)]
    /// # #[error("the name is taken")]
    /// # struct NameTaken;
    /// # impl Aggregate for User {
    /// #     const TYPE: &'static str = "user";
    /// #     type Event = Registered;
    /// #     type Rejection = NameTaken;
    /// #     type Services = ();
    /// #     fn apply(&mut self, _: &Registered) {}
    /// # }
    /// struct Register { name: String }
    ///
    /// impl Handle<Register> for User {
    ///     type Reply = ();
    ///     async fn handle(&self, command: Register, _: &Context<Self>) -> Result<Decision<Self, ()>, NameTaken> {
    ///         Ok(self.emit(Registered).claim("username", command.name.to_lowercase()).or_reject(|_taken| NameTaken))
    ///     }
    /// }
    /// ```
    pub fn claim(self, namespace: &str, value: impl AsRef<str>) -> Self {
        self.change(namespace, value, ClaimAction::Take { expires_at: None, as_of: None })
    }

    /// Takes the claim until `expires_at`: a reservation, which this aggregate confirms or gives up later. What it holds for
    /// good already stays so.
    ///
    /// Time alone ends nothing: the hold lasts until somebody else takes the claim after that time, or looks who holds it,
    /// and that is a commit. Until then it can still be [confirmed](Decision::confirm).
    pub fn hold(self, namespace: &str, value: impl AsRef<str>, expires_at: Timestamp) -> Self {
        self.change(namespace, value, ClaimAction::Take { expires_at: Some(expires_at), as_of: None })
    }

    /// Makes a hold one for good. It fails if this aggregate does not hold the claim, also when it did and its time was up.
    pub fn confirm(self, namespace: &str, value: impl AsRef<str>) -> Self {
        self.change(namespace, value, ClaimAction::Confirm { expires_at: None })
    }

    /// Gives a hold another limit, later or earlier. It fails if this aggregate does not hold the claim; what it holds for
    /// good stays so.
    pub fn prolong(self, namespace: &str, value: impl AsRef<str>, expires_at: Timestamp) -> Self {
        self.change(namespace, value, ClaimAction::Confirm { expires_at: Some(expires_at) })
    }

    /// Gives the claim up. It fails if this aggregate does not hold it.
    pub fn release(self, namespace: &str, value: impl AsRef<str>) -> Self {
        self.change(namespace, value, ClaimAction::Release)
    }

    /// Hands the claim to another aggregate, which need not exist, nor know; a hold keeps its limit. It fails if this
    /// aggregate does not hold the claim.
    pub fn move_claim(self, namespace: &str, value: impl AsRef<str>, to: StreamId) -> Self {
        self.change(namespace, value, ClaimAction::Move { to })
    }

    /// Says in words of the domain that the change just asked for cannot be made. Behind something else than a change of a
    /// claim it does nothing.
    pub fn or_reject(mut self, reject: impl FnOnce(ClaimRefused) -> A::Rejection + Send + 'static) -> Self {
        if let Some(request) = self.claims.as_mut().and_then(|requests| requests.0.last_mut()) {
            request.or_reject = Some(Box::new(reject));
        }
        self
    }

    /// Adds changes that another decision asked for: for aggregates that wrap another.
    pub fn and_claims(mut self, claims: impl IntoIterator<Item = ClaimRequest<A::Rejection>>) -> Self {
        let mut claims = claims.into_iter().peekable();
        if claims.peek().is_some() {
            self.claims.get_or_insert_with(|| Box::new(Requests(Vec::new()))).0.extend(claims);
        }
        self
    }

    fn change(mut self, namespace: &str, value: impl AsRef<str>, action: ClaimAction) -> Self {
        let requests = self.claims.get_or_insert_with(|| Box::new(Requests(Vec::new())));
        requests.0.push(ClaimRequest { name: ClaimName::new(namespace, value), action, or_reject: None });
        self
    }
}

impl<R: 'static> ClaimRequest<R> {
    /// The same, with the rejection told in other words: for aggregates that wrap another.
    pub fn map_rejection<S>(self, map: impl FnOnce(R) -> S + Send + 'static) -> ClaimRequest<S> {
        let ClaimRequest { name, action, or_reject } = self;
        let or_reject = or_reject.map(|reject| -> Box<dyn FnOnce(ClaimRefused) -> S + Send> {
            Box::new(move |refused| map(reject(refused)))
        });
        ClaimRequest { name, action, or_reject }
    }
}

impl<R> fmt::Debug for ClaimRequest<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut request = f.debug_struct("ClaimRequest");
        request.field("name", &self.name).field("action", &self.action).finish_non_exhaustive()
    }
}
