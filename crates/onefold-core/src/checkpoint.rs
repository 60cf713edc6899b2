//! How far a reader of the whole journal got.

use crate::GlobalPosition;

/// How far a reader of the global feed got: opaque, to be stored and handed back.
///
/// Positions are per partition of a journal. The journals of today have exactly one; what a reader stores must survive
/// the day when there are several, hence no bare number.
///
/// ```
/// use onefold_core::Checkpoint;
/// let bytes = Checkpoint::START.to_bytes();
/// assert_eq!(Checkpoint::from_bytes(&bytes), Some(Checkpoint::START));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The last position seen, by partition; partitions beyond the end are at the start.
    positions: Vec<u64>,
}

impl Checkpoint {
    /// Before the first event.
    pub const START: Checkpoint = Checkpoint { positions: Vec::new() };

    /// After `position` of a journal with a single partition.
    pub fn after(position: GlobalPosition) -> Self {
        match position {
            GlobalPosition::START => Self::START,
            position => Checkpoint { positions: vec![position.get()] },
        }
    }

    /// The last position seen of a journal with a single partition.
    pub fn position(&self) -> GlobalPosition {
        GlobalPosition::new(self.positions.first().copied().unwrap_or(0))
    }

    /// The form to store: 8 bytes, big-endian, per partition.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.positions.iter().flat_map(|position| position.to_be_bytes()).collect()
    }

    /// Reads the stored form back; `None` when the bytes are not one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (positions, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| Checkpoint { positions: positions.iter().map(|b| u64::from_be_bytes(*b)).collect() })
    }
}
