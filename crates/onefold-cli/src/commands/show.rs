//! `show`: the events of one stream.

use onefold::admin::Inspector;
use onefold::{StreamId, StreamVersion};

use crate::arguments::Show;
use crate::decoders::Decoders;
use crate::failure::Failure;
use crate::output::Output;
use crate::shown;

pub(super) fn run(inspector: &Inspector, show: &Show, decoders: &Decoders, output: &mut Output) -> Result<(), Failure> {
    let stream: StreamId =
        show.stream.parse().map_err(|error: onefold::InvalidId| Failure::Usage(error.to_string()))?;
    let mut left = show.limit.unwrap_or(u64::MAX);
    let (mut seen, mut undecodable) = (0u64, 0);
    'parts: for part in inspector.stream(&stream, StreamVersion::new(show.after)) {
        for event in shown::events(&stream, &part?, decoders) {
            if event.version <= show.after {
                continue;
            }
            if left == 0 {
                break 'parts;
            }
            (left, seen) = (left - 1, seen + 1);
            undecodable += u64::from(event.error.is_some());
            match output.is_json() {
                true => output.object(&event)?,
                false => event.print(show.long, output)?,
            }
        }
    }
    if seen == 0 && left > 0 {
        let beyond = if show.after > 0 { format!(" beyond version {}", show.after) } else { String::new() };
        return Err(Failure::NotFound(format!("stream {stream} has no events{beyond}")));
    }
    output.flush()?;
    match undecodable {
        0 => Ok(()),
        undecodable => Err(Failure::Undecodable(undecodable)),
    }
}
