//! The crash harness; and the README, so that its examples are compiled and run.
//!
#![doc = include_str!("../../README.md")]
// One file holds some, and says why: crash/disk/shutdown.rs.
#![deny(unsafe_code)]

pub mod crash;
