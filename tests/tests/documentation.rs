//! The documentation says what the code does: its excerpts are code, and no bound is missing.

use std::fs;
use std::path::Path;

use onefold::Config;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each guide with excerpts, and the files that those come from.
const GUIDES: [(&str, &[&str]); 3] = [
    (
        "docs/guide/embedding.md",
        &[
            "tests/examples/embedding_axum.rs",
            "tests/examples/embedding_tonic.rs",
            "tests/examples/embedding_worker.rs",
            "tests/examples/warehouse/article.rs",
            "tests/examples/warehouse/service.rs",
        ],
    ),
    ("docs/guide/testing.md", &["tests/tests/testing_guide.rs"]),
    (
        "docs/guide/exception-report.md",
        &[
            "examples/bank/src/owners.rs",
            "examples/bank/src/owners/review.rs",
            "examples/bank/src/owners/rule.rs",
            "tests/tests/promises/scanning_faults.rs",
        ],
    ),
];

#[test]
fn excerpts_in_the_guides_are_compiled_code() {
    for (guide, sources) in GUIDES {
        let code: Vec<_> = sources.iter().map(|source| file(source)).collect();
        let text = file(guide);
        let excerpts: Vec<&str> = text.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(excerpts.len() > 2, "{guide} has excerpts");
        for excerpt in excerpts {
            let found = code.iter().any(|code| code.contains(excerpt));
            assert!(found, "{guide} quotes what is in none of {sources:?}:\n{excerpt}");
        }
    }
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
