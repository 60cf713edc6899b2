//! Names of streams and aggregates.

use onefold::{AggregateId, StreamId};

/// What is taken as a stream's name is displayed and read back as the same, and in parts as well.
pub(crate) fn stream_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = AggregateId::new(text) {
        assert_eq!(id.as_str(), text);
        let stream = StreamId::new("account", text).expect("a good id");
        assert_eq!((stream.aggregate_type(), stream.aggregate_id()), ("account", text));
        assert_eq!(stream.to_string().parse(), Ok(stream));
    }
    assert_eq!(AggregateId::check(text).is_ok(), AggregateId::new(text).is_ok());
    let Ok(stream) = text.parse::<StreamId>() else { return };
    assert_eq!(stream.to_string(), text);
    assert_eq!(StreamId::new(stream.aggregate_type(), stream.aggregate_id()), Ok(stream.clone()));
    assert!(!stream.aggregate_type().contains('/'));
    let other = StreamId::new(stream.aggregate_type(), "~").expect("a good id");
    assert_eq!(stream.cmp(&other), stream.aggregate_id().cmp("~"));
}
