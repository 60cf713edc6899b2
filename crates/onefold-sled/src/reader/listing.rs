//! Listing streams and claims: what sled has, merged with what it does not have yet.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use onefold_core::journal::{ClaimPage, ReadError, StreamPage};
use onefold_core::{ClaimName, Holder, StreamId};

use super::{Reader, damaged, damaged_claim, storage};
use crate::derived;
use crate::keys;

/// One page of streams, ordered by id: those with events.
pub(crate) fn page(reader: &Reader, page: &StreamPage) -> Result<Vec<StreamId>, ReadError> {
    if page.limit == 0 || StreamId::check_type(&page.aggregate_type).is_err() {
        return Ok(Vec::new());
    }
    // IMPORTANT: memory first: what leaves it is visible in sled.
    let mut streams = remembered(reader, page);
    let prefix = keys::prefix(keys::HEAD, &page.aggregate_type);
    let mut low = prefix.clone();
    low.extend(page.after.as_ref().map_or("", |id| id.as_str()).as_bytes());
    let mut high = prefix.clone();
    // Ids are text: no byte of them is 0xff.
    high.push(0xff);
    let mut stored = 0;
    for entry in reader.store.range(&low, &high) {
        let (key, value) = entry.map_err(storage)?;
        let id = std::str::from_utf8(&key[prefix.len()..]).ok();
        let stream = id.and_then(|id| StreamId::new(&page.aggregate_type, id).ok());
        let stream = stream.ok_or_else(|| damaged(None, 0, "the key of a head is not a stream's name"))?;
        // A damaged head is told to whoever reads the stream: that it is there is all that is wanted here.
        let has_events = derived::decode_head(&key, &value).is_none_or(|place| place.version > 0);
        if !has_events || page.after.as_ref().is_some_and(|after| after.as_str() == stream.aggregate_id()) {
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
        let stream = &head.key;
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

/// One page of claims, ordered by value: those that somebody holds.
pub(crate) fn claims(reader: &Reader, page: &ClaimPage) -> Result<Vec<(ClaimName, Holder)>, ReadError> {
    if page.limit == 0 || StreamId::check_type(&page.namespace).is_err() {
        return Ok(Vec::new());
    }
    // IMPORTANT: memory first: what leaves it is visible in sled.
    let mut remembered = remembered_claims(reader, page).into_iter().peekable();
    let prefix = keys::prefix(keys::CLAIM, &page.namespace);
    let mut low = prefix.clone();
    low.extend(page.after.as_deref().unwrap_or_default().as_bytes());
    let mut high = prefix;
    // Values are text: no byte of them is 0xff.
    high.push(0xff);
    let mut listed = Vec::new();
    let mut held = |name: ClaimName, holder: Option<Holder>| {
        listed.extend(holder.map(|holder| (name, holder)));
        listed.len() >= page.limit
    };
    for entry in reader.store.range(&low, &high) {
        let (key, value) = entry.map_err(storage)?;
        let name = keys::parse_claim(&key).ok_or_else(|| damaged(None, 0, "the key of a claim is not its name"))?;
        if page.after.as_ref().is_some_and(|after| after == name.value()) {
            continue;
        }
        while let Some((name, holder)) = remembered.next_if(|(earlier, _)| *earlier < name) {
            if held(name, holder) {
                return Ok(listed);
            }
        }
        let holder = match remembered.next_if(|(same, _)| *same == name) {
            Some((_, holder)) => holder,
            None => {
                let stored = derived::decode_claim(&key, &value);
                Some(stored.ok_or_else(|| damaged_claim(&name, "its entry does not match its checksum"))?)
            }
        };
        if held(name, holder) {
            return Ok(listed);
        }
    }
    for (name, holder) in remembered {
        if held(name, holder) {
            break;
        }
    }
    Ok(listed)
}

/// The first claims of the page that sled may not have as they are, with their durable holders: there may be none, where sled
/// still has one. Those behind as many held ones as the page may have are left out.
fn remembered_claims(reader: &Reader, page: &ClaimPage) -> BTreeMap<ClaimName, Option<Holder>> {
    let durable_group = reader.shared.durable_group();
    let mut claims = BTreeMap::new();
    let mut held = 0;
    for claim in reader.shared.claims.changed() {
        let name = &claim.key;
        let wanted = name.namespace() == page.namespace
            && page.after.as_ref().is_none_or(|after| name.value() > after.as_str())
            && (held < page.limit || claims.last_key_value().is_some_and(|(last, _)| name < last));
        if !wanted {
            continue;
        }
        // One can be among the changed twice.
        let Entry::Vacant(place) = claims.entry(name.clone()) else { continue };
        let holder = place.insert(claim.state.lock().durable(durable_group).holder.clone());
        held += usize::from(holder.is_some());
        while held > page.limit {
            held -= claims.pop_last().map_or(0, |(_, holder)| usize::from(holder.is_some()));
        }
    }
    claims
}
