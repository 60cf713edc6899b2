//! Listing streams.

use onefold_core::journal::StreamPage;
use onefold_core::{AggregateId, StreamId};

use super::fixture::{Fixture, name};
use super::{How, Subject};

/// \[11] The streams of one type, ordered bytewise by id; types that begin alike are kept apart.
pub(super) async fn lists_by_type_in_order<S: Subject>(fixture: Fixture<S>) {
    for stream in ["a/2", "a-b/1", "a/10", "a.b/0", "a/1", "aa/1", "a/é", "a/Z", "a/a", "a0/1", "a_/1"] {
        fixture.fill(stream, 1).await;
    }
    assert_eq!(list(&fixture, "a", None, 100).await, ["1", "10", "2", "Z", "a", "é"]);
    assert_eq!(list(&fixture, "a-b", None, 100).await, ["1"]);
    assert_eq!(list(&fixture, "aa", None, 100).await, ["1"]);
    assert_eq!(list(&fixture, "b", None, 100).await, [""; 0]);
    assert_eq!(list(&fixture, "a-", None, 100).await, [""; 0]);
}

/// \[11] Pages of any size put together are the list; a page begins after an id that need not exist.
pub(super) async fn lists_in_pages<S: Subject>(fixture: Fixture<S>) {
    let ids: Vec<String> = (0..57).map(|index| format!("{index:03}")).collect();
    for id in ids.iter().rev() {
        fixture.fill(id, 1).await;
    }
    fixture.fill("zzz/after", 1).await;
    fixture.fill("aaa/before", 1).await;
    for limit in [1, 2, 7, 56, 57, 58] {
        let (mut listed, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let page = list(&fixture, "test", after.as_deref(), limit).await;
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            listed.extend(page);
        }
        assert_eq!(listed, ids, "pages of {limit}");
    }
    assert_eq!(list(&fixture, "test", Some("0105"), 2).await, ["011", "012"]);
    assert_eq!(list(&fixture, "test", Some("056"), 2).await, [""; 0]);
    assert_eq!(list(&fixture, "test", None, 0).await, [""; 0]);
}

/// \[7, 12] A stream that was only opened, read, or had barriers and failures, is not listed.
pub(super) async fn lists_only_streams_with_events<S: Subject>(fixture: Fixture<S>) {
    let _ = fixture.session("opened").await;
    let _ = fixture.events("read").await;
    assert!(fixture.append(&fixture.session("barrier").await, 0, 0).await.is_ok());
    assert!(fixture.append(&fixture.session("failed").await, 1, 1).await.is_err());
    assert_eq!(list(&fixture, "test", None, 10).await, [""; 0]);
    fixture.fill("written", 1).await;
    assert_eq!(list(&fixture, "test", None, 10).await, ["written"]);
}

/// \[11] Slashes, blanks, other scripts, the longest and the shortest names: each is a stream of its own, also after a
/// restart.
pub(super) async fn names_of_every_kind_are_kept_apart<S: Subject>(fixture: Fixture<S>) {
    let longest_type = "x".repeat(64);
    let ids = [
        "1",
        " ",
        "/",
        "a/b",
        "a//b",
        "/a",
        "a/",
        "\u{e4}",
        "a\u{308}",
        "日本/銀行",
        "🏦",
        "a b",
        "%2F",
        ".",
        "..",
        "\u{ffff}",
    ];
    let mut streams: Vec<StreamId> = ids.iter().map(|id| StreamId::new("test", id).expect("a valid id")).collect();
    for id in ["y".repeat(255), "é".repeat(127), "y".repeat(254)] {
        streams.push(StreamId::new("test", &id).expect("a valid id"));
        streams.push(StreamId::new(&longest_type, &id).expect("a valid id"));
    }
    streams.sort();
    let mut fixture = fixture;
    for (index, stream) in streams.iter().enumerate() {
        fixture.fill(stream.as_str(), index as u64 + 1).await;
    }
    for how in [How::CleanClose, How::Kill] {
        for (index, stream) in streams.iter().enumerate() {
            assert_eq!(fixture.events(stream.as_str()).await.len(), index + 1, "{stream}");
            assert_eq!(fixture.head(stream.as_str()).await, index as u64 + 1, "{stream}");
        }
        for aggregate_type in ["test", &longest_type] {
            let of_type = streams.iter().filter(|stream| stream.aggregate_type() == aggregate_type);
            let ids: Vec<_> = of_type.map(StreamId::aggregate_id).collect();
            assert_eq!(list(&fixture, aggregate_type, None, 100).await, ids);
        }
        fixture = fixture.reopen(how).await;
    }
    assert_eq!(fixture.head(name("🏦").as_str()).await, fixture.events("🏦").await.len() as u64);
}

async fn list<S: Subject>(
    fixture: &Fixture<S>,
    aggregate_type: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let after = after.map(|id| AggregateId::new(id).expect("a valid id"));
    let page = StreamPage { aggregate_type: aggregate_type.to_owned(), after, limit };
    let listed = fixture.journal().streams(page).await.expect("a healthy journal lists its streams");
    let ids = listed.iter().map(|stream| {
        assert_eq!(stream.aggregate_type(), aggregate_type);
        stream.aggregate_id().to_owned()
    });
    ids.collect()
}
