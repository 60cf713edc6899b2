//! The given/when/then of `onefold-testkit`: what it lets pass, what it finds, and how it says so.

mod account;
mod claims;
mod finding;
mod messages;
mod odd;
mod passing;

/// Steps in another order do not compile. After a deliberate change of wording:
/// `TRYBUILD=overwrite cargo test -p onefold-testkit --test given`, then read the diff.
#[test]
fn steps_in_another_order_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/given/ui/*.rs");
}
