//! An account's history, as the command line and the JSON API show it.

use onefold::{RecordedEvent, Timestamp};
use serde::Serialize;

use crate::Money;
use crate::domain::AccountEvent;
use crate::transfer::TRANSFER;

/// One line of an account's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The event's number in the account's stream.
    pub version: u64,
    /// When the command was admitted, such as `2025-01-31T12:00:00Z`.
    pub time: String,
    /// What happened: `opened`, `deposited` or `withdrawn`.
    pub event: &'static str,
    /// How much money moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Who opened the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The transfer that it belongs to: from whom to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// What this belongs to; equal in both accounts of a transfer.
    pub correlation: String,
}

impl From<RecordedEvent<AccountEvent>> for Entry {
    fn from(recorded: RecordedEvent<AccountEvent>) -> Self {
        let (event, amount, owner) = match recorded.event {
            AccountEvent::Opened { owner } => ("opened", None, Some(owner)),
            AccountEvent::Deposited { amount } => ("deposited", Some(amount), None),
            AccountEvent::Withdrawn { amount } => ("withdrawn", Some(amount), None),
        };
        Entry {
            version: recorded.version.get(),
            time: utc(recorded.metadata.timestamp),
            event,
            amount,
            owner,
            transfer: recorded.metadata.entries.get(TRANSFER).map(str::to_owned),
            correlation: recorded.metadata.correlation_id.to_string(),
        }
    }
}

/// A time of day to the second, in UTC, in the form of RFC 3339.
///
/// The calendar is Howard Hinnant's `civil_from_days` (<https://howardhinnant.github.io/date_algorithms.html>): years
/// begin in March, so that the leap day is the last; an era is 400 years.
fn utc(timestamp: Timestamp) -> String {
    let seconds = timestamp.as_micros() / 1_000_000;
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in rows {
            assert_eq!(utc(Timestamp::from_micros(seconds * 1_000_000)), text);
        }
    }
}
