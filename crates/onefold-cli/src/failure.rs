//! Why a command failed, and what the exit code says about it.

use std::io;
use std::path::{Path, PathBuf};

use onefold::OpenJournalError;
use onefold::admin::AdminError;
use onefold::journal::ReadError;

use crate::export::ExportError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", in_words(.0))]
    Admin(#[from] AdminError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    /// Said already, in the answer.
    #[error("the journal is damaged")]
    Damaged,
    #[error("{0} events do not decode: see above")]
    Undecodable(u64),
    #[error("{} is damaged: {error}", path.display())]
    Import { path: PathBuf, error: ExportError },
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot write the answer: {0}")]
    Answer(#[from] io::Error),
}

impl Failure {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Failure::Io { action, path, source }
    }

    /// `… | head -1`: nobody reads on, and that is no failure.
    pub(crate) fn is_reader_gone(&self) -> bool {
        matches!(self, Failure::Answer(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the answer did not say it already.
    pub(crate) fn is_worth_saying(&self) -> bool {
        !matches!(self, Failure::Damaged)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind() {
            "usage" | "exists" => 2,
            "damaged" => 3,
            "locked" => 4,
            "not-found" => 5,
            _ => 1,
        }
    }

    /// For machines: it does not change.
    fn kind(&self) -> &'static str {
        match self {
            Failure::Usage(_) => "usage",
            Failure::NotFound(_) => "not-found",
            Failure::Damaged => "damaged",
            Failure::Import { error, .. } if !matches!(error, ExportError::Read { .. }) => "damaged",
            Failure::Import { .. } | Failure::Io { .. } | Failure::Answer(_) => "io",
            Failure::Undecodable(_) => "undecodable",
            Failure::Admin(error) => match error {
                AdminError::NoJournal { .. } => "not-found",
                AdminError::TargetExists { .. } | AdminError::NotEmpty { .. } => "exists",
                AdminError::Open(OpenJournalError::Locked { .. }) => "locked",
                AdminError::Open(OpenJournalError::Damaged { .. } | OpenJournalError::TailTruncated { .. })
                | AdminError::Open(OpenJournalError::ForeignBlobs { .. })
                | AdminError::Read(ReadError::Damaged { .. })
                | AdminError::NotRepairable { .. } => "damaged",
                AdminError::Open(OpenJournalError::NewerFormat { .. }) => "newer-format",
                _ => "failed",
            },
        }
    }

    /// One object: `error`, `message`, and `holder` when another process has the journal.
    pub(crate) fn to_json(&self) -> String {
        let holder = match self {
            Failure::Admin(AdminError::Open(OpenJournalError::Locked { holder, .. })) => *holder,
            _ => None,
        };
        let mut object = serde_json::json!({ "error": self.kind(), "message": self.to_string() });
        if let Some(holder) = holder {
            object["holder"] = holder.into();
        }
        object.to_string()
    }
}

fn in_words(error: &AdminError) -> String {
    match error {
        AdminError::Open(OpenJournalError::Locked { holder: Some(holder), .. }) => {
            let name = std::fs::read_to_string(format!("/proc/{holder}/comm")).unwrap_or_default();
            let who = if name.is_empty() { String::new() } else { format!("; process {holder} is {:?}", name.trim()) };
            format!("{error}{who}")
        }
        AdminError::Open(OpenJournalError::Damaged { .. } | OpenJournalError::TailTruncated { .. })
        | AdminError::Read(ReadError::Damaged { .. }) => format!("{error} (`verify` tells all that is wrong)"),
        _ => error.to_string(),
    }
}
