//! onefold in an axum server.
//!
//! ```sh
//! cargo run --package onefold-tests --example embedding_axum
//! curl -d '{"delivery": 1, "pieces": 10}' -H 'content-type: application/json' localhost:7080/articles/shoes/receive
//! ```

mod warehouse;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use onefold::{Aggregates, Error, ErrorKind, Runtime};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use warehouse::{Article, Failure, OutOfStock, Receive, Take};

/// What the handlers share: handles, cheap to clone.
#[derive(Clone)]
struct App {
    articles: Aggregates<Article>,
    runtime: Arc<Runtime>,
}

/// How long open connections may take after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let stop = warehouse::stop_signal()?;
    let listener = TcpListener::bind("127.0.0.1:7080").await?;
    let runtime = Arc::new(warehouse::start("warehouse-axum-data").await?);
    let app = App { articles: runtime.aggregates()?, runtime: Arc::clone(&runtime) };

    // 1. At the signal: no new connections; requests under way are finished, those that are too slow are cut off.
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let stop = async move {
        stop.await;
        drop(stopping);
    };
    let overdue = async {
        let _signal = stopped.await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    let served = tokio::select! {
        served = axum::serve(listener, router(app)).with_graceful_shutdown(stop) => served,
        () = overdue => Ok(()),
    };
    // 2. Nobody asks any more: end the runtime, also when serving failed.
    warehouse::stop(&runtime).await?;
    Ok(served?)
}

fn router(app: App) -> Router {
    Router::new()
        .route("/articles/{id}", get(show))
        .route("/articles/{id}/receive", post(receive))
        .route("/articles/{id}/take", post(take))
        .route("/health", get(health))
        .with_state(app)
}

#[derive(Deserialize)]
struct Delivery {
    delivery: u64,
    pieces: u64,
}

#[derive(Deserialize)]
struct Order {
    pieces: u64,
}

#[derive(Serialize)]
struct Stock {
    in_stock: u64,
}

async fn receive(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(Delivery { delivery, pieces }): Json<Delivery>,
) -> Result<Json<Stock>, Problem> {
    let in_stock = app.articles.ask(id, Receive { delivery, pieces }).await?;
    Ok(Json(Stock { in_stock }))
}

async fn take(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(Order { pieces }): Json<Order>,
) -> Result<Json<Stock>, Problem> {
    let in_stock = app.articles.ask(id, Take { pieces }).await?;
    Ok(Json(Stock { in_stock }))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Stock>, Problem> {
    let in_stock = app.articles.read(id, Article::in_stock).await?;
    Ok(Json(Stock { in_stock }))
}

async fn health(State(app): State<App>) -> (StatusCode, String) {
    let health = app.runtime.health();
    let status = if health.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{health:?}\n"))
}

/// An error on its way to the client: one table, no decisions elsewhere.
struct Problem(Error<OutOfStock>);

impl From<Error<OutOfStock>> for Problem {
    fn from(error: Error<OutOfStock>) -> Self {
        Problem(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem(error) = self;
        let status = match error.kind() {
            ErrorKind::InvalidId => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Overloaded | ErrorKind::DiskLow | ErrorKind::NotStored | ErrorKind::Quarantined => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = (status, format!("{error}\n")).into_response();
        if error.is_retry_safe() {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
