//! Commands that encode alike have different fingerprints, equal ones the same, for ever.

use std::collections::HashMap;

use serde::Serialize;

use super::*;

#[derive(Serialize)]
struct Deposit {
    amount: u64,
}

#[derive(Serialize)]
struct Withdraw {
    amount: u64,
}

#[derive(Serialize)]
enum Command {
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
    Close,
    Note(String, String),
}

fn of<C: Serialize>(command: C) -> u64 {
    fingerprint(&command).unwrap()
}

#[test]
fn commands_that_encode_alike_differ() {
    let all = [
        of(Deposit { amount: 10 }),
        of(Withdraw { amount: 10 }),
        of(Deposit { amount: 11 }),
        of(Command::Deposit { amount: 10 }),
        of(Command::Withdraw { amount: 10 }),
        of(Command::Close),
        of(Command::Note("ab".into(), "c".into())),
        of(Command::Note("a".into(), "bc".into())),
        of((1u8, 2u8)),
        of([[1u8], [2u8]]),
        of(Some(1u8)),
        of(None::<u8>),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "the one with index {index} is like an earlier one");
    }
}

#[test]
fn equal_maps_are_alike_whatever_their_order() {
    let pairs: Vec<(String, u32)> = (0..100).map(|number| (format!("key {number}"), number)).collect();
    let one: HashMap<_, _> = pairs.iter().cloned().collect();
    let other: HashMap<_, _> = pairs.iter().rev().cloned().collect();
    assert_eq!(of(&one), of(&other));
    let mut changed = other.clone();
    changed.insert("key 7".into(), 8);
    assert_ne!(of(&one), of(&changed));
}

/// It is stored: a retry after an upgrade must find it as it was.
#[test]
fn fingerprint_never_changes() {
    assert_eq!(format!("{:016x}", of(Deposit { amount: 10 })), "42d86ee55e677e01");
}

#[test]
fn failure_to_serialize_is_told() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("no"))
        }
    }
    assert_eq!(fingerprint(&Broken), Err(Unhashable("no".into())));
}

/// Fingerprints are stored: a change of one would make another command of each that was sent before. And in what pieces a
/// command is hashed changes nothing.
#[test]
fn fingerprints_are_for_ever() {
    let text = |tag: u8, text: &str| [&[tag][..], &(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let (named, variant) = (|name: &str| text(12, name), |name: &str| text(13, name));
    let (begin, end) = ([14], [&[16][..], &[0; 16]].concat());
    let hash = |pieces: &[&[u8]]| {
        let mut hasher = SipHasher13::new();
        hasher.write(&pieces.concat());
        hasher.finish128().h1
    };
    let amount = [&[3][..], &10_u128.to_le_bytes()].concat();
    let deposit = hash(&[&named("Deposit"), &begin, &named("amount"), &amount, &end]);
    assert_eq!(of(Deposit { amount: 10 }), deposit);
    for (short, long) in [(0, 0), (3, 120), (150, 50), (10, 1_000), (1_000, 10)] {
        let (short, long) = ("s".repeat(short), "l".repeat(long));
        let note = hash(&[&named("Command"), &variant("Note"), &begin, &text(7, &short), &text(7, &long), &end]);
        assert_eq!(of(Command::Note(short, long)), note);
    }
}
