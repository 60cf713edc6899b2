//! The caller's side of a command: a hand-written future, `'static`, without a box of its own.

mod all;
mod expire;
mod many;
mod policy;
mod read;
mod retry;
mod sending;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use compact_str::CompactString;
use onefold_core::{CommandId, CorrelationId, ExpectedVersion, Handle, Merge, Metadata, Timestamp};
use pin_project_lite::pin_project;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::all::{AskAll, BulkError};
pub(crate) use self::expire::expire;
pub use self::many::{AllAnswers, AskMany};
pub use self::policy::{Jitter, RetryPolicy};
pub use self::read::ReadState;
use self::retry::Retry;
use self::sending::{Asking, Sending};
use crate::aggregate::execution::{Command, Terms};
use crate::aggregate::kind::Kind;
use crate::error::Error;
use crate::receipt::{Answering, ReplyOnly, WithReceipt};
use crate::runtime::shared::Shared;

/// What can be told about any command until it is sent.
macro_rules! terms {
    () => {
        /// Waits at most this long, from the first poll on. What the error says then tells whether the command may still land:
        /// `NotStored` or `OutcomeUnknown`. Default: [`Config::deadline`](crate::Config::deadline).
        pub fn deadline(mut self, limit: Duration) -> Self {
            self.sending.limit = Some(limit);
            self
        }

        /// Decides only if the aggregate is at this version; otherwise the answer is [`Error::Conflict`], surely nothing was
        /// stored, and [`events(id, expected)`](crate::Aggregates::events) are what was missed.
        pub fn expect_version(mut self, expected: impl Into<ExpectedVersion>) -> Self {
            self.edit(|terms| terms.expected = expected.into());
            self
        }

        /// Ties the command to a purpose. Default: that of the command being handled, when asked from inside a handler;
        /// otherwise the command's own id.
        pub fn correlation(mut self, correlation: CorrelationId) -> Self {
            self.edit(|terms| terms.metadata.correlation_id = correlation);
            self
        }

        /// Names the command that caused this one. Default: the command being handled, when asked from inside a handler.
        pub fn causation(mut self, causation: CommandId) -> Self {
            self.edit(|terms| terms.metadata.causation_id = Some(causation));
            self
        }

        /// Adds an entry to the metadata, which is stored with the events.
        pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.edit(|terms| terms.metadata.entries.set(key, value));
            self
        }

        /// Everything can be told until the first poll, which takes the future by value or pins it.
        fn edit(&mut self, edit: impl FnOnce(&mut Terms)) {
            if let Some(work) = &mut self.sending.work {
                edit(&mut work.terms);
            }
        }
    };
}
use terms;

pin_project! {
    /// A command on its way; resolves to its reply, or to a receipt with it. See
    /// [`Aggregates::ask`](crate::Aggregates::ask).
    #[must_use = "a command is sent when its future is awaited"]
    pub struct Ask<A, C, F = ReplyOnly>
    where
        A: Handle<C>,
        C: Send,
        C: 'static,
        F: Answering<A::Reply>,
    {
        #[pin]
        sending: Sending<A, Command<A, C, F>>,
    }
}

impl<A: Handle<C>, C: Send + 'static> Ask<A, C> {
    pub(crate) fn new(kind: Arc<Kind<A>>, id: &str, command: C) -> Self {
        Ask { sending: Sending::new(kind, id, Command::new(command)) }
    }

    /// Resolves to a [`Receipt`](crate::Receipt): the reply, with the version, the global position and the commit that it
    /// stands at.
    ///
    /// A reply without events gets one too: the version that it was given from, and a position behind everything that it
    /// depends on.
    pub fn with_receipt(self) -> Ask<A, C, WithReceipt> {
        Ask { sending: self.sending.map(Command::map_answer) }
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Ask<A, C, F> {
    terms!();

    /// With a stale [`expect_version`](Ask::expect_version), looks at the events that were missed, and goes ahead if
    /// [`Merge::merges`] says that they do not speak against the command.
    ///
    /// The command then meets the aggregate as it is, as if it had been sent without an expectation. What was missed is
    /// looked at when it is durable, and read back from the journal: the aggregate decides nothing else meanwhile, so merging
    /// costs it a sync if something was in flight, and a read. That has to be done within
    /// [`handler_timeout`](crate::Config::handler_timeout).
    ///
    /// It is [`Error::Conflict`] all the same if the aggregate is not as far as the expected version, if more was missed than
    /// [`missed_events_max`](crate::Config::missed_events_max) or [`missed_bytes_max`](crate::Config::missed_bytes_max), and
    /// of course if `merges` says no.
    pub fn or_merge(mut self) -> Self
    where
        A: Merge<C>,
    {
        if let Some(work) = &mut self.sending.work {
            work.or_merge(A::merges);
        }
        self
    }

    /// Sends the command again when it surely was not stored and another attempt may help: after errors that are
    /// [retry safe](Error::is_retry_safe), but for those that this runtime will not get over, which are those of a poisoned
    /// journal and of a shutdown. After [`Error::OutcomeUnknown`], when it may have happened, only with an
    /// [idempotency key](Ask::idempotency_key), by which the repeat is recognised.
    ///
    /// All attempts together have the one [`deadline`](Ask::deadline): what is left of it is the next one's, and there is
    /// none when nothing would be left. The last error is returned as it is; but if an earlier attempt was perhaps stored, and
    /// the later ones did not come to a decision, that is `OutcomeUnknown` still. Each retry is a `tracing` event,
    /// `onefold.retry`. The command keeps its id; its place in the order of commands is that of the attempt that succeeds.
    ///
    /// ```
    /// # use onefold::*;
    /// # async fn example<A: Handle<C>, C: Clone + Send + 'static>(accounts: Aggregates<A>, deposit: C) {
    /// let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    /// let answer = accounts.ask("ada", deposit).retry(policy).await;
    /// # }
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self
    where
        C: Clone,
    {
        if let Some(work) = &mut self.sending.work {
            work.copy_by(C::clone);
        }
        self.sending.retry = Some(Box::new(Retry::new(policy)));
        self
    }

    /// Gives the command a key of 1 to 255 bytes under which it may be sent again without a second effect: a repeat to the same
    /// aggregate is answered with the original reply, also after a crash, for as long as
    /// [`Config::idempotency_keys_min`](crate::Config::idempotency_keys_min) says. The key, a fingerprint of the command and
    /// the encoded reply land in the same commit as the events. A rejection is not remembered: nothing happened, and a
    /// repeat is decided anew; but see [`remember_rejection`](Ask::remember_rejection).
    ///
    /// The fingerprint is made of what the command tells serde. The same key with a different command is
    /// [`Error::KeyReused`], a key that breaks the rules [`Error::InvalidKey`].
    pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self
    where
        C: Serialize,
        A::Reply: Serialize + DeserializeOwned,
    {
        if let Some(work) = &mut self.sending.work {
            work.give_key(key.as_ref());
        }
        self
    }

    /// Remembers a rejection under the idempotency key as well: a repeat is rejected alike, whatever has happened since.
    /// To be called after [`idempotency_key`](Ask::idempotency_key), without which it does nothing.
    pub fn remember_rejection(mut self) -> Self
    where
        A::Rejection: Serialize + DeserializeOwned,
    {
        if let Some(work) = &mut self.sending.work {
            work.remember_rejection();
        }
        self
    }
}

type AskParts<A, C, F> = (Arc<Kind<A>>, CompactString, Option<Duration>, bool, Option<Command<A, C, F>>);

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Ask<A, C, F> {
    /// Takes it apart before it is sent: whom to ask, its deadline, whether it retries, and the command.
    pub(crate) fn into_parts(self) -> AskParts<A, C, F> {
        self.sending.into_parts()
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Future for Ask<A, C, F> {
    type Output = Result<F::Output, Error<A::Rejection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().sending.poll_with(cx, |shared, work, asking, now| {
            identify(&mut work.terms.metadata, shared, asking, now);
            work.check_key()
        })
    }
}

/// Gives a command its identity, at its first poll. It keeps it when it is sent again; but it is admitted anew.
pub(crate) fn identify(metadata: &mut Metadata, shared: &Shared, asking: Asking, now: Timestamp) {
    metadata.timestamp = now;
    if metadata.command_id != CommandId::default() {
        return;
    }
    metadata.command_id = shared.next_command_id();
    if let Some((command_id, correlation_id)) = asking {
        metadata.causation_id = metadata.causation_id.or(Some(command_id));
        if metadata.correlation_id == CorrelationId::default() {
            metadata.correlation_id = correlation_id;
        }
    }
    if metadata.correlation_id == CorrelationId::default() {
        metadata.correlation_id = CorrelationId::from_u128(metadata.command_id.as_u128());
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> fmt::Debug for Ask<A, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("aggregate", &A::TYPE).field("id", &self.sending.id).finish_non_exhaustive()
    }
}
