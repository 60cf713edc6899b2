//! The documentation says what the code does: its excerpts are code, and no bound is missing.

use std::fs;
use std::path::Path;

use onefold::Config;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every excerpt of a guide stands in one of the files, which are compiled.
#[track_caller]
fn check_excerpts(guide: &str, at_least: usize, sources: &[&str]) {
    let code: Vec<String> = sources.iter().map(|source| file(source)).collect();
    let text = file(guide);
    let excerpts: Vec<&str> = text.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(excerpts.len() >= at_least, "{guide} has excerpts");
    for excerpt in excerpts {
        let found = code.iter().any(|code| code.contains(excerpt));
        assert!(found, "{guide} quotes what stands in none of {sources:?}:\n{excerpt}");
    }
}

#[test]
fn excerpts_in_the_embedding_guide_are_compiled_code() {
    let sources = [
        "tests/examples/embedding_axum.rs",
        "tests/examples/embedding_tonic.rs",
        "tests/examples/embedding_worker.rs",
        "tests/examples/warehouse/article.rs",
        "tests/examples/warehouse/service.rs",
        "examples/bank/src/http.rs",
    ];
    check_excerpts("docs/guide/embedding.md", 10, &sources);
}

#[test]
fn excerpts_in_the_guide_to_commands_are_run() {
    check_excerpts("docs/guide/commands.md", 3, &["tests/tests/commands.rs"]);
}

#[test]
fn excerpts_in_the_guide_to_idempotency_are_run() {
    check_excerpts("docs/guide/idempotency.md", 1, &["tests/tests/commands.rs"]);
}

#[test]
fn excerpts_in_the_guide_to_testing_are_run() {
    check_excerpts("docs/guide/testing.md", 4, &["tests/tests/testing_guide.rs", "tests/tests/claims_guide.rs"]);
}

#[test]
fn excerpts_in_the_guide_to_claims_are_run() {
    check_excerpts("docs/guide/claims.md", 8, &["tests/tests/claims_guide.rs"]);
}

#[test]
fn excerpts_in_the_guide_to_exception_reports_are_compiled_code() {
    let sources = [
        "examples/bank/src/owners.rs",
        "examples/bank/src/owners/review.rs",
        "examples/bank/src/owners/rule.rs",
        "tests/tests/promises/scanning_faults.rs",
    ];
    check_excerpts("docs/guide/exception-report.md", 3, &sources);
}

#[test]
fn excerpts_in_the_guide_to_transact_are_run() {
    let sources = ["examples/bank/src/transfer.rs", "examples/bank/src/transfer/in_steps.rs"];
    check_excerpts("docs/guide/transact.md", 2, &sources);
}

#[test]
fn every_bound_is_documented() {
    let page = file("docs/configuration.md");
    let runtime = format!("{:#?}", Config::default());
    let in_runtime = runtime.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name);
    let journal = file("crates/onefold-sled/src/config.rs");
    let setters = journal.split("setters! {\n").nth(1).and_then(|rest| rest.split("\n    }").next()).expect("setters");
    let in_journal = setters.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let in_journal = in_journal.filter_map(|line| line.split_once(": ")).map(|(name, _)| name);
    let bounds: Vec<&str> = in_runtime.chain(in_journal).collect();
    assert!(bounds.len() > 30, "{bounds:?}");
    let missing: Vec<_> = bounds.into_iter().filter(|bound| !page.contains(&format!("`{bound}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not name {missing:?}");
}
