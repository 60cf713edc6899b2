//! What is shown of an event: for machines one object with keys that do not change, for people one line.

use std::collections::BTreeMap;
use std::io;

use onefold::journal::{EventFrame, RecordedPart};
use onefold::{CodecId, Metadata, StreamId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::decoders::{Decoders, raw};
use crate::output::Output;
use crate::time;

/// Characters of a payload on a line, unless all of it is wanted.
const PAYLOAD_CHARS: usize = 120;

/// One event.
#[derive(Debug, Serialize)]
pub(crate) struct ShownEvent {
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) commit: u64,
    time: String,
    event: String,
    revision: u16,
    codec: String,
    payload_bytes: usize,
    /// The decoded fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// The stored bytes, of what is not decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
    /// Why it does not decode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    command: String,
    correlation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

/// The events of one stream's share of a commit.
pub(crate) fn events(stream: &StreamId, part: &RecordedPart, decoders: &Decoders) -> Vec<ShownEvent> {
    // Both were checked when the commit was read; what still does not parse is shown as nothing.
    let metadata = part.metadata().unwrap_or_default();
    let frames = part.events().flatten().zip(0u64..);
    frames.map(|(frame, index)| ShownEvent::new(stream, part, index, &frame, &metadata, decoders)).collect()
}

impl ShownEvent {
    fn new(
        stream: &StreamId,
        part: &RecordedPart,
        index: u64,
        frame: &EventFrame<'_>,
        metadata: &Metadata,
        decoders: &Decoders,
    ) -> Self {
        let codec = CodecId::from_number(frame.codec);
        let (payload, error) = match decoders.decode(stream.aggregate_type(), frame) {
            Some(Ok(payload)) => (Some(payload), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            // What is stored as JSON can be read by anybody.
            None if codec == Some(CodecId::Json) => (raw(frame.payload.to_vec()).ok(), None),
            None => (None, None),
        };
        ShownEvent {
            stream: stream.to_string(),
            version: part.first_version.get() + index,
            position: part.first_position.get() + index,
            commit: part.commit.get(),
            time: time::utc(metadata.timestamp),
            event: frame.name.to_owned(),
            revision: frame.revision,
            codec: match codec {
                Some(CodecId::Bincode) => "bincode".to_owned(),
                Some(CodecId::Json) => "json".to_owned(),
                _ => frame.codec.to_string(),
            },
            payload_bytes: frame.payload.len(),
            payload_hex: payload.is_none().then(|| hex(frame.payload)),
            payload,
            error,
            command: metadata.command_id.to_string(),
            correlation: metadata.correlation_id.to_string(),
            causation: metadata.causation_id.map(|id| id.to_string()),
            metadata: metadata.entries.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    /// One line, and the metadata below it when all is wanted.
    pub(crate) fn print(&self, long: bool, output: &mut Output) -> io::Result<()> {
        let ShownEvent { version, time, event, revision, payload_bytes, .. } = self;
        let payload = match (&self.payload, &self.payload_hex) {
            (Some(payload), _) => shortened(payload.get(), long),
            (None, Some(hex)) => format!("{payload_bytes} bytes {}", shortened(hex, long)),
            (None, None) => String::new(),
        };
        let revision = format!("r{revision}");
        output.line(format!("{version:>8}  {time}  {event:<28} {revision:<3} {payload}"))?;
        if let Some(error) = &self.error {
            output.line(format!("{:>8}  does not decode: {error}", ""))?;
        }
        if long {
            let ShownEvent { commit, position, command, correlation, codec, .. } = self;
            output.line(format!(
                "{:>8}  commit {commit}, position {position}, codec {codec}, {payload_bytes} bytes",
                ""
            ))?;
            output.line(format!("{:>8}  command {command}, correlation {correlation}", ""))?;
            if let Some(causation) = &self.causation {
                output.line(format!("{:>8}  caused by {causation}", ""))?;
            }
            for (key, value) in &self.metadata {
                output.line(format!("{:>8}  {key}: {value}", ""))?;
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn shortened(text: &str, long: bool) -> String {
    match text.char_indices().nth(PAYLOAD_CHARS) {
        Some((at, _)) if !long => format!("{}…", &text[..at]),
        _ => text.to_owned(),
    }
}
