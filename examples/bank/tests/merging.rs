//! Two clerks edit one holder: every combination of what was seen, what was missed and what is edited.

use onefold::{Aggregates, Error, ExpectedVersion, MemoryJournal, Runtime};
use onefold_bank::domain::{ChangeAddress, ChangeName, ChooseAlias, Holder, HolderRejection, RegisterHolder};

/// What a clerk edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Name,
    Address,
    Alias,
}

const EDITS: [Edit; 3] = [Edit::Name, Edit::Address, Edit::Alias];

struct Clerks {
    holders: Aggregates<Holder>,
    _runtime: Runtime,
}

impl Clerks {
    async fn new() -> Self {
        let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Holder>(()).start().await.unwrap();
        Clerks { holders: runtime.aggregates().unwrap(), _runtime: runtime }
    }

    async fn register(&self, id: &str) {
        let register = RegisterHolder { name: "Ada".into(), address: "London".into() };
        self.holders.ask(id, register).expect_version(ExpectedVersion::NoStream).await.unwrap();
    }

    /// Makes an edit on a version that was seen; returns the version reached.
    async fn edit(
        &self,
        id: &str,
        edit: Edit,
        to: &str,
        seen: impl Into<ExpectedVersion>,
    ) -> Result<u64, Error<HolderRejection>> {
        let seen = seen.into();
        let receipt = match edit {
            Edit::Name => {
                let ask = self.holders.ask(id, ChangeName { name: to.into() });
                ask.expect_version(seen).or_merge().with_receipt().await?
            }
            Edit::Address => {
                let ask = self.holders.ask(id, ChangeAddress { address: to.into() });
                ask.with_receipt().or_merge().expect_version(seen).await?
            }
            Edit::Alias => {
                // An alias is one holder's in the whole bank.
                let ask = self.holders.ask(id, ChooseAlias { alias: format!("{to} {id}") });
                ask.or_merge().expect_version(seen).with_receipt().await?
            }
        };
        Ok(receipt.version.get())
    }

    /// Name, address, alias.
    async fn is(&self, id: &str) -> [String; 3] {
        let is =
            |holder: &Holder| [holder.name(), holder.address(), holder.alias().unwrap_or_default()].map(str::to_owned);
        self.holders.read(id, is).await.unwrap()
    }
}

/// Histories of up to four edits, every version that may have been seen, each edit on top.
#[tokio::test]
async fn an_edit_goes_ahead_if_it_missed_only_edits_of_the_other_kinds() {
    let clerks = Clerks::new().await;
    let (mut merged, mut conflicts) = (0, 0);
    for length in 0..=4u32 {
        for code in 0..3usize.pow(length) {
            let history: Vec<_> = (0..length).map(|place| EDITS[code / 3usize.pow(place) % 3]).collect();
            for seen in 0..=length as u64 + 2 {
                for edit in EDITS {
                    let id = format!("{length}-{code}-{seen}-{edit:?}");
                    clerks.register(&id).await;
                    for (version, earlier) in (1u64..).zip(&history) {
                        let reached = clerks.edit(&id, *earlier, &format!("as of {version}"), version).await;
                        assert_eq!(reached, Ok(version + 1));
                    }
                    let (before, actual) = (clerks.is(&id).await, length as u64 + 1);
                    let missed = history.iter().skip(usize::try_from(seen).unwrap().saturating_sub(1));
                    let goes_ahead = (1..=actual).contains(&seen) && missed.into_iter().all(|other| *other != edit);
                    match clerks.edit(&id, edit, "new", seen).await {
                        Ok(version) => {
                            merged += 1;
                            assert!(goes_ahead, "{edit:?} of {seen} after {history:?}");
                            assert_eq!(version, actual + 1);
                            let mut expected = before;
                            match edit {
                                Edit::Name => expected[0] = "new".to_owned(),
                                Edit::Address => expected[1] = "new".to_owned(),
                                Edit::Alias => expected[2] = format!("new {id}"),
                            }
                            assert_eq!(clerks.is(&id).await, expected, "the other edits stay");
                        }
                        Err(Error::Conflict { expected, actual: told, .. }) => {
                            conflicts += 1;
                            assert!(!goes_ahead, "{edit:?} of {seen} after {history:?}");
                            assert_eq!((expected, told.get()), (seen.into(), actual));
                            assert_eq!(clerks.is(&id).await, before, "nothing was stored");
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    }
    assert!(merged > 100 && conflicts > 100, "{merged} merged, {conflicts} conflicts");
}

/// All nine combinations at the same moment: the first lands, and the second lands if it edits another thing.
#[tokio::test]
async fn of_two_edits_at_the_same_moment_the_same_conflict_and_different_merge() {
    let clerks = Clerks::new().await;
    for round in 0..20 {
        for one in EDITS {
            for other in EDITS {
                let id = format!("{round}-{one:?}-{other:?}");
                clerks.register(&id).await;
                let both = tokio::join!(clerks.edit(&id, one, "one", 1u64), clerks.edit(&id, other, "other", 1u64));
                match one == other {
                    true => assert!(matches!(both, (Ok(2), Err(Error::Conflict { actual, .. })) if actual.get() == 2)),
                    false => assert_eq!(both, (Ok(2), Ok(3))),
                }
            }
        }
    }
}

/// The domain has the last word: merging is no acceptance.
#[tokio::test]
async fn merged_edit_may_still_be_rejected() {
    let clerks = Clerks::new().await;
    clerks.register("ada").await;
    clerks.edit("ada", Edit::Name, "Ada King", 1u64).await.unwrap();
    let blank = clerks.edit("ada", Edit::Address, " ", 1u64).await;
    assert!(matches!(blank, Err(Error::Rejected(HolderRejection::Blank { .. }))), "{blank:?}");
    let unseen = clerks.edit("nobody", Edit::Name, "Ada King", 1u64).await;
    assert!(matches!(unseen, Err(Error::Conflict { actual, .. }) if actual.get() == 0), "{unseen:?}");
}
