//! What is expected of a command. First what happened, then what was answered, then perhaps the next command.

use std::fmt::{self, Debug};

use onefold_core::{Aggregate, ClaimName, Handle, Holder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::course::{Course, End};
use super::failure::{Failure, blocks_of, text_of};
use super::round_trip;
use super::when::When;

/// What came of a command: to be compared with what the test expects.
///
/// Its methods panic when something else came of it, with all that was given and done so far in the message; also when a
/// handler panicked, or an event does not come back from its bytes.
#[must_use = "say what is expected: then_events, then_no_events, or then_rejected"]
pub struct Outcome<A: Aggregate, R> {
    course: Course<A>,
    end: Result<End<A, R>, Failure>,
}

impl<A: Aggregate, R> Outcome<A, R> {
    pub(super) fn new(course: Course<A>, end: Result<End<A, R>, Failure>) -> Self {
        Outcome { course, end }
    }
}

impl<A: Aggregate<Event: Debug + PartialEq>, R> Outcome<A, R> {
    /// These events happened, in this order, and no others.
    ///
    /// # Panics
    ///
    /// When it was otherwise.
    #[track_caller]
    pub fn then_events(self, expected: impl IntoIterator<Item = A::Event>) -> Decided<A, R> {
        let expected: Vec<A::Event> = expected.into_iter().collect();
        let (mut course, end) = self.unless_failed();
        match end {
            End::Decided { events, claims, reply } if events == expected => {
                course.happened(&events, &claims);
                Decided { course, reply }
            }
            End::Decided { events, .. } => {
                let what = "the events are not the expected ones".to_owned();
                course.fail(&Failure::differ(
                    what,
                    ("expected", &blocks_of(&expected)),
                    ("happened", &blocks_of(&events)),
                ))
            }
            End::Rejected(rejection) => {
                let what = "rejected, and events were expected".to_owned();
                let rejected = format!("{rejection:#?}\n\n\"{rejection}\"");
                course.fail(&Failure::new(what, format!("expected:\n{}\n\nrejected:\n{rejected}", text_of(&expected))))
            }
        }
    }

    /// Nothing happened, and the command was answered all the same: a query, or a command that was already done.
    ///
    /// # Panics
    ///
    /// When it was otherwise.
    #[track_caller]
    pub fn then_no_events(self) -> Decided<A, R> {
        self.then_events([])
    }

    /// The domain said no, in these words; nothing happened.
    ///
    /// # Panics
    ///
    /// When it was otherwise.
    #[track_caller]
    pub fn then_rejected(self, expected: A::Rejection) -> Refused<A>
    where
        A::Rejection: PartialEq,
    {
        let (course, rejection) = self.rejection(&format!("{expected:#?}"));
        if rejection != expected {
            let what = "the rejection is not the expected one".to_owned();
            let (expected, rejection) = (format!("{expected:#?}"), format!("{rejection:#?}"));
            course.fail(&Failure::differs(what, ("expected", expected), ("rejected", rejection)));
        }
        Refused::new(course, rejection)
    }

    /// The domain said no, and `is_expected` likes how: for rejections that are not `PartialEq`, or of which only a part
    /// matters.
    ///
    /// # Panics
    ///
    /// When it was otherwise.
    #[track_caller]
    pub fn then_rejected_where(self, is_expected: impl FnOnce(&A::Rejection) -> bool) -> Refused<A> {
        let (course, rejection) = self.rejection("a rejection");
        if !is_expected(&rejection) {
            course.fail(&Failure::new("the rejection is not as expected".to_owned(), format!("{rejection:#?}")));
        }
        Refused::new(course, rejection)
    }

    #[track_caller]
    fn rejection(self, expected: &str) -> (Course<A>, A::Rejection) {
        let (course, end) = self.unless_failed();
        match end {
            End::Rejected(rejection) => (course, rejection),
            End::Decided { events, .. } => {
                let what = "not rejected, as was expected".to_owned();
                course.fail(&Failure::new(what, format!("expected:\n{expected}\n\nhappened:\n{}", text_of(&events))))
            }
        }
    }

    #[track_caller]
    fn unless_failed(self) -> (Course<A>, End<A, R>) {
        match self.end {
            Ok(end) => (self.course, end),
            Err(failure) => self.course.fail(&failure),
        }
    }
}

/// The events are as expected. The reply may be looked at, and the next command come.
pub struct Decided<A: Aggregate, R> {
    course: Course<A>,
    reply: R,
}

impl<A: Aggregate<Event: Debug + PartialEq>, R> Decided<A, R> {
    /// These are the claims that the aggregate holds now, in any order, and no others: for good, or until some time. See
    /// [`Given::holds`](super::Given::holds).
    ///
    /// # Panics
    ///
    /// When it holds others.
    #[track_caller]
    pub fn then_claims<'a>(self, expected: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut expected: Vec<_> =
            expected.into_iter().map(|(namespace, value)| format!("{namespace}/{value}")).collect();
        expected.sort();
        let mut held: Vec<_> = self.course.claims().own().iter().map(|(name, _)| name.to_string()).collect();
        held.sort();
        if held != expected {
            let what = "the aggregate does not hold the expected claims".to_owned();
            let (expected, held) = (or_nothing(expected), or_nothing(held));
            self.course.fail(&Failure::differ(what, ("expected", &expected), ("held", &held)));
        }
        self
    }

    /// `is_expected` likes the claims that the aggregate holds now, ordered by name: where it matters until when.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn then_claims_where(self, is_expected: impl FnOnce(&[(ClaimName, Holder)]) -> bool) -> Self {
        let held = self.course.claims().own();
        if !is_expected(&held) {
            let what = "the claims that the aggregate holds are not as expected".to_owned();
            self.course.fail(&Failure::new(what, text_of(&held)));
        }
        self
    }

    /// The reply goes through each codec and back, and must come back as it was.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn round_trip_reply(self) -> Self
    where
        R: Serialize + DeserializeOwned + Debug + PartialEq,
    {
        let Decided { course, reply } = self;
        match round_trip::value("the reply", reply, &course.setting.codecs) {
            Ok(reply) => Decided { course, reply },
            Err(failure) => course.fail(&failure),
        }
    }

    /// This was the reply.
    ///
    /// # Panics
    ///
    /// When it was another one.
    #[track_caller]
    pub fn then_reply(self, expected: R) -> Done<A>
    where
        R: Debug + PartialEq,
    {
        let Decided { course, reply } = self;
        if reply != expected {
            let what = "the reply is not the expected one".to_owned();
            let (expected, reply) = (format!("{expected:#?}"), format!("{reply:#?}"));
            course.fail(&Failure::differs(what, ("expected", expected), ("replied", reply)));
        }
        Done { course }
    }

    /// `is_expected` likes the reply: for replies that are not `PartialEq`, or of which only a part matters.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn then_reply_where(self, is_expected: impl FnOnce(&R) -> bool) -> Done<A>
    where
        R: Debug,
    {
        let Decided { course, reply } = self;
        if !is_expected(&reply) {
            course.fail(&Failure::new("the reply is not as expected".to_owned(), format!("{reply:#?}")));
        }
        Done { course }
    }
}

/// The command was rejected as expected. The next one may come.
pub struct Refused<A: Aggregate> {
    course: Course<A>,
    rejection: A::Rejection,
}

impl<A: Aggregate> Refused<A> {
    fn new(mut course: Course<A>, rejection: A::Rejection) -> Self {
        course.story.then([format!("rejected: {rejection:?}")]);
        Refused { course, rejection }
    }
}

impl<A: Aggregate<Event: Debug + PartialEq>> Refused<A> {
    /// The rejection goes through each codec and back, and must come back as it was.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn round_trip_rejection(self) -> Self
    where
        A::Rejection: Serialize + DeserializeOwned + PartialEq,
    {
        let Refused { course, rejection } = self;
        match round_trip::value("the rejection", rejection, &course.setting.codecs) {
            Ok(rejection) => Refused { course, rejection },
            Err(failure) => course.fail(&failure),
        }
    }
}

/// Everything is said about the command. The next one may come.
pub struct Done<A: Aggregate> {
    course: Course<A>,
}

fn or_nothing(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["nothing".to_owned()] } else { lines }
}

/// Where another command may follow.
macro_rules! next_command {
    ($($settled:ident)::+ <$A:ident $(, $R:ident)?>) => {
        impl<$A: Aggregate $(, $R)?> $($settled)::+<$A $(, $R)?> {
            /// The next command, on the state as it is now.
            pub fn when<C>(self, command: C) -> When<$A, C>
            where
                $A: Handle<C>,
                C: Debug + Send + 'static,
            {
                When::new(self.course, command)
            }

            /// The state as it is now: what a read of the aggregate shows.
            pub fn state(&self) -> &$A {
                self.course.state()
            }
        }

        impl<$A: Aggregate $(, $R)?> fmt::Debug for $($settled)::+<$A $(, $R)?> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($($settled)::+)).field("stream", self.course.stream()).finish_non_exhaustive()
            }
        }
    };
}

next_command!(Decided<A, R>);
next_command!(Refused<A>);
next_command!(Done<A>);

impl<A: Aggregate, R> fmt::Debug for Outcome<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("stream", self.course.stream()).finish_non_exhaustive()
    }
}
