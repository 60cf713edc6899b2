//! The figures.

use serde::Serialize;

use crate::machine::Machine;

/// The figures. Field names are the keys of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct OverloadReport {
    pub(super) command: &'static str,
    pub(super) aggregates: u32,
    pub(super) event_bytes: u32,
    pub(super) in_flight: u32,
    pub(super) factor: f64,
    pub(super) seconds: f64,
    pub(super) workers: usize,
    pub(super) journal: &'static str,
    pub(super) filesystem: String,
    /// Who had how many cores; 0: the generator ran on the runtime's.
    pub(super) runtime_cores: usize,
    pub(super) generator_cores: usize,
    /// Commands per second in a closed loop; on shared cores, the same while as many arrivals as in the overload go nowhere;
    /// on cores apart, in an open loop.
    pub(super) peak_per_second: f64,
    pub(super) peak_beside_arrivals_per_second: Option<f64>,
    pub(super) peak_open_loop_per_second: Option<f64>,
    /// The one that the overload is compared with: the most of closed and open loop, or, on shared cores, beside arrivals.
    pub(super) peak_fair_per_second: f64,
    /// Arrivals per second of the overload: planned, and sent.
    pub(super) planned_per_second: f64,
    pub(super) offered_per_second: f64,
    pub(super) goodput_per_second: f64,
    pub(super) goodput_ratio: f64,
    pub(super) goodput_fair_ratio: f64,
    /// Commands per second for each second of a core that the generator left to the runtime, against the peak's.
    pub(super) goodput_per_core_ratio: f64,
    /// Of the overload: the share of all cores that the generator's thread took; for how much of the time it waited for one.
    pub(super) generator_core_share: f64,
    pub(super) generator_waiting_share: f64,
    pub(super) refused: u64,
    /// From when the runtime was asked to its answer.
    pub(super) refusal_p50_us: f64,
    pub(super) refusal_p99_us: f64,
    /// From when a call was due to when the generator came to ask.
    pub(super) lateness_p50_us: f64,
    pub(super) lateness_p99_us: f64,
    /// Refusals of an independent prober, from when they were due: asked by its thread, and by tasks of the async runtime.
    pub(super) probes: u64,
    pub(super) probe_p50_us: f64,
    pub(super) probe_p99_us: f64,
    /// The thread's, from when it asked.
    pub(super) probe_asked_p99_us: f64,
    pub(super) task_probe_p50_us: f64,
    pub(super) task_probe_p99_us: f64,
    pub(super) admitted_p50_us: f64,
    pub(super) admitted_p99_us: f64,
    /// The sum of the configured bounds; what the process had before the overload, and at most.
    pub(super) memory_cap_bytes: u64,
    pub(super) memory_before_bytes: u64,
    pub(super) memory_peak_bytes: u64,
    /// What the harness itself had in a process of its own: the same arrivals, and as many waiting callers.
    pub(super) memory_harness_bytes: u64,
    /// What is left for onefold, and that against the cap.
    pub(super) memory_onefold_bytes: u64,
    pub(super) memory_ratio: f64,
    pub(super) back_to_normal_seconds: Option<f64>,
    pub(super) calm_p50_us: f64,
    pub(super) calm_p99_us: f64,
    /// After the overload, for each tenth of a second: of what was due in it.
    pub(super) after_p50_us: Vec<f64>,
    pub(super) after_refused: Vec<u64>,
    pub(super) targets_met: bool,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) first_failure: Option<String>,
    pub(super) verified: bool,
    pub(super) verified_events: u64,
    pub(super) discrepancy: Option<String>,
    #[serde(flatten)]
    pub(super) machine: Machine,
}
