//! What the clients were told, per aggregate: the record that the journal is compared with at the end.

use crate::counter::Counter;
use crate::entry::Entry;

/// One aggregate's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Events that were acknowledged.
    pub(crate) acknowledged: u32,
    /// Commands whose outcome is unknown: stored or not.
    pub(crate) unknown: u32,
    /// The sum of the digests of the acknowledged events.
    pub(crate) digest: u64,
}

/// All accounts, by the aggregate's number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    accounts: Vec<Account>,
}

impl Ledger {
    /// Of so many aggregates.
    pub(crate) fn new(aggregates: u32) -> Self {
        Ledger { accounts: vec![Account::default(); aggregates as usize] }
    }

    /// An event was acknowledged.
    pub(crate) fn acknowledged(&mut self, aggregate: u32, sequence: u64, nonce: u64) {
        let account = &mut self.accounts[aggregate as usize];
        account.acknowledged += 1;
        account.digest = account.digest.wrapping_add(Entry::digest(sequence, nonce));
    }

    /// A stream was written before anything was measured.
    pub(crate) fn written(&mut self, aggregate: u32, state: &Counter) {
        let account = &mut self.accounts[aggregate as usize];
        account.acknowledged += u32::try_from(state.count).unwrap_or(u32::MAX);
        account.digest = account.digest.wrapping_add(state.digest);
    }

    /// Nobody can tell whether an event was stored.
    pub(crate) fn unknown(&mut self, aggregate: u32) {
        self.accounts[aggregate as usize].unknown += 1;
    }

    /// Adds another ledger of the same aggregates.
    pub(crate) fn add(&mut self, other: &Ledger) {
        for (account, other) in self.accounts.iter_mut().zip(&other.accounts) {
            account.acknowledged += other.acknowledged;
            account.unknown += other.unknown;
            account.digest = account.digest.wrapping_add(other.digest);
        }
    }

    /// The accounts, in the order of the aggregates' numbers.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }
}
