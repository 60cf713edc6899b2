//! Replaces a marked block in a Markdown file and leaves the rest alone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const BEGIN: &str = "<!-- peers:begin -->";
const END: &str = "<!-- peers:end -->";

/// Puts `text` between the markers; a file or markers that are missing are made.
pub(crate) fn replace_in_file(file: &Path, text: &str) -> Result<(), String> {
    let old = match fs::read_to_string(file) {
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
    };
    let new = replaced(&old, text).map_err(|problem| format!("{}: {problem}", file.display()))?;
    fs::write(file, new).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn replaced(old: &str, text: &str) -> Result<String, String> {
    let block = format!("{BEGIN}\n{}\n{END}", text.trim_end());
    match (old.split_once(BEGIN), old.split_once(END)) {
        (None, None) if old.is_empty() => Ok(format!("{block}\n")),
        (None, None) => Ok(format!("{}\n\n{block}\n", old.trim_end())),
        (Some((before, rest)), Some(_)) => match rest.split_once(END) {
            Some((_, after)) => Ok(format!("{before}{block}{after}")),
            None => Err(format!("{END} stands before {BEGIN}")),
        },
        (Some(_), None) => Err(format!("{END} is missing")),
        (None, Some(_)) => Err(format!("{BEGIN} is missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "<!-- peers:begin -->\nnew\n<!-- peers:end -->";

    #[test]
    fn only_the_block_changes() {
        for (old, new) in [
            ("", format!("{NEW}\n")),
            ("# Results\n", format!("# Results\n\n{NEW}\n")),
            ("a\n<!-- peers:begin -->\nold\n<!-- peers:end -->\nb\n", format!("a\n{NEW}\nb\n")),
            ("<!-- peers:begin --><!-- peers:end -->", NEW.to_owned()),
        ] {
            let once = replaced(old, "new\n").expect("is well-formed");
            assert_eq!(once, new);
            assert_eq!(replaced(&once, "new\n"), Ok(once));
        }
    }

    #[test]
    fn half_a_block_is_an_error() {
        for old in ["<!-- peers:begin -->", "<!-- peers:end -->", "<!-- peers:end --> <!-- peers:begin -->"] {
            replaced(old, "new").expect_err(old);
        }
    }
}
