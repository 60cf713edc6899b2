//! Several entries booked as one: all or none, on the version that was seen, once. From Rust and over HTTP.

mod support;

use futures_util::TryStreamExt as _;
use onefold::{Aggregates, Error, ExpectedVersion, MemoryJournal, Runtime, StreamVersion};
use onefold_bank::Money;
use onefold_bank::booking::{BookError, BookingTerms, book};
use onefold_bank::domain::{Account, AccountEvent, AccountRejection, Book, Open, Receipt};
use serde_json::json;
use support::server::Server;

struct Accounts {
    accounts: Aggregates<Account>,
    _runtime: Runtime,
}

impl Accounts {
    /// With ada's, which is empty and at version 1.
    async fn new() -> Self {
        let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Account>(()).start().await.unwrap();
        let accounts: Aggregates<Account> = runtime.aggregates().unwrap();
        accounts.ask("ada", Open { owner: "Ada".into() }).await.unwrap();
        Accounts { accounts, _runtime: runtime }
    }

    async fn book(&self, entries: &str, terms: BookingTerms) -> Result<Vec<Receipt>, BookError> {
        book(&self.accounts, "ada", entries.split(' ').map(|entry| entry.parse().unwrap()).collect(), terms).await
    }

    /// Her events and the commit of each.
    async fn history(&self) -> Vec<(AccountEvent, u64)> {
        let events: Vec<_> = self.accounts.events("ada", StreamVersion::EMPTY).unwrap().try_collect().await.unwrap();
        events.into_iter().map(|recorded| (recorded.event, recorded.commit.get())).collect()
    }
}

fn at(version: u64) -> BookingTerms {
    BookingTerms { expected: version.into(), ..BookingTerms::default() }
}

fn under(key: &str) -> BookingTerms {
    BookingTerms { key: Some(key.into()), ..BookingTerms::default() }
}

fn receipt(units: u32, version: u64) -> Receipt {
    Receipt { balance: Money::from_units(units), version: StreamVersion::new(version) }
}

#[tokio::test]
async fn all_entries_land_in_one_commit() {
    let bank = Accounts::new().await;
    let booked = bank.book("+100 -40 +1", BookingTerms::default()).await.unwrap();
    assert_eq!(booked, [receipt(100, 2), receipt(60, 3), receipt(61, 4)], "each on the balance after those before it");
    let commits: Vec<_> = bank.history().await.into_iter().map(|(_, commit)| commit).collect();
    assert_eq!(commits, [1, 2, 2, 2]);
}

#[tokio::test]
async fn one_rejected_entry_leaves_nothing() {
    let bank = Accounts::new().await;
    let refused = bank.book("+100 -40 -61 +5", BookingTerms::default()).await.unwrap_err();
    let told = "nothing was booked, because of entry 3, -61.00: account ada holds 60.00, which does not cover 61.00";
    assert_eq!(refused.to_string(), told);
    assert_eq!(refused.entry, Some((3, Book::Withdraw(Money::from_units(61)))));
    assert!(matches!(refused.error, Error::Rejected(AccountRejection::InsufficientFunds { .. })), "{refused:?}");
    assert_eq!(bank.history().await.len(), 1);
    assert_eq!(bank.book("+5", BookingTerms::default()).await.unwrap(), [receipt(5, 2)], "on what it was before");
}

/// One command yields several events: whoever saw the account before them is behind, by all of them and by one.
#[tokio::test]
async fn stale_version_conflicts_however_many_events_one_booking_is() {
    let bank = Accounts::new().await;
    bank.book("+100 -40 +1", at(1)).await.unwrap();
    for stale in [0, 1, 2, 3, 5] {
        let refused = bank.book("+1 -1", at(stale)).await.unwrap_err();
        assert_eq!(refused.entry, None);
        let Error::Conflict { expected, actual, .. } = &refused.error else { panic!("{refused:?}") };
        assert_eq!((*expected, actual.get()), (ExpectedVersion::from(stale), 4));
        let told = format!("nothing was booked: account/ada is at version 4, the command expected {expected}");
        assert!(refused.to_string().starts_with(&told), "{refused}");
    }
    assert_eq!(bank.history().await.len(), 4);
    assert_eq!(bank.book("+1 -1", at(4)).await.unwrap(), [receipt(62, 5), receipt(61, 6)]);
}

#[tokio::test]
async fn of_two_bookings_on_the_same_version_one_wins() {
    let bank = Accounts::new().await;
    for version in (1..20).step_by(2) {
        let both = tokio::join!(bank.book("+3 -2", at(version)), bank.book("+3 -2", at(version)));
        assert!(matches!(&both, (Ok(_), Err(BookError { error: Error::Conflict { .. }, .. }))), "{both:?}");
        assert_eq!(bank.history().await.len() as u64, version + 2);
    }
}

#[tokio::test]
async fn booking_sent_again_under_its_key_has_no_second_effect() {
    let bank = Accounts::new().await;
    // Nothing is remembered of what did not happen.
    assert!(bank.book("-40", under("payday")).await.is_err());
    let terms = BookingTerms { expected: 1u64.into(), ..under("payday") };
    for _ in 0..3 {
        let booked = bank.book("+100 -40", terms.clone()).await.unwrap();
        assert_eq!(booked, [receipt(100, 2), receipt(60, 3)]);
    }
    for other in ["+100 -41", "+100", "+100 -40 +1", "-40 +100"] {
        let refused = bank.book(other, under("payday")).await.unwrap_err();
        assert!(matches!(refused.error, Error::KeyReused { .. }), "{other}: {refused:?}");
    }
    assert_eq!(bank.history().await.len(), 3);
}

#[test]
fn entries_are_booked_over_http() {
    let server = Server::start();
    server.post("/accounts/ada", r#"{"owner": "Ada"}"#);
    let book = |headers: &[&str], body| server.send("POST", "/accounts/ada/entries", headers, body);
    let both = r#"[{"deposit": "100.00"}, {"withdraw": "40.00"}]"#;
    let entries = json!([{"balance": "100.00", "version": 2}, {"balance": "60.00", "version": 3}]);
    for _ in 0..2 {
        let booked = book(&["if-match: \"1\"", "idempotency-key: payday"], both);
        assert_eq!((booked.status, booked.etag.as_deref()), (200, Some("\"3\"")), "{booked:?}");
        assert_eq!(booked.body, json!({"id": "ada", "entries": entries}));
    }
    let stale = book(&["if-match: \"2\""], both);
    assert_eq!((stale.status, stale.etag.as_deref(), &stale.body["version"]), (412, Some("\"3\""), &json!(3)));
    let reused = book(&["idempotency-key: payday"], r#"[{"deposit": "100.00"}]"#);
    assert_eq!((reused.status, &reused.body["error"]), (422, &json!("KeyReused")));
    let nobody = server.send("POST", "/accounts/nobody/entries", &["if-match: *"], both);
    assert_eq!((nobody.status, nobody.etag.as_deref()), (412, Some("\"0\"")));
    let refused = book(&["if-match: *"], r#"[{"deposit": "1.00"}, {"withdraw": "62.00"}]"#);
    let told = "nothing was booked, because of entry 2, -62.00: account ada holds 61.00, which does not cover 62.00";
    assert_eq!((refused.status, &refused.body["message"]), (422, &json!(told)));
    for wrong in ["[]", "{}", r#"["+1.00"]"#, r#"[{"deposit": "-1.00"}]"#, r#"[{"steal": "1.00"}]"#] {
        assert_eq!(book(&["idempotency-key: wrong"], wrong).status, 400, "{wrong}");
    }
    assert_eq!(server.get("/accounts/ada").body["version"], 3);
    server.stop();
}
