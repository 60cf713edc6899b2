//! The aggregate of `claims`: a user, who registers under a name that nobody else has.

use std::fmt;

use onefold::{Aggregate, ClaimName, Context, Decision, Event, Handle, StreamId};

/// A user; registered or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) registered: bool,
}

/// What happens to it.
#[derive(Debug, Event)]
#[event(prefix = "user")]
pub(crate) enum UserEvent {
    /// It has its name.
    Registered {
        /// Which.
        name: u32,
    },
}

/// Takes a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    pub(crate) name: u32,
}

/// Somebody else has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameTaken;

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name is taken")
    }
}

impl std::error::Error for NameTaken {}

/// The namespace of the names.
pub(crate) const NAMESPACE: &str = "username";

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Event = UserEvent;
    type Rejection = NameTaken;
    type Services = ();

    fn apply(&mut self, UserEvent::Registered { .. }: &UserEvent) {
        self.registered = true;
    }
}

impl Handle<Register> for User {
    type Reply = ();

    async fn handle(&self, Register { name }: Register, _: &Context<Self>) -> Result<Decision<Self, ()>, NameTaken> {
        let value = value_of(name);
        Ok(self.emit(UserEvent::Registered { name }).claim(NAMESPACE, value).or_reject(|_taken| NameTaken))
    }
}

fn value_of(name: u32) -> String {
    format!("name-{name:08}")
}

/// The number of a name.
pub(crate) fn name_of(claim: &ClaimName) -> Option<u32> {
    claim.value().strip_prefix("name-")?.parse().ok().filter(|_| claim.namespace() == NAMESPACE)
}

/// The id of a user.
pub(crate) fn id_of(user: u32) -> String {
    format!("u{user:08}")
}

/// The number of a user.
pub(crate) fn user_of(stream: &StreamId) -> Option<u32> {
    stream.aggregate_id().strip_prefix('u')?.parse().ok().filter(|_| stream.aggregate_type() == User::TYPE)
}
