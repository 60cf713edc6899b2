//! `streams`: which there are, and where they end.

use onefold::admin::Inspector;
use onefold::journal::StreamPage;
use onefold::{AggregateId, StreamId};
use serde_json::json;

use crate::arguments::Streams;
use crate::failure::Failure;
use crate::output::{Output, number};

pub(super) fn run(inspector: &Inspector, streams: &Streams, output: &mut Output) -> Result<(), Failure> {
    let after = streams.after.as_ref().map(AggregateId::new).transpose();
    let after = after.map_err(|error| Failure::Usage(error.to_string()))?;
    let known = inspector.types()?;
    let types = match &streams.aggregate_type {
        None => known,
        Some(wanted) => {
            StreamId::check_type(wanted).map_err(|error| Failure::Usage(error.to_string()))?;
            if !known.contains(wanted) {
                let known = if known.is_empty() { "no stream at all".to_owned() } else { known.join(", ") };
                return Err(Failure::NotFound(format!("there is no stream of type {wanted}; there is {known}")));
            }
            vec![wanted.clone()]
        }
    };
    for aggregate_type in types {
        let limit = streams.limit.saturating_add(1);
        let page = StreamPage { aggregate_type: aggregate_type.clone(), after: after.clone(), limit };
        let found = inspector.streams(&page)?;
        let is_more = found.len() > streams.limit;
        for summary in found.iter().take(streams.limit) {
            let (stream, version) = (&summary.stream, summary.version);
            match output.is_json() {
                true => output.object(&json!({
                    "stream": stream.to_string(), "type": stream.aggregate_type(), "id": stream.aggregate_id(),
                    "version": version,
                }))?,
                false => output.line(format!("{:>12}  {stream}", number(version.get())))?,
            }
        }
        let last = found.iter().take(streams.limit).next_back();
        if let (true, false, Some(last)) = (is_more, output.is_json(), last) {
            let id = last.stream.aggregate_id();
            output.line(format!("              … there are more: streams {aggregate_type} --after {id:?}"))?;
        }
    }
    Ok(())
}
