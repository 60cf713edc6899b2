//! Backups of the served bank: a copy of its journal, made while it goes on.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use onefold::BackupError;
use onefold::admin::AdminError;
use serde::Serialize;

use super::{App, Problem};

/// What a backup holds.
#[derive(Serialize)]
pub(super) struct Backup {
    path: PathBuf,
    commit: u64,
    position: u64,
    streams: u64,
}

/// Makes a backup of that name. It is finished when this is answered; a client that leaves does not stop it.
pub(super) async fn make(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Backup>), Problem> {
    if !is_name(&name) {
        let rule = "a backup's name is 1 to 64 of a-z, A-Z, 0-9, '_' and '-'";
        return Err(Problem::bad_request(StatusCode::BAD_REQUEST, rule));
    }
    std::fs::create_dir_all(&app.backups).map_err(|error| Problem::no_backup(error.to_string()))?;
    match app.runtime.backup(app.backups.join(name)).await {
        Ok(made) => {
            let (commit, position) = (made.commit.get(), made.position.get());
            Ok((StatusCode::CREATED, Json(Backup { path: made.path, commit, position, streams: made.streams })))
        }
        Err(BackupError::Failed(error @ AdminError::TargetExists { .. })) => Err(Problem::exists(error.to_string())),
        Err(error) => Err(Problem::no_backup(error.to_string())),
    }
}

/// Whether a name stays inside the directory of backups.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
