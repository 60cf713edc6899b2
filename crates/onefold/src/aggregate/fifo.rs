//! A queue that holds a single item without memory of its own: most aggregates have one call waiting, if any.

use std::collections::VecDeque;

/// What grew in a rush is given back beyond this.
const KEPT: usize = 16;

/// First in, first out.
pub(crate) struct Fifo<T> {
    /// The oldest item, unless `rest` was begun while this was taken.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Fifo { first: None, rest: VecDeque::new() }
    }
}

impl<T> Fifo<T> {
    pub(crate) fn push(&mut self, item: T) {
        match self.is_empty() {
            true => self.first = Some(item),
            false => self.rest.push_back(item),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Takes out whatever `out` is true for; the others keep their order.
    pub(crate) fn take_out(&mut self, out: impl Fn(&T) -> bool) -> Vec<T> {
        let items = std::mem::take(self);
        let (taken, kept): (Vec<T>, Vec<T>) = items.first.into_iter().chain(items.rest).partition(out);
        *self = Fifo { first: None, rest: kept.into() };
        taken
    }

    /// Gives memory back that a rush took.
    pub(crate) fn shrink(&mut self) {
        if self.rest.capacity() > KEPT {
            self.rest.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_however_they_interleave() {
        let mut fifo = Fifo::default();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..1_000u32 {
            for _ in 0..round % 5 {
                fifo.push(pushed);
                pushed += 1;
            }
            for _ in 0..round % 4 {
                if let Some(item) = fifo.pop() {
                    assert_eq!(item, popped);
                    popped += 1;
                }
            }
            assert_eq!(fifo.is_empty(), pushed == popped);
            fifo.shrink();
        }
        assert!(popped > 1_000);
    }

    #[test]
    fn those_that_stay_keep_their_order() {
        let mut fifo = Fifo::default();
        (0..10).for_each(|item| fifo.push(item));
        assert_eq!(fifo.take_out(|item| item % 3 == 0), [0, 3, 6, 9]);
        fifo.push(10);
        assert_eq!(fifo.len(), 7);
        assert!(std::iter::from_fn(|| fifo.pop()).eq([1, 2, 4, 5, 7, 8, 10]));
        assert!(fifo.take_out(|_| true).is_empty() && fifo.is_empty());
    }
}
