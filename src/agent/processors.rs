//! The machine's processors, as its kernel counts them: it tells the same inside of a container as outside.

use serde::{Deserialize, Serialize};

/// Where the kernel tells it.
const STAT: &str = "/proc/stat";

/// What the machine's processors have done since it was started, in the kernel's ticks: a share of two moments' difference
/// is what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processors {
    /// How many there are.
    pub count: u64,
    /// Ticks of all of them together.
    pub ticks: u64,
    /// Those in which they did something, or were somebody else's whose machine this one is a part of.
    pub busy: u64,
}

impl Processors {
    /// The share of the time since another moment in which they were busy, 0 to 1; nothing where no time has gone by.
    pub fn busy_since(&self, before: &Self) -> Option<f64> {
        let ticks = self.ticks.checked_sub(before.ticks).filter(|ticks| *ticks > 0)?;
        Some(self.busy.saturating_sub(before.busy) as f64 / ticks as f64)
    }
}

/// Until now; nothing where the kernel does not tell.
pub(super) fn now() -> Option<Processors> {
    parsed(&std::fs::read_to_string(STAT).ok()?)
}

/// `cpu user nice system idle iowait irq softirq steal …`, and then a line for each processor.
fn parsed(stat: &str) -> Option<Processors> {
    let mut lines = stat.lines().take_while(|line| line.starts_with("cpu"));
    let all = lines.next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = all
        .split_whitespace()
        .take(8)
        .map_while(|number| number.parse().ok())
        .collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let ticks: u64 = ticks.iter().sum();
    let count = lines.count() as u64;
    (count > 0).then_some(Processors {
        count,
        ticks,
        busy: ticks - idle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_time_is_counted_once_and_waiting_for_a_disk_is_idle() {
        let stat = "cpu  100 5 50 800 40 1 4 10 90 0\ncpu0 50 5 25 400 20 1 2 5 45 0\ncpu1 50 0 25 400 20 0 2 5 45 0\nintr 1\n";
        let read = Processors {
            count: 2,
            ticks: 1_010,
            busy: 170,
        };
        assert_eq!(parsed(stat), Some(read));
        let later = Processors {
            ticks: 1_110,
            busy: 265,
            ..read
        };
        assert_eq!(later.busy_since(&read), Some(0.95));
        assert_eq!(read.busy_since(&read), None);
    }

    #[test]
    fn what_no_kernel_says_is_nothing() {
        for stat in [
            "",
            "intr 1",
            "cpu  1 2 3",
            "cpu  a b c d e f g h\ncpu0 1",
            "cpu  1 1 1 1 1 1 1 1\nintr 5",
        ] {
            assert_eq!(parsed(stat), None, "{stat}");
        }
        assert!(now().is_some_and(|now| now.busy <= now.ticks));
    }
}
