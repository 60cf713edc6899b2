//! The generator's cores and the runtime's.
//!
//! Whoever sends ten times more than can be done needs a good part of a core for it. On the cores of the one who serves, that would be
//! taken for what serving costs; so the first half of the cores is the runtime's and the rest is the generator's. What a command costs
//! where it is asked, a refusal above all, the generator's cores pay: it is their thread that asks. A thread starts on the cores of the one
//! that started it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who may run where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    runtime: CpuSet,
    generator: CpuSet,
}

impl Cores {
    /// Divides the cores that this process may use. `None`: there is but one, or the system does not tell.
    pub(crate) fn divide() -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        let there: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let (runtime, generator) = there.split_at(there.len().div_ceil(2));
        (!generator.is_empty()).then(|| Cores { runtime: set(runtime), generator: set(generator) })
    }

    /// This thread, and all that it starts, run on the runtime's cores.
    pub(crate) fn be_runtime(&self) -> anyhow::Result<()> {
        Ok(sched_setaffinity(None, &self.runtime)?)
    }

    /// This thread, and all that it starts, run on the generator's.
    pub(crate) fn be_generator(&self) -> anyhow::Result<()> {
        Ok(sched_setaffinity(None, &self.generator)?)
    }

    /// How many the runtime has.
    pub(crate) fn of_runtime(&self) -> usize {
        self.runtime.count() as usize
    }

    /// How many the generator has.
    pub(crate) fn of_generator(&self) -> usize {
        self.generator.count() as usize
    }
}

fn set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_other_s_cores() {
        let Some(cores) = Cores::divide() else { return };
        let all = sched_getaffinity(None).unwrap();
        for core in 0..CpuSet::MAX_CPU {
            let owners = u8::from(cores.runtime.is_set(core)) + u8::from(cores.generator.is_set(core));
            assert_eq!(owners, u8::from(all.is_set(core)), "core {core}");
        }
        let apart = std::thread::spawn(move || {
            cores.be_generator().unwrap();
            std::thread::spawn(|| sched_getaffinity(None).unwrap()).join().unwrap()
        });
        assert_eq!(apart.join().unwrap(), cores.generator);
    }
}
