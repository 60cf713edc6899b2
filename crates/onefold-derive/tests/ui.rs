//! Compile errors that explain themselves: each file in `tests/ui` does not compile, and says why.
//!
//! After a deliberate change of wording: `TRYBUILD=overwrite cargo test -p onefold-derive --test ui`, then read the diff.

#[test]
fn mistakes_are_explained_at_compile_time() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
