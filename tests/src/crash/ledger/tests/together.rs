//! Claims, and decisions of several aggregates: sound histories pass; whatever is not sound is named.

use super::*;

/// `a` takes seat 1; `b` holds seat 2 and then gives 30 to `a`, and seat 2 with it.
const SAID: &str = "attempt 1 a 1 take:seat-1\nstored 1 1\nattempt 2 b 1 hold:seat-2:50\nstored 2 1\n\
                    attempt 3 b 2 amount:-30 move:seat-2:a and a 1 amount:30\nstored 3 3 2\n";
const ONE: &str = "commit 1 1 a 1 1 1 taken:seat-1:-\n";
const TWO: &str = "commit 2 2 b 1 2 1 taken:seat-2:50\n";
const THREE: &str = "commit 3 3 b 2 3 2 amount:-30 moved:seat-2:a:50 and a 2 1 amount:30 from:2\n";
const LISTED: &str = "holds seat-1 a 1 -\nholds seat-2 a 3 50\ndone\n";

fn said() -> Ledger {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.load(&lines(SAID)), []);
    ledger
}

#[test]
fn claims_and_decisions_of_several_pass_when_they_are_as_asked() {
    let mut ledger = said();
    ledger.load(&lines("holds seat-2 b 2 50\nholds seat-2 a 3 50\n"));
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, LISTED]), []);
    let Tally { claims_taken, claims_changed, transacts, events, .. } = ledger.tally();
    assert_eq!([claims_taken, claims_changed, transacts, events], [2, 1, 1, 5]);
    // The hold's time is up: nobody's commit ends it, and then somebody else takes it.
    ledger.load(&lines("attempt 4 c 1 take:seat-2\nstored 4 1\n"));
    let (end, four) = ("commit 4 6 a 3 0 0 expired:seat-2:3\n", "commit 5 6 c 1 4 1 taken:seat-2:-\n");
    let listed = "holds seat-1 a 1 -\nholds seat-2 c 5 -\ndone\n";
    assert_eq!(kinds(&mut ledger.clone(), &[ONE, TWO, THREE, end, four, listed]), []);
    // Or both at once.
    let four = "commit 4 6 c 1 4 1 expired:seat-2:3 taken:seat-2:-\n";
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, four, "holds seat-1 a 1 -\nholds seat-2 c 4 -\ndone\n"]), []);
}

#[test]
fn claim_with_two_holders_is_found_at_the_commit() {
    let mut ledger = said();
    ledger.load(&lines("attempt 4 c 1 take:seat-1\n"));
    let four = "commit 4 6 c 1 4 1 taken:seat-1:-\n";
    let listed = "holds seat-1 c 4 -\nholds seat-2 a 3 50\ndone\n";
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, four, listed]), [FindingKind::TwoHolders]);
}

#[test]
fn whatever_claims_cannot_be_is_named() {
    use FindingKind::*;
    let listed = |listed: &'static str| -> [&'static str; 4] { [ONE, TWO, THREE, listed] };
    for (read, expected) in [
        // What was acknowledged as taken is not held: recovery forgot it, or its commit lacks it.
        (listed("holds seat-2 a 3 50\ndone\n"), vec![ClaimLost]),
        (listed("done\n"), vec![ClaimLost, ClaimLost]),
        (["commit 1 1 a 1 1 1\n", TWO, THREE, "holds seat-2 a 3 50\ndone\n"], vec![ClaimLost]),
        // The list disagrees with the log.
        (listed("holds seat-1 a 1 -\nholds seat-2 b 2 50\ndone\n"), vec![ClaimWrong]),
        (listed("holds seat-1 a 1 9\nholds seat-2 a 3 50\ndone\n"), vec![ClaimWrong]),
        (listed("holds seat-1 a 1 -\nholds seat-2 a 3 50\nholds seat-3 a 3 -\ndone\n"), vec![ClaimWrong]),
        // A commit changes what it cannot.
        ([ONE, TWO, THREE, "commit 4 6 a 3 0 0 expired:seat-1:1\nholds seat-2 a 3 50\ndone\n"], vec![ClaimWrong]),
        ([ONE, TWO, THREE, "commit 4 6 a 3 0 0 released:seat-1\nholds seat-2 a 3 50\ndone\n"], vec![Wrong]),
        (
            [
                ONE,
                TWO,
                "commit 3 3 b 2 3 2 amount:-30 moved:seat-2:a:- and a 2 1 amount:30 from:2\n",
                "holds seat-1 a 1 -\nholds seat-2 a 3 -\ndone\n",
            ],
            vec![ClaimWrong],
        ),
    ] {
        assert_eq!(kinds(&mut said(), &read), expected, "{read:?}");
    }
    let mut ledger = said();
    ledger.load(&lines("holds seat-1 b 1 -\n"));
    assert_eq!(kinds(&mut ledger, &listed(LISTED)), [Vanished], "a look found who never held it");
}

#[test]
fn decision_of_several_that_is_not_whole_is_torn() {
    use FindingKind::*;
    let listed = "holds seat-1 a 1 -\nholds seat-2 a 3 50\ndone\n";
    for (third, expected) in [
        // The second part is missing, and what it should have got.
        ("commit 3 3 b 2 3 2 amount:-30 moved:seat-2:a:50\n", vec![Unbalanced, Torn, Wrong]),
        // The first part is.
        ("commit 3 3 a 2 3 1 amount:30 from:2\n", vec![Unbalanced, Torn, Wrong, ClaimWrong]),
        // It got less than was given.
        ("commit 3 3 b 2 3 2 amount:-30 moved:seat-2:a:50 and a 2 1 amount:29 from:2\n", vec![Unbalanced, Unbalanced]),
        // One of the first part's events is missing.
        ("commit 3 3 b 2 3 1 amount:-30 moved:seat-2:a:50 and a 2 1 amount:30 from:2\n", vec![Torn, Wrong]),
        // The key is.
        ("commit 3 3 b 2 3 2 amount:-30 moved:seat-2:a:50 and a 2 1 amount:30 from:2 key\n", vec![KeyLost]),
    ] {
        assert_eq!(kinds(&mut said(), &[ONE, TWO, third, listed]), expected, "{third}");
    }
}

#[test]
fn answer_of_several_names_each_ones_version() {
    let mut ledger = Ledger::default();
    ledger.load(&lines(&SAID.replace("stored 3 3 2", "stored 3 3 4")));
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, LISTED]), [FindingKind::Wrong]);
}
