//! What can be asked of one aggregate at once: a vector, an array or a tuple of commands.

use onefold_core::{Aggregate, Handle};

use crate::aggregate::execution::{Deciding, Stop};

/// Several commands of one aggregate, for [`ask_all`](crate::Aggregates::ask_all): a `Vec` or an array of one command type,
/// with the replies in the same form, or a tuple of up to twelve different ones, with a tuple of their replies.
pub trait Commands<A: Aggregate>: sealed::Sealed<A> + Sized + Send + 'static {
    /// A reply for each command, in order.
    type Replies: Send + 'static;

    /// How many.
    #[doc(hidden)]
    fn count(&self) -> usize;

    /// The bytes they take beyond their own type.
    #[doc(hidden)]
    fn heap_bytes(&self) -> usize;

    /// Decides them in order, until one fails.
    #[doc(hidden)]
    fn decide(self, deciding: &mut Deciding<'_, A>) -> impl Future<Output = Result<Self::Replies, Stop<A>>> + Send;
}

mod sealed {
    pub trait Sealed<A> {}
}

impl<A: Handle<C>, C: Send + 'static> sealed::Sealed<A> for Vec<C> {}

impl<A: Handle<C>, C: Send + 'static> Commands<A> for Vec<C> {
    type Replies = Vec<A::Reply>;

    fn count(&self) -> usize {
        self.len()
    }

    fn heap_bytes(&self) -> usize {
        let pointed_to = self.iter().map(A::weight_of).fold(0, usize::saturating_add);
        self.capacity().saturating_mul(size_of::<C>()).saturating_add(pointed_to)
    }

    async fn decide(self, deciding: &mut Deciding<'_, A>) -> Result<Self::Replies, Stop<A>> {
        let mut replies = Vec::with_capacity(self.len());
        for command in self {
            replies.push(deciding.next(command).await?);
        }
        Ok(replies)
    }
}

impl<A: Handle<C>, C: Send + 'static, const N: usize> sealed::Sealed<A> for [C; N] {}

impl<A: Handle<C>, C: Send + 'static, const N: usize> Commands<A> for [C; N] {
    type Replies = [A::Reply; N];

    fn count(&self) -> usize {
        N
    }

    fn heap_bytes(&self) -> usize {
        self.iter().map(A::weight_of).fold(0, usize::saturating_add)
    }

    async fn decide(self, deciding: &mut Deciding<'_, A>) -> Result<Self::Replies, Stop<A>> {
        let mut replies = Vec::with_capacity(N);
        for command in self {
            replies.push(deciding.next(command).await?);
        }
        Ok(replies.try_into().unwrap_or_else(|_| unreachable!("there are as many replies as commands")))
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<A: Aggregate $(+ Handle<$name>)+, $($name: Send + 'static),+> sealed::Sealed<A> for ($($name,)+) {}

        impl<A: Aggregate $(+ Handle<$name>)+, $($name: Send + 'static),+> Commands<A> for ($($name,)+) {
            type Replies = ($(<A as Handle<$name>>::Reply,)+);

            fn count(&self) -> usize {
                [$(stringify!($name)),+].len()
            }

            #[expect(non_snake_case, reason = "a command is named as its type")]
            fn heap_bytes(&self) -> usize {
                let ($($name,)+) = self;
                [$(<A as Handle<$name>>::weight_of($name)),+].into_iter().fold(0, usize::saturating_add)
            }

            #[expect(non_snake_case, reason = "a command is named as its type")]
            async fn decide(self, deciding: &mut Deciding<'_, A>) -> Result<Self::Replies, Stop<A>> {
                let ($($name,)+) = self;
                // A tuple's fields are evaluated in order.
                Ok(($(deciding.next($name).await?,)+))
            }
        }
    };
}

tuples! { C1 }
tuples! { C1 C2 }
tuples! { C1 C2 C3 }
tuples! { C1 C2 C3 C4 }
tuples! { C1 C2 C3 C4 C5 }
tuples! { C1 C2 C3 C4 C5 C6 }
tuples! { C1 C2 C3 C4 C5 C6 C7 }
tuples! { C1 C2 C3 C4 C5 C6 C7 C8 }
tuples! { C1 C2 C3 C4 C5 C6 C7 C8 C9 }
tuples! { C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 }
tuples! { C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 }
tuples! { C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 }
