//! Account holders over HTTP: edited by several clerks at once, so an edit must say which version it was made on.
//!
//! A form that is filled in from one version and sent on top of another silently takes back what came in between. So the
//! edits of a holder demand `If-Match` and answer 428 without it, with the version; `If-Match: *` says that the clerk means to
//! overwrite.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use onefold::{Merge, Receipt};
use serde::{Deserialize, Serialize};

use super::precondition::{Tagged, require_precondition};
use super::request::{Body, Terms};
use super::{App, Problem, answered};
use crate::alias;
use crate::domain::{ChangeAddress, ChangeName, ChooseAlias, Holder, LookAtHolder, RegisterHolder};

/// The routes of the holders.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/holders/{id}", get(show).post(register))
        .route("/holders/{id}/name", put(change_name))
        .route("/holders/{id}/address", put(change_address))
        .route("/holders/{id}/alias", put(choose_alias))
        .route("/aliases/{alias}", get(look_up))
}

#[derive(Deserialize)]
struct Registration {
    name: String,
    address: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Address {
    address: String,
}

#[derive(Deserialize)]
struct Alias {
    alias: String,
}

#[derive(Serialize)]
struct LookedUp {
    alias: String,
    holder: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    version: u64,
}

type Answer = Result<Tagged<Shown>, Problem>;

fn shown(status: StatusCode, id: String, receipt: Receipt<Holder>) -> Tagged<Shown> {
    let holder = &receipt.reply;
    let (name, address) = (holder.name().to_owned(), holder.address().to_owned());
    let alias = holder.alias().map(str::to_owned);
    Tagged(status, receipt.version, Shown { id, name, address, alias, version: receipt.version.get() })
}

async fn register(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Registration { name, address }): Body<Registration>,
) -> Answer {
    let ask = app.holders.ask(&id, RegisterHolder { name, address });
    let receipt = answered(&app.holders, &id, ask, &terms).await?;
    Ok(shown(StatusCode::CREATED, id, receipt))
}

async fn change_name(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Name { name }): Body<Name>,
) -> Answer {
    change(&app, id, ChangeName { name }, &terms).await
}

async fn change_address(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Address { address }): Body<Address>,
) -> Answer {
    change(&app, id, ChangeAddress { address }, &terms).await
}

async fn choose_alias(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(Alias { alias }): Body<Alias>,
) -> Answer {
    change(&app, id, ChooseAlias { alias }, &terms).await
}

async fn look_up(State(app): State<App>, Path(alias): Path<String>) -> Result<Json<LookedUp>, Problem> {
    match alias::holder_of(&app.runtime, &alias).await {
        Ok(Some(holder)) => Ok(Json(LookedUp { alias, holder: holder.to_string() })),
        Ok(None) => Err(Problem::not_found(format!("{alias} is nobody's alias"))),
        Err(error) => Err(Problem::unclaimable(&error)),
    }
}

/// An edit, on a version that must be named. It goes ahead on a newer one if what came in between has nothing to do with it.
async fn change<C>(app: &App, id: String, edit: C, terms: &Terms) -> Answer
where
    Holder: Merge<C, Reply = Holder>,
    C: Send + 'static,
{
    require_precondition(&app.holders, &id, terms).await?;
    let receipt = answered(&app.holders, &id, app.holders.ask(&id, edit).or_merge(), terms).await?;
    Ok(shown(StatusCode::OK, id, receipt))
}

async fn show(State(app): State<App>, Path(id): Path<String>, terms: Terms) -> Answer {
    let look = app.holders.ask(&id, LookAtHolder);
    let receipt = answered(&app.holders, &id, look, &terms).await?;
    match receipt.version.get() {
        0 => Err(Problem::not_found(format!("holder {id} is not registered"))),
        _ => Ok(shown(StatusCode::OK, id, receipt).unless_known(&terms)),
    }
}
