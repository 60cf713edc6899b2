//! The ids of all aggregates, made before the clock starts: no operation formats one.

use std::fmt::Write;
use std::sync::Arc;

/// `a00000000`, `a00000001` …: text of one width in one allocation, shared by all clients.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    text: Arc<str>,
}

const WIDTH: usize = 9;

impl Ids {
    /// The ids of `aggregates` aggregates.
    pub(crate) fn new(aggregates: u32) -> Self {
        let mut text = String::with_capacity(aggregates as usize * WIDTH);
        for number in 0..aggregates {
            write!(text, "a{number:08}").expect("writing to a string");
        }
        Ids { text: text.into() }
    }

    /// The id of one aggregate.
    pub(crate) fn get(&self, aggregate: u32) -> &str {
        let start = aggregate as usize * WIDTH;
        &self.text[start..start + WIDTH]
    }

    /// The aggregate with that id.
    pub(crate) fn number(id: &str) -> Option<u32> {
        id.strip_prefix('a').filter(|digits| digits.len() == WIDTH - 1)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_number() {
        let ids = Ids::new(1_234);
        assert_eq!(ids.get(1_233), "a00001233");
        assert_eq!(Ids::number(ids.get(1_233)), Some(1_233));
        assert_eq!(Ids::number("b00000001"), None);
        assert_eq!(Ids::number("a1"), None);
    }
}
