//! The crash harness; and the README, so that its examples are compiled and run.
//!
#![doc = include_str!("../../README.md")]
#![forbid(unsafe_code)]

pub mod crash;
