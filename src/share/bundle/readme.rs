//! The words for whoever finds a bundle: what it is, what is not in it, and what to do with it.
//! Pure.

use std::fmt::Write;

use super::manifest::{Level, Manifest};

/// Things left out that are named; of more, only their number is told.
const NAMED: usize = 12;

/// `README.md`.
pub fn readme(manifest: &Manifest, description: Option<&str>, file: &str) -> String {
    let name = &manifest.name;
    let mut text = format!("# {name}\n\n");
    if let Some(description) = description {
        let _ = writeln!(text, "{}\n", description.trim());
    }
    let level = match manifest.level {
        Level::Open => "`open`: everything that the run was made of and what came out",
        Level::NoInputs => {
            "`no-inputs`: no sensitive records, nor calls and outputs about them; salted hashes \
             stand for these"
        }
        Level::CodeOnly => "`code-only`: the pipeline's own files and hashes of the rest",
    };
    let _ = writeln!(
        text,
        "A run of the clue pipeline `{}`, made by clue {}. Level {level}.\n",
        manifest.pipeline, manifest.program
    );
    text.push_str("Not in it:\n\n");
    if manifest.left_out.is_empty() {
        text.push_str("- nothing was left out\n");
    }
    for left in manifest.left_out.iter().take(NAMED) {
        let _ = writeln!(text, "- {}: {}", left.what, left.why);
    }
    if let Some(more) = manifest
        .left_out
        .len()
        .checked_sub(NAMED)
        .filter(|n| *n > 0)
    {
        let _ = writeln!(text, "- {more} more: see `bundle.json`");
    }
    if !manifest.allowed.is_empty() {
        let _ = writeln!(
            text,
            "\nWhoever made it says that these files hold no words of sensitive records but such \
             as anybody may use: {}.",
            manifest.allowed.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "\nTo check it, and to repeat what can be repeated without a model:\n\n    clue verify \
         {file}\n    clue verify {file} --data FOLDER     with the data\n\n`pipeline.lock` says \
         what the run was made of, `bundle.json` what is in this file."
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::manifest::LeftOut;
    use super::*;

    #[test]
    fn what_is_left_out_is_told() {
        let mut manifest = Manifest {
            name: "p".to_owned(),
            pipeline: "project/p.yaml".to_owned(),
            program: "1.0".to_owned(),
            ..Manifest::default()
        };
        let text = readme(&manifest, Some("Six cases"), "p.clue.tar.zst");
        assert!(
            text.contains("Six cases") && text.contains("nothing was left out"),
            "{text}"
        );
        for number in 0..14 {
            manifest.left_out.push(LeftOut {
                what: format!("file {number}"),
                why: "too large".to_owned(),
            });
        }
        manifest.allowed.push("project/p.yaml".to_owned());
        let text = readme(&manifest, None, "p.clue.tar.zst");
        assert!(text.contains("- file 11: too large\n- 2 more"), "{text}");
        assert!(text.contains("anybody may use: project/p.yaml."), "{text}");
    }
}
