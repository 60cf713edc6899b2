//! The runtime, simulated by seed: P1–P18 hold in every one. `cargo crash simulate` runs as many as one likes.

use std::path::Path;

use onefold_bank::Money;
use onefold_bank::domain::{Account, Deposit, Open, Withdraw};
use onefold_simulation::{Command, Random, Simulation, Violation};
use onefold_testkit::seeds;
use onefold_tests::crash::mutations::{Hunter, list};

/// The fixed seeds of CI; `ONEFOLD_SEED` replaces them.
const SEEDS: u64 = 400;

#[test]
fn every_promise_holds_in_every_simulation() {
    let fixed: Vec<u64> = (0..SEEDS).collect();
    let seeds = seeds::from_env_or(&fixed);
    let (first, last) = (seeds[0], seeds[seeds.len() - 1]);
    let summary = match seeds.len() as u64 == last - first + 1 {
        true => onefold_simulation::sweep(first..last + 1, 2),
        false => panic!("ONEFOLD_SEED: name one seed, or some in a row"),
    };
    print!("{summary}");
    assert!(summary.is_clean(), "{summary}");
    if summary.seeds == SEEDS {
        let varied = [summary.stored, summary.unknown, summary.kills, summary.faults, summary.panics, summary.left];
        assert!(varied.iter().all(|count| *count > 50), "{summary}");
        assert!(summary.commands > 50_000 && summary.passivations > 1_000, "{summary}");
        assert!(summary.repeats > 20_000 && summary.remembered > 5_000, "{summary}");
    }
}

fn amount(random: &mut Random) -> Money {
    Money::from_cents(random.between(1, 100))
}

#[test]
fn bank_account_passes_its_simulation() {
    let scenario = Simulation::new(0).aggregate::<Account>(|| ()).commands(|random| match random.below(8) {
        0 => Command::new(Open { owner: "ada".to_owned() }),
        1..=3 => Command::new(Withdraw { amount: amount(random) }),
        _ => Command::new(Deposit { amount: amount(random) }),
    });
    let summary = scenario.view(|account| format!("{account:?}")).commands_per_life(200).sweep(0..30, 2);
    assert!(summary.is_clean(), "{summary}");
    assert!(summary.stored > 500, "{summary}");
}

/// The simulation can fail: an invariant that does not hold is found, with its seed, and found again by it.
#[test]
fn broken_invariant_is_found_and_found_again() {
    let scenario = |seed| {
        let scenario = Simulation::new(seed).aggregate::<Account>(|| ()).commands(|random| match random.below(4) {
            0 => Command::new(Open { owner: "ada".to_owned() }),
            _ => Command::new(Deposit { amount: amount(random) }),
        });
        scenario.invariant(|account: &Account| match account.balance() < Money::from_cents(500) {
            true => Ok(()),
            false => Err(format!("{} is more than 5.00", account.balance())),
        })
    };
    let failure = scenario(0).sweep(0..20, 1).failures.remove(0);
    assert!(matches!(failure.violation, Violation::Invariant { .. }), "{failure}");
    assert_eq!(scenario(failure.seed).run(), Err(failure));
}

/// `cargo crash mutations` can apply them all: the code that they change still stands where they look for it.
#[test]
fn every_mutation_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (hunter, at_least) in [(Hunter::Simulation, 20), (Hunter::Exploration, 50)] {
        let mutations = list::all(root, hunter).unwrap();
        assert!(mutations.len() >= at_least, "{hunter}: {}", mutations.len());
        for mutation in mutations {
            let changes = mutation.changes(root).unwrap_or_else(|error| panic!("{error}"));
            assert!(changes.iter().all(|(_, before, after)| before != after), "{}", mutation.name);
        }
    }
}
