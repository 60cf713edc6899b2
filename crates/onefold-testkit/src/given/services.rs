//! Where a test's services come from: said by the test, or the default where there is one. A test that must say and does
//! not is refused by the compiler.

use std::sync::Arc;

use onefold_core::Aggregate;

/// The test has not said which services there are.
#[derive(Clone, Copy, Debug)]
pub struct DefaultServices;

/// What the test gave to [`Given::services`](super::Given::services).
pub struct InjectedServices<A: Aggregate>(pub(super) Arc<A::Services>);

/// Knows which services there are.
#[diagnostic::on_unimplemented(
    message = "the services of `{A}` have no default: say which there are",
    label = "`.services(…)` must come before `.when(…)`"
)]
pub trait ProvideServices<A: Aggregate> {
    /// The services.
    fn provide(self) -> Arc<A::Services>;
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate<Services: Default>> ProvideServices<A> for DefaultServices {
    fn provide(self) -> Arc<A::Services> {
        Arc::default()
    }
}

impl<A: Aggregate> ProvideServices<A> for InjectedServices<A> {
    fn provide(self) -> Arc<A::Services> {
        self.0
    }
}

impl<A: Aggregate> std::fmt::Debug for InjectedServices<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InjectedServices").field(&A::TYPE).finish()
    }
}
