//! Simulates onefold itself: `cargo run --release --package onefold-simulation --example simulate -- [seeds [from [threads]]]`.

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let seeds: u64 = arguments.next().unwrap_or(100);
    let from: u64 = arguments.next().unwrap_or(0);
    let threads = usize::try_from(arguments.next().unwrap_or(1)).expect("a small number");
    let summary = onefold_simulation::sweep(from..from + seeds, threads);
    print!("{summary}");
    std::process::ExitCode::from(u8::from(!summary.is_clean()))
}
