//! The JSON API: `bank serve`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /holders/{id}` | `{"name": "Ada", "address": "St James's Square"}` | 201 `{"id", "name", "address", "version"}` |
//! | `GET /holders/{id}` | | 200 `{"id", "name", "address", "alias", "version"}` |
//! | `PUT /holders/{id}/name`, `…/address` | `{"name": "Ada King"}`, `{"address": "…"}` | 200, the same; 428 without `If-Match`, with the version |
//! | `PUT /holders/{id}/alias` | `{"alias": "countess"}` | 200, the same; 428 as above; 422 when another holder has it |
//! | `GET /aliases/{alias}` | | 200 `{"alias", "holder"}` |
//! | `POST /accounts/{id}` | `{"owner": "Ada"}` | 201 `{"id", "balance", "version"}` |
//! | `POST /accounts/{id}/deposit`, `…/withdraw` | `{"amount": "12.34"}` | 200 `{"id", "balance", "version"}` |
//! | `POST /accounts/{id}/entries` | `[{"deposit": "12.34"}, {"withdraw": "5.00"}]` | 200 `{"id", "entries": [{"balance", "version"}, …]}`, all or none |
//! | `GET /accounts/{id}` | | 200 `{"id", "owner", "balance", "version"}` |
//! | `GET /accounts/{id}/history?after=0&limit=100` | | 200, a list of events |
//! | `GET /health` | | 200 or 503 |
//! | `POST /backups/{name}` | | 201 `{"path", "commit", "position", "streams"}` when the copy is whole and verified |
//!
//! Whoever may ask for a backup fills the disk: keep that path from clients that you do not trust.
//!
//! Amounts are decimal strings. `X-Deadline-Ms: 500` bounds how long something may take. What goes wrong is a [`Problem`].
//!
//! Whatever tells a version has it as `ETag`, too: `"7"`. `If-Match: "7"` makes a command conditional on it, `If-Match: *` on
//! there being such an account, `If-None-Match: *` on there being none: otherwise 412, with the actual version. A `GET` with
//! the `If-None-Match` that it has already is answered 304.
//!
//! `Idempotency-Key: order-17` makes a request one that may be sent again: under the same key it has no second effect, and is
//! answered as it was. `…/deposit`, `…/withdraw` and `…/entries` take it; the other routes need none, because what they say
//! twice is refused, or changes nothing. Another request under a key that was used is answered 422.

mod backups;
mod entries;
mod holders;
mod precondition;
mod problem;
mod request;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use onefold::{Aggregates, Ask, Handle, Runtime, StreamVersion};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use precondition::{Precondition, Tagged, require_existing};
pub use problem::Problem;
use request::{Body, Parameters, Terms};

use crate::domain::{Account, AccountRejection, Deposit, Holder, Look, Open, Receipt, Withdraw};
use crate::history::Entry;
use crate::{Bank, Money};

/// How many events one answer holds: by default, and at most.
const HISTORY_LIMIT: usize = 100;
const HISTORY_LIMIT_MAX: usize = 1_000;

/// How long open connections may take to finish after the signal to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Serves until `stop` resolves, finishes the requests under way, and closes the bank.
///
/// # Errors
///
/// When the listener fails, or the bank does not close cleanly.
pub async fn serve(
    bank: Bank,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let stop = stop.shared();
    let server = axum::serve(listener, router(&bank)).with_graceful_shutdown(stop.clone());
    let overdue = async {
        stop.await;
        tokio::time::sleep(DRAIN_DEADLINE).await;
    };
    let served = tokio::select! {
        served = server => served,
        () = overdue => {
            tracing::warn!("some connections were still open {DRAIN_DEADLINE:?} after the signal to stop");
            Ok(())
        }
    };
    bank.close().await?;
    Ok(served?)
}

/// The routes; embed them in a larger application as you like.
pub fn router(bank: &Bank) -> Router {
    let (accounts, holders, runtime) = (bank.accounts().clone(), bank.holders().clone(), Arc::clone(bank.runtime()));
    let backups = bank.backups().into();
    Router::new()
        .route("/accounts/{id}", get(show).post(open))
        .route("/accounts/{id}/deposit", post(deposit))
        .route("/accounts/{id}/withdraw", post(withdraw))
        .route("/accounts/{id}/entries", post(entries::add))
        .route("/accounts/{id}/history", get(history))
        .merge(holders::routes())
        .route("/health", get(health))
        .route("/backups/{name}", post(backups::make))
        .fallback(|| async { Problem::not_found("there is no such resource") })
        .with_state(App { accounts, holders, runtime, backups })
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    accounts: Aggregates<Account>,
    holders: Aggregates<Holder>,
    runtime: Arc<Runtime>,
    /// Where backups go.
    backups: Arc<std::path::Path>,
}

#[derive(Deserialize)]
struct Opening {
    owner: String,
}

#[derive(Deserialize)]
struct Amount {
    amount: Money,
}

#[derive(Serialize)]
struct Balance {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    balance: Money,
    version: StreamVersion,
}

impl Balance {
    fn of(status: StatusCode, id: String, Receipt { balance, version }: Receipt) -> Tagged<Self> {
        Tagged(status, version, Balance { id, owner: None, balance, version })
    }
}

async fn open(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Opening { owner }): Body<Opening>,
) -> Result<Tagged<Balance>, Problem> {
    let answer = answered(&app.accounts, &id, app.accounts.ask(&id, Open { owner }), &terms).await?;
    Ok(Balance::of(StatusCode::CREATED, id, answer.reply))
}

async fn deposit(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Amount { amount }): Body<Amount>,
) -> Result<Tagged<Balance>, Problem> {
    let answer = answered(&app.accounts, &id, keyed(app.accounts.ask(&id, Deposit { amount }), &terms), &terms).await?;
    Ok(Balance::of(StatusCode::OK, id, answer.reply))
}

async fn withdraw(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Amount { amount }): Body<Amount>,
) -> Result<Tagged<Balance>, Problem> {
    let answer =
        answered(&app.accounts, &id, keyed(app.accounts.ask(&id, Withdraw { amount }), &terms), &terms).await?;
    Ok(Balance::of(StatusCode::OK, id, answer.reply))
}

async fn show(State(app): State<App>, Path(id): Path<String>, terms: Terms) -> Result<Tagged<Balance>, Problem> {
    let answer = answered(&app.accounts, &id, app.accounts.ask(&id, Look), &terms).await?;
    let Some(statement) = answer.reply else {
        return Err(Problem::not_found(format!("account {id} is not open")));
    };
    let (balance, version) = (statement.balance, answer.version);
    let shown = Balance { id, owner: Some(statement.owner), balance, version };
    Ok(Tagged(StatusCode::OK, version, shown).unless_known(&terms))
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
}

async fn history(
    State(app): State<App>,
    Path(id): Path<String>,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let limit = page.limit.unwrap_or(HISTORY_LIMIT).min(HISTORY_LIMIT_MAX);
    let events =
        app.accounts.events(&id, page.after).map_err(|error| Problem::of::<AccountRejection>(&error.into(), false))?;
    let entries = events.take(limit).map_ok(Entry::from).try_collect::<Vec<_>>().await;
    let entries = entries.map_err(|error| Problem::unreadable(&error))?;
    match entries.is_empty() && page.after == 0 && limit > 0 {
        true => Err(Problem::not_found(format!("account {id} is not open"))),
        false => Ok(Json(entries)),
    }
}

async fn health(State(app): State<App>) -> (StatusCode, String) {
    let health = app.runtime.health();
    let status = if health.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{health:?}\n"))
}

/// Gives a command the client's idempotency key, if it sent one.
fn keyed<A, C>(ask: Ask<A, C>, terms: &Terms) -> Ask<A, C>
where
    A: Handle<C>,
    C: Serialize + Send + 'static,
    A::Reply: Serialize + DeserializeOwned,
{
    match &terms.key {
        Some(key) => ask.idempotency_key(key),
        None => ask,
    }
}

/// Asks on the client's terms; an error becomes the answer. The receipt tells the version for the `ETag`.
async fn answered<A, C>(
    aggregates: &Aggregates<A>,
    id: &str,
    mut ask: Ask<A, C>,
    terms: &Terms,
) -> Result<onefold::Receipt<A::Reply>, Problem>
where
    A: Handle<C>,
    C: Send + 'static,
{
    match terms.precondition {
        Precondition::Nothing => {}
        Precondition::Expected(expected) => ask = ask.expect_version(expected),
        // What exists never ceases to: looking first is as good as looking in the same breath.
        Precondition::Exists => require_existing(aggregates, id, terms).await?,
    }
    if let Some(deadline) = terms.deadline {
        ask = ask.deadline(deadline);
    }
    let conditional = terms.precondition != Precondition::Nothing;
    ask.with_receipt().await.map_err(|error| Problem::of(&error, conditional))
}
