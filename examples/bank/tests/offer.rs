//! More customers than places: each place is sold once, and one that is not confirmed goes to the next.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use onefold_bank::Bank;
use onefold_bank::offer::{Offer, sell, winners};

/// The command, as a process; what it prints.
fn offer(data: &std::path::Path, arguments: &[&str]) -> String {
    let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
    bank.arg("offer").args(arguments).arg("--data").arg(data).env_remove("RUST_LOG").stdin(Stdio::null());
    let output = bank.output().expect("to run the bank");
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((stderr.as_str(), output.status.code()), ("", Some(0)), "{stdout}");
    stdout
}

#[test]
fn three_places_have_three_winners() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bank");
    let arguments = ["bonds", "--places", "3", "--customers", "20", "--reserved-ms", "50"];
    let told = offer(&data, &arguments);
    let lines: Vec<_> = told.lines().collect();
    let [first, second, third, sum] = lines[..] else { panic!("{told}") };
    let mut customers = BTreeSet::new();
    for (line, place) in [first, second, third].into_iter().zip(1..) {
        let customer = line.strip_prefix(&format!("place {place} of bonds is customer-"));
        let customer = customer.and_then(|rest| rest.strip_suffix("'s")).expect("a customer").parse::<u32>().unwrap();
        assert!((1..=20).contains(&customer) && customer % 3 == 2, "{customer} confirms");
        customers.insert(customer);
    }
    assert_eq!(customers.len(), 3, "nobody has two places: {told}");
    assert!(sum.starts_with("3 of 3 places sold to 20 customers, after "), "{sum}");

    let again = offer(&data, &arguments);
    assert_eq!(again.lines().take(3).collect::<Vec<_>>(), lines[..3], "what is sold stays sold");
}

/// Enough customers give up, or forget, that places change hands.
#[tokio::test(flavor = "multi_thread")]
async fn places_that_are_not_confirmed_go_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let bank = Bank::open(&directory.path().join("bank")).await.unwrap();
    // Customers 1, 3, 4 and 6 let go; 2 and 5 confirm.
    let offer = Offer { name: "bonds".to_owned(), places: 1, time: Duration::from_millis(30) };
    let first = sell(&bank, &offer, 1).await.unwrap();
    assert_eq!((first.winners.len(), first.reservations), (0, 1), "customer-1 gives up");
    let few = Offer { name: "shares".to_owned(), places: 2, ..offer.clone() };
    let sold = sell(&bank, &few, 6).await.unwrap();
    let buyers: BTreeSet<_> = sold.winners.values().cloned().collect();
    assert_eq!(buyers, BTreeSet::from(["customer-2".to_owned(), "customer-5".to_owned()]));
    assert!((2..=6).contains(&sold.reservations), "{}", sold.reservations);
    assert_eq!(winners(&bank, &few).await.unwrap(), sold.winners);
    bank.close().await.unwrap();
}
