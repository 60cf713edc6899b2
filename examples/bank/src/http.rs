//! The JSON API: `bank serve`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /accounts/{id}` | `{"owner": "Ada"}` | 201 `{"id", "balance", "version"}` |
//! | `POST /accounts/{id}/deposit`, `…/withdraw` | `{"amount": "12.34"}` | 200 `{"id", "balance", "version"}` |
//! | `GET /accounts/{id}` | | 200 `{"id", "owner", "balance", "version"}` |
//! | `GET /accounts/{id}/history?after=0&limit=100` | | 200, a list of events |
//! | `GET /health` | | 200 or 503 |
//! | `POST /backups/{name}` | | 201 `{"path", "commit", "position", "streams"}` when the copy is whole and verified |
//!
//! Whoever may ask for a backup fills the disk: keep that path from clients that you do not trust.
//!
//! Amounts are decimal strings. `If-Match: "7"` makes a command conditional on the account's version, `X-Deadline-Ms: 500`
//! bounds how long it may take. What goes wrong is a [`Problem`].

mod backups;
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
use onefold::{Aggregates, Handle, Runtime, StreamVersion};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub use problem::Problem;
use request::{Body, Parameters, Terms};

use crate::domain::{Account, Deposit, Look, Open, Receipt, Withdraw};
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
    let (accounts, runtime) = (bank.accounts().clone(), Arc::clone(bank.runtime()));
    let backups = bank.backups().into();
    Router::new()
        .route("/accounts/{id}", get(show).post(open))
        .route("/accounts/{id}/deposit", post(deposit))
        .route("/accounts/{id}/withdraw", post(withdraw))
        .route("/accounts/{id}/history", get(history))
        .route("/health", get(health))
        .route("/backups/{name}", post(backups::make))
        .fallback(|| async { Problem::not_found("there is no such resource") })
        .with_state(App { accounts, runtime, backups })
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    accounts: Aggregates<Account>,
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
    fn of(id: String, Receipt { balance, version }: Receipt) -> Json<Self> {
        Json(Balance { id, owner: None, balance, version })
    }
}

async fn open(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Opening { owner }): Body<Opening>,
) -> Result<(StatusCode, Json<Balance>), Problem> {
    let receipt = app.ask(&id, Open { owner }, &terms).await?;
    Ok((StatusCode::CREATED, Balance::of(id, receipt)))
}

async fn deposit(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Amount { amount }): Body<Amount>,
) -> Result<Json<Balance>, Problem> {
    let receipt = app.ask(&id, Deposit { amount }, &terms).await?;
    Ok(Balance::of(id, receipt))
}

async fn withdraw(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Amount { amount }): Body<Amount>,
) -> Result<Json<Balance>, Problem> {
    let receipt = app.ask(&id, Withdraw { amount }, &terms).await?;
    Ok(Balance::of(id, receipt))
}

async fn show(State(app): State<App>, Path(id): Path<String>, terms: Terms) -> Result<Json<Balance>, Problem> {
    match app.ask(&id, Look, &terms).await? {
        Some(statement) => {
            let (balance, version) = (statement.balance, statement.version);
            Ok(Json(Balance { id, owner: Some(statement.owner), balance, version }))
        }
        None => Err(Problem::not_found(format!("account {id} is not open"))),
    }
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
    let events = app.accounts.events(&id, page.after).map_err(|error| Problem::of(&error.into(), false))?;
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

impl App {
    /// Asks an account, on the client's terms; an error becomes the answer.
    async fn ask<C>(&self, id: &str, command: C, terms: &Terms) -> Result<<Account as Handle<C>>::Reply, Problem>
    where
        Account: Handle<C>,
        C: Send + 'static,
    {
        let mut ask = self.accounts.ask(id, command);
        if let Some(version) = terms.if_match {
            ask = ask.expect_version(version);
        }
        if let Some(deadline) = terms.deadline {
            ask = ask.deadline(deadline);
        }
        ask.await.map_err(|error| Problem::of(&error, terms.if_match.is_some()))
    }
}
