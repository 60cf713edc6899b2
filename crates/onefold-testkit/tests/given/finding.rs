//! What no test has to ask for: mistakes that are found in any course.

use std::cell::RefCell;
use std::future::IntoFuture;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use futures_util::FutureExt;
use onefold_core::CodecId;
use onefold_testkit::Given;

use crate::odd::OddEvent::{Applied, Counted, Forgotten, Lossy, Rated, Seen, Stirred, Unreadable, Written};
use crate::odd::{self, ByHand, Emit, Hand, Odd, Panic};

thread_local! {
    /// The file in which this thread panicked last.
    static PANICKED_IN: RefCell<String> = RefCell::default();
}

/// Runs what must fail; returns the message. The place that is named with it is the test's, not the kit's.
pub(crate) async fn failure<T>(test: impl Future<Output = T>) -> String {
    static NOTE_THE_FILE: Once = Once::new();
    NOTE_THE_FILE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let file = info.location().map(|location| location.file().to_owned());
            PANICKED_IN.with(|place| *place.borrow_mut() = file.unwrap_or_default());
            print(info);
        }));
    });
    let Err(panic) = AssertUnwindSafe(test).catch_unwind().await else { panic!("it passed") };
    let file = PANICKED_IN.with(|place| place.borrow().clone());
    assert!(file.contains("tests/given/"), "the failure is placed in {file}");
    *panic.downcast::<String>().expect("a message")
}

/// The first line of what a test of these events says, given or decided on.
async fn found(events: Vec<odd::OddEvent>) -> String {
    let decided = failure(async {
        Given::<Odd>::nothing().compare_states().when(Emit(events.clone())).await.then_events(events.clone())
    });
    let decided = decided.await;
    let given = failure(async {
        Given::<Odd>::events(events.clone()).compare_states().when(Emit(vec![])).await.then_no_events()
    });
    let given = given.await;
    let first = |text: &str| text.lines().next().expect("a line").replace("the given events", "these events");
    assert_eq!(first(&decided), first(&given));
    first(&decided)
}

#[tokio::test]
async fn events_that_do_not_survive_are_found() {
    let rows = [
        (Lossy(odd::Lossy { number: 3 }), "an event comes back from its bytes as another one (Bincode)"),
        (Unreadable(odd::Unreadable(3)), "an event does not come back from its bytes (Bincode)"),
        (Rated(f64::NAN), "an event comes back from its bytes as another one (Bincode)"),
        (Rated(f64::INFINITY), "the events cannot be stored (Json)"),
        (Written("x".repeat(1 << 20)), "the events cannot be stored (Bincode)"),
        (Applied { words: "oh".to_owned() }, "`apply` of odd.applied panicked"),
        (Counted, "after these events the state that lived is not the state after a replay"),
    ];
    for (event, what) in rows {
        assert_eq!(found(vec![Seen, event]).await, format!("odd/odd-1: {what}"));
    }
}

/// The limit is one commit's: events that were given may exceed it.
#[tokio::test]
async fn more_events_than_a_commit_holds_are_found() {
    let many = vec![Seen; 1_025];
    let message = failure(async { Given::<Odd>::nothing().when(Emit(many.clone())).await.then_events(many) }).await;
    assert!(message.starts_with("odd/odd-1: the events cannot be stored (Bincode)\n"), "{message}");
    assert!(message.ends_with("the limit is 1024 (events_per_commit_max): split the command\n"), "{message}");
}

#[tokio::test]
async fn panics_of_handlers_and_replies_are_shown_as_such() {
    let rows = [
        (Panic::Handler, "`handle` panicked", "the handler has no idea"),
        (Panic::Reply, "the reply panicked", "no answer"),
    ];
    for (command, what, words) in rows {
        let message = failure(async { Given::<Odd>::nothing().when(command).await.then_no_events() }).await;
        assert!(message.starts_with(&format!("odd/odd-1: {what}\n")), "{message}");
        assert!(message.ends_with(&format!("\n{words}\n")), "{message}");
    }
}

/// Whatever is expected, also a rejection.
#[tokio::test]
async fn no_expectation_hides_a_failure() {
    let panics = || Given::<Odd>::nothing().when(Panic::Handler).into_future();
    let messages = [
        failure(async { panics().await.then_events([Seen]) }).await,
        failure(async { panics().await.then_no_events() }).await,
        failure(async { panics().await.then_rejected_where(|_| true) }).await,
    ];
    for message in messages {
        assert!(message.starts_with("odd/odd-1: `handle` panicked\n"), "{message}");
    }
}

#[tokio::test]
async fn states_that_do_not_survive_are_found() {
    let what = "odd/odd-1: the state comes back from its bytes as another one (Bincode)\n";
    let given = |event| Given::<Odd>::events([event]).round_trip_states();
    let message = failure(async { given(Forgotten).compare_states().when(Emit(vec![])).await.then_no_events() }).await;
    assert!(message.starts_with(what) && message.contains("\n-     forgotten: 1,\n+     forgotten: 0,\n"), "{message}");
    let message = failure(async { given(Stirred).when(Emit(vec![])).await.then_no_events() }).await;
    assert!(message.starts_with(what) && message.contains("`.compare_states()` shows where"), "{message}");
    // What is lost without a trace in the bytes shows in what is decided on it.
    let done = given(Forgotten).when(Emit(vec![])).await.then_no_events();
    assert_eq!(done.state().forgotten, 0);
}

#[tokio::test]
async fn states_are_compared_by_what_the_test_says() {
    let counted = || Given::<Odd>::events([Counted]);
    let by_view = counted().compare_states_by(|odd| format!("seen {}", odd.seen));
    let message = failure(async { by_view.when(Emit(vec![])).await.then_no_events() }).await;
    assert!(message.contains("\n- lived\n+ replayed\n\n- seen "), "{message}");
    counted().compare_states_by(|odd| format!("{}", odd.forgotten)).when(Emit(vec![])).await.then_no_events();
    counted().when(Emit(vec![])).await.then_no_events();
}

#[tokio::test]
async fn replies_and_rejections_that_do_not_survive_are_found() {
    let message =
        failure(async { Given::<Odd>::events([Seen]).when(Emit(vec![])).await.then_no_events().round_trip_reply() });
    let message = message.await;
    assert!(
        message.starts_with("odd/odd-1: the reply comes back from its bytes as another one (Bincode)\n"),
        "{message}"
    );
}

#[tokio::test]
async fn events_under_names_that_were_not_declared_are_found() {
    let rows = [
        (ByHand("hand.waved", 2), "\"hand.waved\" in revision 2 is not among the event's TYPES"),
        (ByHand("hand.shaken", 1), "\"hand.shaken\" in revision 1 is not among the event's TYPES"),
        (
            ByHand("Hand", 1),
            "\"Hand\" may not stand on disk: an event's name is 1 to 128 of a-z, 0-9, '_', '-' and '.'",
        ),
    ];
    for (event, what) in rows {
        let message = failure(async { Given::<Hand>::nothing().when(event.clone()).await.then_events([event]) }).await;
        assert!(message.starts_with(&format!("hand/hand-1: {what}\n")), "{message}");
    }
    let json = Given::<Hand>::nothing().codecs([CodecId::Json]);
    let message = failure(async { json.when(ByHand("hand.waved", 1)).await.then_no_events() }).await;
    assert!(
        message.starts_with("hand/hand-1: the events cannot be stored: they know none of the codecs\n"),
        "{message}"
    );
}

/// Mistakes of the test itself.
#[tokio::test]
async fn a_test_that_cannot_be_is_refused_by_name() {
    let message = failure(async { Given::<Odd>::events([Seen, Seen]).version(1_u64) }).await;
    assert_eq!(message, "after 2 events a stream cannot be at version 1");
    let message = failure(async { Given::<Odd>::nothing().id("") }).await;
    assert_eq!(message, "an aggregate id must not be empty");
}
