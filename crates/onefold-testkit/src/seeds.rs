//! Seeds of random tests: from the environment to repeat a failure, else a fixed list; the seed that failed is printed.

use std::fmt::Write as _;

/// The variable that replaces a test's seeds: a decimal number, or several with commas between.
pub const VARIABLE: &str = "ONEFOLD_SEED";

/// The seeds to run: those of the environment variable `ONEFOLD_SEED`, else `fixed`.
///
/// ```
/// use onefold_testkit::seeds;
/// for seed in seeds::from_env_or(&[1, 2, 3]) {
///     let _guard = seeds::announce(seed);
///     // … a test that depends on nothing but the seed …
/// }
/// ```
///
/// # Panics
///
/// When the variable is not a list of numbers: a typing error must not pass for a green test.
pub fn from_env_or(fixed: &[u64]) -> Vec<u64> {
    match std::env::var(VARIABLE) {
        Ok(list) => parse(&list),
        Err(std::env::VarError::NotPresent) => fixed.to_vec(),
        Err(error) => panic!("{VARIABLE}: {error}"),
    }
}

fn parse(list: &str) -> Vec<u64> {
    let number = |text: &str| match text.trim().parse() {
        Ok(seed) => seed,
        Err(_) => panic!("{VARIABLE} is a list of numbers, {text:?} is none"),
    };
    list.split(',').map(number).collect()
}

/// Prints how to repeat the test if it panics while this is alive.
pub fn announce(seed: u64) -> SeedGuard {
    SeedGuard { seed }
}

/// See [`announce`].
#[derive(Debug)]
#[must_use = "the seed is printed only if the guard is alive when the test panics"]
pub struct SeedGuard {
    seed: u64,
}

impl Drop for SeedGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut line = String::new();
            // Writing to a string cannot fail, and one print is not torn apart by other tests.
            let _ = write!(line, "failed with seed {0}; to repeat it: {VARIABLE}={0} cargo test …", self.seed);
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parsed() {
        assert_eq!(parse("7"), [7]);
        assert_eq!(parse("7, 18446744073709551615"), [7, u64::MAX]);
    }

    #[test]
    #[should_panic(expected = "is a list of numbers, \"x\" is none")]
    fn typing_errors_are_not_ignored() {
        parse("1,x");
    }
}
