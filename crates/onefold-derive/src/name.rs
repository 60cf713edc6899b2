//! The names of events as they stand on disk: which are allowed, and the default that a variant's identifier gives.

/// Bytes of an event's whole name at most: it is stored with every event.
const NAME_BYTES_MAX: usize = 128;

/// Checks an event's whole name, or the prefix of one.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".into());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("has {} bytes; at most {NAME_BYTES_MAX} are allowed", name.len()));
    }
    let allowed = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '_' | '-' | '.');
    match name.chars().find(|&character| !allowed(character)) {
        Some(refused) => Err(format!("contains {refused:?}; allowed are a-z, 0-9, `_`, `-` and `.`")),
        None => Ok(()),
    }
}

/// `MoneySent` → `money_sent`, `HTTPFailed` → `http_failed`, `Step2Done` → `step2_done`.
pub(crate) fn snake_case(identifier: &str) -> String {
    let characters: Vec<char> = identifier.chars().collect();
    let mut snake = String::with_capacity(identifier.len() + 4);
    for (at, &character) in characters.iter().enumerate() {
        if character.is_uppercase() && starts_word(&characters, at) {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// Whether the capital letter at `at` begins a new word: after a small letter or digit, or as the last capital of a row.
fn starts_word(characters: &[char], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| characters[before]) else { return false };
    let before_small = characters.get(at + 1).is_some_and(|after| after.is_lowercase());
    before != '_' && (!before.is_uppercase() || before_small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_snake_case() {
        for (identifier, snake) in [
            ("Deposited", "deposited"),
            ("MoneySent", "money_sent"),
            ("HTTPFailed", "http_failed"),
            ("Step2Done", "step2_done"),
            ("SentOverHTTP", "sent_over_http"),
            ("ABTested", "ab_tested"),
            ("Already_Split", "already_split"),
            ("A", "a"),
        ] {
            assert_eq!(snake_case(identifier), snake);
        }
    }

    #[test]
    fn names_are_short_and_of_plain_characters() {
        assert_eq!(check("account.money-sent_2"), Ok(()));
        assert_eq!(check(&"x".repeat(128)), Ok(()));
        for refused in ["", "Account", "account deposited", "konto.überwiesen", "a/b", &"x".repeat(129)] {
            assert!(check(refused).is_err(), "{refused:?}");
        }
    }
}
