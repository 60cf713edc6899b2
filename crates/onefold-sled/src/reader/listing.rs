//! Listing streams: the heads in sled, merged with those that it does not have yet.

use std::collections::BTreeSet;

use onefold_core::StreamId;
use onefold_core::journal::{ReadError, StreamPage};

use super::{Reader, damaged, storage};
use crate::keys;

/// One page, ordered by id.
pub(crate) fn page(reader: &Reader, page: &StreamPage) -> Result<Vec<StreamId>, ReadError> {
    if page.limit == 0 || StreamId::check_type(&page.aggregate_type).is_err() {
        return Ok(Vec::new());
    }
    // IMPORTANT: memory first: what leaves it is visible in sled.
    let mut streams = remembered(reader, page);
    let prefix = keys::head_prefix(&page.aggregate_type);
    let mut low = prefix.clone();
    low.extend(page.after.as_ref().map_or("", |id| id.as_str()).as_bytes());
    let mut high = prefix.clone();
    // Ids are text: no byte of them is 0xff.
    high.push(0xff);
    let mut stored = 0;
    for entry in reader.store.range(&low, &high) {
        let (key, _) = entry.map_err(storage)?;
        let id = std::str::from_utf8(&key[prefix.len()..]).ok();
        let stream = id.and_then(|id| StreamId::new(&page.aggregate_type, id).ok());
        let stream = stream.ok_or_else(|| damaged(None, 0, "the key of a head is not a stream's name"))?;
        if page.after.as_ref().is_some_and(|after| after.as_str() == stream.aggregate_id()) {
            continue;
        }
        streams.insert(stream);
        stored += 1;
        if stored >= page.limit {
            break;
        }
    }
    Ok(streams.into_iter().take(page.limit).collect())
}

/// The first streams of the page with durable events among the heads that sled may not have.
fn remembered(reader: &Reader, page: &StreamPage) -> BTreeSet<StreamId> {
    let durable_group = reader.shared.durable_group();
    let mut streams = BTreeSet::new();
    for head in reader.shared.heads.changed() {
        let stream = &head.stream;
        let wanted = stream.aggregate_type() == page.aggregate_type
            && page.after.as_ref().is_none_or(|after| stream.aggregate_id() > after.as_str())
            && (streams.len() < page.limit || streams.last().is_some_and(|last| stream < last));
        if wanted && head.state.lock().durable(durable_group).version > 0 {
            streams.insert(stream.clone());
            if streams.len() > page.limit {
                streams.pop_last();
            }
        }
    }
    streams
}
