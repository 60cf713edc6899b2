//! The command line that all peers have in common.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Ids are `acc-` and seven digits.
const AGGREGATES_MAX: usize = 9_999_999;
const IN_FLIGHT_MAX: usize = 65_536;
const SECONDS_MAX: f64 = 3_600.0;
const EVENT_BYTES_MAX: usize = 4_096;

/// Which aggregates the clients address, and how many clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Many clients, each command to a random aggregate of many.
    Uniform,
    /// Many clients, all commands to one aggregate.
    Hot,
    /// One client, one aggregate, one command at a time.
    Single,
}

/// What to run, for how long, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// The job.
    pub workload: Workload,
    /// How many aggregates there are; one for `hot` and `single`.
    pub aggregates: usize,
    /// How many clients wait for an answer at any time; one for `single`.
    pub in_flight: usize,
    /// How long to measure, without warm-up and verification.
    pub duration: Duration,
    /// The size of one event's payload.
    pub event_bytes: usize,
    /// An empty or new directory for the store.
    pub data: PathBuf,
    /// Where the report goes.
    pub json: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line; `None` means that help was asked for and given.
    pub fn parse(name: &str, mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut workload = None;
        let mut aggregates = 100_000;
        let mut in_flight = 4_096;
        let mut seconds = 5.0;
        let mut event_bytes = 80;
        let mut data = None;
        let mut json = None;

        while let Some(flag) = words.next() {
            if flag == "--help" || flag == "-h" {
                println!("{}", Self::usage(name));
                return Ok(None);
            }
            let mut value = || words.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--workload" => workload = Some(value()?.parse::<Workload>()?),
                "--aggregates" => aggregates = bounded(&flag, &value()?, 1, AGGREGATES_MAX)?,
                "--in-flight" => in_flight = bounded(&flag, &value()?, 1, IN_FLIGHT_MAX)?,
                "--seconds" => seconds = bounded(&flag, &value()?, 0.1, SECONDS_MAX)?,
                "--event-bytes" => event_bytes = bounded(&flag, &value()?, 1, EVENT_BYTES_MAX)?,
                "--data" => data = Some(PathBuf::from(value()?)),
                "--json" => json = Some(PathBuf::from(value()?)),
                _ => return Err(format!("unknown argument '{flag}'")),
            }
        }

        let workload = workload.ok_or("--workload is missing")?;
        Ok(Some(Self {
            workload,
            aggregates: match workload {
                Workload::Uniform => aggregates,
                Workload::Hot | Workload::Single => 1,
            },
            in_flight: match workload {
                Workload::Uniform | Workload::Hot => in_flight,
                Workload::Single => 1,
            },
            duration: Duration::from_secs_f64(seconds),
            event_bytes,
            data: data.ok_or("--data is missing")?,
            json,
        }))
    }

    /// The help text.
    pub fn usage(name: &str) -> String {
        format!(
            "usage: {name} --workload uniform|hot|single --data DIR [options]\n\
             \n\
             --data DIR        an empty or new directory on a real filesystem\n\
             --json FILE       write the report there\n\
             --aggregates N    default 100000; always 1 for hot and single\n\
             --in-flight N     closed-loop clients, default 4096; always 1 for single\n\
             --seconds S       length of the measurement, default 5\n\
             --event-bytes B   payload of one event, default 80"
        )
    }
}

fn bounded<T>(flag: &str, word: &str, min: T, max: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    match word.parse::<T>() {
        Ok(value) if value >= min && value <= max => Ok(value),
        _ => Err(format!("{flag} must be a number from {min} to {max}, not '{word}'")),
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "uniform" => Ok(Self::Uniform),
            "hot" => Ok(Self::Hot),
            "single" => Ok(Self::Single),
            _ => Err(format!("--workload must be uniform, hot or single, not '{word}'")),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Uniform => "uniform",
            Self::Hot => "hot",
            Self::Single => "single",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Arguments>, String> {
        Arguments::parse("peer", line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn single_has_one_client_and_one_aggregate_whatever_is_asked() {
        let arguments = parse("--workload single --data d --aggregates 9 --in-flight 9")
            .expect("is valid")
            .expect("is no call for help");
        assert_eq!((arguments.aggregates, arguments.in_flight), (1, 1));
    }

    #[test]
    fn wrong_input_is_named() {
        for (line, problem) in [
            ("--data d", "--workload is missing"),
            ("--workload hot", "--data is missing"),
            ("--workload cold --data d", "'cold'"),
            ("--workload hot --data d --seconds NaN", "'NaN'"),
            ("--workload hot --data d --in-flight 0", "from 1 to"),
            ("--workload hot --data", "--data needs a value"),
            ("--speed 9", "unknown argument '--speed'"),
        ] {
            let message = parse(line).expect_err(line);
            assert!(message.contains(problem), "{line}: {message}");
        }
    }
}
