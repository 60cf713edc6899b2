//! Options of the runs that look at overload and isolation.

use std::time::Duration;

use clap::Args;

use super::{OutputOptions, PlaceOptions, count, event_bytes, rate, seconds};
use crate::noise::Noise;

#[derive(Args, Clone, Debug)]
pub(crate) struct OverloadOptions {
    /// Seconds of overload
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Commands that arrive in the overload, as a multiple of what was done at most
    #[arg(long, value_name = "X", default_value_t = 10.0, value_parser = factor)]
    pub(crate) factor: f64,
    /// Commands that arrive per second in the overload, instead of that multiple
    #[arg(long, value_name = "R", value_parser = rate)]
    pub(crate) arrivals: Option<f64>,
    /// Seconds of each load by which it is found out how much can be done at most
    #[arg(long, value_name = "S", default_value = "20", value_parser = seconds)]
    pub(crate) peak_seconds: Duration,
    /// Clients of the closed loop that finds it out
    #[arg(long, value_name = "N", default_value = "32768", value_parser = count)]
    pub(crate) in_flight: u32,
    /// How many aggregates there are
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count)]
    pub(crate) aggregates: u32,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "4096", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    /// The generator runs on the runtime's cores; by default each has half of them
    #[arg(long)]
    pub(crate) shared_cores: bool,
    /// What its own part of the memory is, in a process of its own: so many arrivals per second, and no runtime that does them
    #[arg(long, hide = true, value_parser = rate)]
    pub(crate) harness_alone: Option<f64>,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct NoisyNeighbourOptions {
    /// Commands per second to the neighbours, started on time whether or not earlier ones were answered
    #[arg(long, value_name = "R", default_value = "5000", value_parser = rate)]
    pub(crate) rate: f64,
    /// How many neighbours there are
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub(crate) neighbours: u32,
    /// Events of the stream that is replayed over and over
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count)]
    pub(crate) events: u32,
    /// Seconds of each phase in each round
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Rounds; in each, every phase has its turn, between two quiet ones
    #[arg(long, value_name = "R", default_value = "16", value_parser = count)]
    pub(crate) rounds: u32,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "80", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    /// Which noise
    #[arg(
        long,
        value_enum,
        value_name = "NOISE",
        value_delimiter = ',',
        default_value = "slow,flooded,replay,quarantined"
    )]
    pub(crate) noise: Vec<Noise>,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PassivationsOptions {
    /// How many times an instance is let go
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count)]
    pub(crate) passivations: u32,
    /// How many aggregates there are
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count)]
    pub(crate) aggregates: u32,
    /// How many of them fit into memory
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub(crate) resident: u32,
    /// Clients, each of which waits for one answer at a time
    #[arg(long, value_name = "N", default_value = "1024", value_parser = count)]
    pub(crate) in_flight: u32,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "80", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok();
    factor.filter(|factor| (1.0..=100.0).contains(factor)).ok_or_else(|| "a multiple from 1 to 100".to_owned())
}
