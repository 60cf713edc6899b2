//! A process that is killed in the middle of its work: what it said was durable is there, and nothing else is half there.

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::*;
use onefold_core::Checkpoint;
use onefold_core::journal::Journal;
use onefold_sled::Durability;

const STREAMS: usize = 50;

/// Not a test: the process to be killed. It prints each acknowledged commit's number.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the tests that kill it"]
async fn victim() {
    let Ok(path) = std::env::var("ONEFOLD_VICTIM") else { return };
    let durability = match std::env::var("ONEFOLD_DURABILITY").as_deref() {
        Ok("process") => Durability::ProcessCrash,
        _ => Durability::Fsync,
    };
    let journal = small(Path::new(&path)).durability(durability).open().unwrap();
    let mut sessions = Vec::new();
    for index in 0..STREAMS {
        sessions.push(journal.open(&stream(format!("s{index}"))).await.unwrap());
    }
    for round in 0u64.. {
        let mut answers = Vec::new();
        for opened in &sessions {
            let version = opened.head.get() + round;
            answers.push(submit(&journal, &opened.session, version.into(), &[&version.to_string()]).await);
        }
        for receiver in answers {
            println!("acknowledged {}", answer(receiver).await.unwrap().commit);
        }
    }
}

/// Starts the victim, kills it after a while; returns the last commit it saw acknowledged.
fn kill_one(path: &Path, durability: &str, after: Duration) -> u64 {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .env("ONEFOLD_VICTIM", path)
        .env("ONEFOLD_DURABILITY", durability)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        victim.kill().unwrap();
        victim.wait().unwrap();
    });
    let numbers = output.lines().map_while(Result::ok).filter_map(|line| {
        let (_, number) = line.split_once("acknowledged ")?;
        number.parse().ok()
    });
    let last = numbers.max().unwrap_or(0);
    killer.join().unwrap();
    last
}

async fn check_kills(durability: &str) {
    let (_temporary, path) = dir();
    let mut acknowledged = 0;
    for round in 0..5 {
        acknowledged = acknowledged.max(kill_one(&path, durability, Duration::from_millis(250 + 130 * round)));
        let journal = small(&path).open().unwrap();
        let commits = feed(&journal, &Checkpoint::START).await;
        assert!(commits.len() as u64 >= acknowledged, "round {round}: {} of {acknowledged}", commits.len());
        assert!(commits.iter().zip(1..).all(|((number, _), expected)| *number == expected));
        for index in 0..STREAMS {
            let texts = texts(&journal, &format!("s{index}")).await;
            assert!(texts.iter().enumerate().all(|(version, text)| *text == version.to_string()), "s{index}");
            let opened = journal.open(&stream(format!("s{index}"))).await.unwrap();
            assert_eq!(opened.head.get(), texts.len() as u64);
        }
        if round % 2 == 0 {
            journal.close().await.unwrap();
        }
    }
    assert!(acknowledged > 0, "the victim got to work");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commits_survive_kills() {
    check_kills("fsync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commits_survive_kills_without_syncs() {
    check_kills("process").await;
}
