//! The check of owners: what it asks for, what it stores, and what a crash at any point leaves behind.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use onefold::{Checkpoint, GlobalPosition};
use onefold_bank::Bank;
use onefold_bank::domain::Open;
use onefold_bank::owners::{AccountsPerOwner, Checked, Progress, RequestReview, Review, check};

/// How many accounts an owner may have here.
const ACCOUNTS_MAX: usize = 2;

/// A bank, and the file in which its checks keep how far they got.
struct Branch {
    bank: Bank,
    progress: PathBuf,
    directory: tempfile::TempDir,
}

impl Branch {
    async fn open() -> Branch {
        let directory = tempfile::tempdir().unwrap();
        let bank = Bank::open(&directory.path().join("bank")).await.unwrap();
        Branch { bank, progress: directory.path().join("owners.json"), directory }
    }

    async fn accounts(&self, rows: &[(&str, &str)]) {
        for (account, owner) in rows {
            self.bank.accounts().ask(account, Open { owner: (*owner).to_owned() }).await.unwrap();
        }
    }

    async fn check(&self, progress: &Path) -> anyhow::Result<Checked> {
        check(&self.bank, ACCOUNTS_MAX, progress).await
    }

    /// What a check asked for, in words.
    async fn requested(&self) -> Vec<String> {
        let checked = self.check(&self.progress).await.unwrap();
        checked.requested.iter().map(ToString::to_string).collect()
    }

    /// How often each of these accounts' reviews was requested.
    async fn reviews<const N: usize>(&self, accounts: [&str; N]) -> [usize; N] {
        let mut counts = [0; N];
        for (count, account) in counts.iter_mut().zip(accounts) {
            let events = self.bank.reviews().events(account, 0_u64).unwrap();
            *count = events.try_collect::<Vec<_>>().await.unwrap().len();
        }
        counts
    }
}

const BOBS: [(&str, &str); 5] = [("b1", "Bob"), ("a1", "Ada"), ("b2", "Bob"), ("b3", "Bob"), ("b4", "Bob")];

#[tokio::test]
async fn surplus_accounts_are_reviewed_once() {
    let branch = Branch::open().await;
    branch.accounts(&BOBS).await;
    assert_eq!(branch.requested().await, ["b3 is account number 3 of Bob", "b4 is account number 4 of Bob"]);
    assert_eq!(branch.requested().await, [""; 0]);
    branch.accounts(&[("a2", "Ada"), ("b5", "Bob")]).await;
    assert_eq!(branch.requested().await, ["b5 is account number 5 of Bob"]);
    assert_eq!(branch.requested().await, [""; 0]);
    assert_eq!(branch.reviews(["b1", "b2", "b3", "b4", "b5", "a2"]).await, [0, 0, 1, 1, 1, 0]);
    branch.bank.close().await.unwrap();
}

/// The reviews are asked for, and the process dies before it stores how far it got: here, because the file cannot be written. The
/// next check begins where that one did, sees its reviews, and asks for none twice.
#[tokio::test]
async fn a_crash_before_the_checkpoint_is_stored_asks_for_nothing_twice() {
    let branch = Branch::open().await;
    branch.accounts(&BOBS).await;
    let error = branch.check(&branch.directory.path().join("nowhere/owners.json")).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error:#}");
    assert_eq!(branch.reviews(["b3", "b4"]).await, [1, 1]);

    assert_eq!(branch.requested().await, [""; 0]);
    assert_eq!(branch.reviews(["b3", "b4"]).await, [1, 1]);
    branch.bank.close().await.unwrap();
}

/// The process dies between two reviews: the next check asks for the one that is missing.
#[tokio::test]
async fn a_crash_between_two_reviews_asks_for_the_rest() {
    let branch = Branch::open().await;
    branch.accounts(&BOBS).await;
    let request = RequestReview { reason: "by a check that came no further".to_owned() };
    branch.bank.reviews().ask("b3", request).await.unwrap();
    assert_eq!(branch.requested().await, ["b4 is account number 4 of Bob"]);
    assert_eq!(branch.reviews(["b3", "b4"]).await, [1, 1]);
    branch.bank.close().await.unwrap();
}

/// Two checks at once may tell the same violations; the reviews are there once, because asking is safe to repeat.
#[tokio::test]
async fn two_checks_at_once_ask_for_nothing_twice() {
    let branch = Branch::open().await;
    branch.accounts(&BOBS).await;
    let other = branch.directory.path().join("others.json");
    let (one, another) = tokio::join!(branch.check(&branch.progress), branch.check(&other));
    assert!(one.unwrap().requested.len() + another.unwrap().requested.len() >= 2);
    assert_eq!(branch.reviews(["b3", "b4"]).await, [1, 1]);
    branch.bank.close().await.unwrap();
}

/// What is stored is the rule and its checkpoint together, and each check says anew how many accounts are too many.
#[tokio::test]
async fn progress_is_stored_as_a_whole() {
    let branch = Branch::open().await;
    assert_eq!(Progress::load(&branch.progress).await.unwrap().checkpoint, Checkpoint::START);
    branch.accounts(&BOBS).await;
    let checked = check(&branch.bank, 9, &branch.progress).await.unwrap();
    assert_eq!((checked.observed, checked.requested.len()), (5, 0));
    let progress = Progress::load(&branch.progress).await.unwrap();
    assert_eq!(progress.checkpoint, Checkpoint::after(GlobalPosition::new(5)));
    assert_ne!(progress.rule, AccountsPerOwner::default());
    let strict = check(&branch.bank, 3, &branch.progress).await.unwrap();
    assert_eq!((strict.observed, strict.requested.len()), (0, 1));

    std::fs::write(&branch.progress, "{}").unwrap();
    let error = branch.check(&branch.progress).await.unwrap_err();
    assert!(error.to_string().ends_with("owners.json is not a check's progress"), "{error:#}");
    assert!(branch.bank.reviews().read("b4", |_: &Review| ()).await.is_ok());
    branch.bank.close().await.unwrap();
}
