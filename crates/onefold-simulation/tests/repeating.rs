//! A seed is all it takes: the same one gives the same simulation, to the last event and its time.

use onefold::{Aggregate, Context, Decision, Handle};
use onefold_simulation::{Command, Simulation, simulate};

/// The digest covers every beginning, start, end and answer, with versions, states and times.
#[test]
fn same_seed_gives_the_same_simulation() {
    for seed in 0..24 {
        let first = simulate(seed).unwrap();
        let second = std::thread::spawn(move || simulate(seed).unwrap()).join().unwrap();
        assert_eq!(first, second);
    }
}

/// P18: the time of day jumps by centuries, and nothing but timestamps changes.
#[test]
fn another_wall_clock_changes_nothing() {
    for seed in 0..12 {
        let simulation = || Simulation::new(seed).aggregate::<Light>(|| ()).commands(|_| Command::new(Switch));
        assert_eq!(simulation().wall_clock(seed + 1_000).run(), simulation().run());
    }
}

/// Is on or off.
#[derive(Default)]
struct Light {
    on: bool,
}

#[derive(Clone, Copy, onefold::Event, serde::Serialize, serde::Deserialize)]
#[event(prefix = "light")]
enum Switched {
    On,
    Off,
}

impl Aggregate for Light {
    const TYPE: &'static str = "light";
    type Event = Switched;
    type Rejection = std::convert::Infallible;
    type Services = ();

    fn apply(&mut self, event: &Switched) {
        self.on = matches!(event, Switched::On);
    }
}

struct Switch;

impl Handle<Switch> for Light {
    type Reply = bool;

    async fn handle(&self, _: Switch, _: &Context<Self>) -> Result<Decision<Self, bool>, Self::Rejection> {
        Ok(self.emit(if self.on { Switched::Off } else { Switched::On }).reply(|light| light.on))
    }
}

#[test]
fn other_seed_gives_another_simulation() {
    let traces: std::collections::BTreeSet<u64> = (0..20).map(|seed| simulate(seed).unwrap().trace).collect();
    assert_eq!(traces.len(), 20);
}
