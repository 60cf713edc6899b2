//! Amounts of money: whole cents, read and written as decimals such as `12.34`. No floating point anywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money, zero or more, in cents.
///
/// ```
/// use onefold_bank::Money;
/// let lunch: Money = "12.34".parse()?;
/// assert_eq!(lunch, Money::from_cents(1234));
/// assert_eq!(lunch.to_string(), "12.34");
/// # Ok::<_, onefold_bank::ParseMoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    cents: u64,
}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money { cents: 0 };

    /// The most that an account can hold.
    pub const MAX: Money = Money { cents: u64::MAX };

    /// So many cents.
    pub const fn from_cents(cents: u64) -> Self {
        Money { cents }
    }

    /// So many whole units of 100 cents.
    pub const fn from_units(units: u32) -> Self {
        // Widening, and a product that cannot overflow; `u64::from` is not const.
        Money { cents: units as u64 * 100 }
    }

    /// The amount in cents.
    pub const fn cents(self) -> u64 {
        self.cents
    }

    /// The sum, unless it is more than [`Money::MAX`].
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.cents.checked_add(other.cents).map(Money::from_cents)
    }

    /// The difference, unless it is less than nothing.
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.cents.checked_sub(other.cents).map(Money::from_cents)
    }
}

/// `12.34`; honours width and alignment.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.cents / 100, self.cents % 100))
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let shown = || text.chars().take(40).collect::<String>();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (units, fraction) = text.split_once('.').unwrap_or((text, "00"));
        if units.strip_prefix('-').is_some_and(digits) {
            return Err(ParseMoneyError::Negative { text: shown() });
        }
        if !digits(units) || !digits(fraction) {
            return Err(ParseMoneyError::NotADecimal { text: shown() });
        }
        if fraction.len() > 2 {
            return Err(ParseMoneyError::FinerThanCents { text: shown() });
        }
        // One or two digits, so this is below 100: "5" after the point means 50 cents.
        let fraction_cents =
            fraction.bytes().chain([b'0']).take(2).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let cents = units.parse().ok().and_then(|units: u64| units.checked_mul(100)?.checked_add(fraction_cents));
        cents.map(Money::from_cents).ok_or_else(|| ParseMoneyError::TooLarge { text: shown() })
    }
}

/// A text that is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMoneyError {
    /// Something else than digits and one point.
    #[error("{text:?} is not an amount: write it as a decimal, such as 12.34")]
    NotADecimal {
        /// Its first 40 characters.
        text: String,
    },
    /// A minus sign.
    #[error("{text:?} is negative: amounts are zero or more")]
    Negative {
        /// Its first 40 characters.
        text: String,
    },
    /// More than two decimals.
    #[error("{text:?} has fractions of a cent: at most two decimals, such as 12.34")]
    FinerThanCents {
        /// Its first 40 characters.
        text: String,
    },
    /// Beyond [`Money::MAX`].
    #[error("{text:?} is too large: the largest amount is {}", Money::MAX)]
    TooLarge {
        /// Its first 40 characters.
        text: String,
    },
}

/// In formats for people (JSON) the decimal `"12.34"`, in binary ones the number of cents.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_u64(self.cents),
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom),
            false => u64::deserialize(deserializer).map(Money::from_cents),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_cents() {
        let rows = [
            ("0", 0),
            ("0.00", 0),
            ("0.05", 5),
            ("0.5", 50),
            ("12", 1_200),
            ("12.3", 1_230),
            ("12.34", 1_234),
            ("007.10", 710),
            ("184467440737095516.15", u64::MAX),
        ];
        for (text, cents) in rows {
            assert_eq!(text.parse(), Ok(Money::from_cents(cents)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        let not_decimals =
            ["", ".", ".5", "5.", "1.2.3", "1,50", "1e3", " 1", "1 ", "+1", "€5", "٣", "1.-5", "--1", "-x"];
        for text in not_decimals {
            assert_eq!(text.parse::<Money>(), Err(ParseMoneyError::NotADecimal { text: text.into() }), "{text:?}");
        }
        assert!(matches!("-1.00".parse::<Money>(), Err(ParseMoneyError::Negative { .. })));
        assert!(matches!("1.234".parse::<Money>(), Err(ParseMoneyError::FinerThanCents { .. })));
        for text in ["184467440737095516.16", "184467440737095517", "99999999999999999999999"] {
            assert!(matches!(text.parse::<Money>(), Err(ParseMoneyError::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for cents in [0, 1, 9, 10, 99, 100, 101, 123_456, u64::MAX] {
            let money = Money::from_cents(cents);
            assert_eq!(money.to_string().parse(), Ok(money));
            assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
        }
        assert_eq!(format!("{:>8}", Money::from_cents(1_234)), "   12.34");
    }

    #[test]
    fn json_numbers_are_refused() {
        assert!(serde_json::from_str::<Money>("12.34").is_err());
    }
}
