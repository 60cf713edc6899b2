//! The SQLite database: its options and the tables sqlite-es documents.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// SQLite writes one transaction at a time; further connections only read
/// ahead, and poll for the lock. Four did best of 1, 2, 4 and 8.
const CONNECTIONS_MAX: u32 = 4;
/// Thousands of clients queue for the connection; the last waits this long.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS events (
        aggregate_type text                          NOT NULL,
        aggregate_id   text                          NOT NULL,
        sequence       integer CHECK (sequence >= 0) NOT NULL,
        event_type     text                          NOT NULL,
        event_version  text                          NOT NULL,
        payload        text                          NOT NULL,
        metadata       text                          NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS snapshots (
        aggregate_type   text                                  NOT NULL,
        aggregate_id     text                                  NOT NULL,
        last_sequence    integer CHECK (last_sequence >= 0)    NOT NULL,
        current_snapshot integer CHECK (current_snapshot >= 0) NOT NULL,
        payload          text                                  NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
    ) STRICT;
";

pub(crate) async fn open(data: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(data.join("events.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // IMPORTANT: NORMAL, which sqlite-es sets by default, does not sync
        // the log on commit.
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    Ok(pool)
}
