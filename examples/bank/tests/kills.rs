//! Money is conserved at every commit, however often the bank is killed while it is moved.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How often.
const KILLS: u32 = 12;

fn bank(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    command.arg("--data").arg(data).stdin(Stdio::null());
    command
}

/// The numbers in what `bank audit` says: commits, transfers, accounts.
fn audit(data: &Path) -> [u64; 3] {
    let output = bank(data).arg("audit").output().unwrap();
    let (said, complaint) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaint}");
    let numbers: Vec<u64> = said.split(&[' ', ':'][..]).filter_map(|word| word.parse().ok()).collect();
    [numbers[0], numbers[1], numbers[2]]
}

#[test]
fn money_is_conserved_at_every_commit_under_kills() {
    let seed = 20_261_130;
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("journal");
    let mut transfers = 0;
    for kill in 0..KILLS {
        let mut child = bank(&data).arg("demo-child").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(random.random_range(50..700)));
        child.kill().unwrap();
        child.wait().unwrap();
        if data.read_dir().map_or(true, |mut entries| entries.next().is_none()) {
            continue;
        }
        let [commits, moved, _] = audit(&data);
        assert!(
            moved >= transfers,
            "seed {seed}, kill {kill}: {transfers} transfers were there, now {moved} of {commits}"
        );
        transfers = moved;
    }
    let begun = Instant::now();
    while transfers == 0 && begun.elapsed() < Duration::from_secs(60) {
        // A machine that is too slow to come to a transfer within the times above.
        let mut child = bank(&data).arg("demo-child").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_secs(5));
        child.kill().unwrap();
        child.wait().unwrap();
        transfers = audit(&data)[1];
    }
    assert!(transfers > 0, "nothing was transferred, so nothing was shown");
}
