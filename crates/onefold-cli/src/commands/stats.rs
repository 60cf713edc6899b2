//! `stats`: what takes how much space.

use onefold::admin::{self, Inspector, SpaceOf};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, bytes, number};

pub(super) fn run(inspector: &Inspector, output: &mut Output) -> Result<(), Failure> {
    let mut bar = output.bar();
    let space = admin::space(inspector, &mut |progress| bar.show(progress))?;
    drop(bar);
    let end = inspector.end();
    let kinds: [(&str, &str, SpaceOf); 6] = [
        ("blocks", "commits, in blocks", space.blocks),
        ("heads", "heads of streams", space.heads),
        ("index", "index of long streams", space.index),
        ("claims", "claims", space.claims),
        ("marks", "marks", space.marks),
        ("redo", "redo log, segments", space.redo),
    ];
    if output.is_json() {
        let mut object = json!({
            "commit": end.commit, "position": end.position,
            "store_bytes": space.store_bytes, "store_overhead_bytes": space.store_overhead_bytes,
            "other_bytes": space.other_bytes, "total_bytes": space.total_bytes, "free_bytes": space.free_bytes,
        });
        for (key, _, of) in kinds {
            object[key] = json!({ "entries": of.entries, "bytes": of.bytes });
        }
        return Ok(output.object(&object)?);
    }
    output.line(format!("last commit {}, last position {}", number(end.commit.get()), number(end.position.get())))?;
    let row = |what: &str, entries: String, size: u64| vec![what.to_owned(), entries, bytes(size)];
    let mut rows: Vec<_> = kinds.iter().map(|(_, what, of)| row(what, number(of.entries), of.bytes)).collect();
    rows.push(row("sled: structure and room to use again", String::new(), space.store_overhead_bytes));
    rows.push(row("beacon and lock", String::new(), space.other_bytes));
    rows.push(row("all files", String::new(), space.total_bytes));
    rows.push(row("free on this file system", String::new(), space.free_bytes));
    Ok(output.table(&["what", "entries", "bytes"], &[1, 2], &rows)?)
}
