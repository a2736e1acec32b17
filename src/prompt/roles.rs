//! Role blocks: `{% system %}`, `{% user %}`, `{% assistant %}` and their ends become call
//! blocks, which Jinja knows, and `{% schema %}` blocks are taken out. Owns the rewriting and the
//! way back to the user's columns; lines stay as they are. Knows nothing of files or rendering,
//! or of what a schema says.

use std::ops::Range;

use super::scan::{Kind, Piece};
use crate::diag::{Diagnostic, FileId, Span};
use crate::text::is_space;

/// The function that a role block becomes a call of.
pub(super) const FUNCTION: &str = "__role";

const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// Tags that open a block.
const PAIRED: [&str; 12] = [
    "system",
    "user",
    "assistant",
    "if",
    "for",
    "macro",
    "call",
    "filter",
    "block",
    "set",
    "with",
    "autoescape",
];

/// A template as Jinja gets it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewritten {
    /// The text.
    pub text: String,
    /// True when there are role blocks.
    pub has_roles: bool,
    /// Where the texts of `schema` blocks stand in the user's file.
    pub schemas: Vec<Span>,
    /// Replaced parts: where they were, and where they are now.
    edits: Vec<(Range<usize>, Range<usize>)>,
}

impl Rewritten {
    /// The place in the user's file of a byte of the rewritten text.
    pub fn original(&self, at: usize) -> usize {
        let Some((old, new)) = self.edits.iter().rfind(|(_, new)| new.start <= at) else {
            return at;
        };
        if at < new.end {
            old.start
        } else {
            old.end + (at - new.end)
        }
    }

    /// The tag that the user wrote where the rewritten text has `at`, if it is a role's.
    pub fn tag_at<'t>(&self, at: Range<usize>, original: &'t str) -> Option<&'t str> {
        let hit = |new: &Range<usize>| new.start < at.end.max(at.start + 1) && at.start < new.end;
        let (old, _) = self.edits.iter().find(|(_, new)| hit(new))?;
        original.get(old.clone())
    }

    fn push(&mut self, original: &str, copied: &mut usize, old: Range<usize>, new: &str) {
        self.text.push_str(&original[*copied..old.start]);
        let start = self.text.len();
        self.text.push_str(new);
        self.edits.push((old.clone(), start..self.text.len()));
        *copied = old.end;
    }
}

/// Rewrites a template.
///
/// # Errors
/// Role blocks that do not match, and text that belongs to no turn.
pub(super) fn rewrite(
    text: &str,
    pieces: &[Piece],
    file: FileId,
) -> Result<Rewritten, Vec<Diagnostic>> {
    let span = |range: &Range<usize>| Span {
        file,
        start: range.start as u32,
        end: range.end as u32,
    };
    let mut out = Rewritten::default();
    let mut faults = Vec::new();
    let mut open: Option<(&str, &Piece)> = None;
    let mut copied = 0;
    // Blocks that are open, of whatever kind.
    let mut depth = 0_usize;
    for piece in pieces {
        if piece.kind == Kind::Schema {
            let lines = "\n".repeat(text[piece.range.clone()].matches('\n').count());
            let comment = format!("{{#{lines}#}}");
            out.push(text, &mut copied, piece.range.clone(), &comment);
            out.schemas.push(span(&piece.inner));
            if depth > 0 {
                faults.push(
                    Diagnostic::error("`schema` block inside of another block")
                        .at(span(&piece.range), "")
                        .help("put it outside: it is the same for all records"),
                );
            }
        }
        if piece.kind != Kind::Block {
            continue;
        }
        let (start, code) = piece.code(text);
        let word = code.split(|c: char| !c.is_alphanumeric()).next();
        match word.unwrap_or("") {
            word if word.starts_with("end") => depth = depth.saturating_sub(1),
            "set" if assigns(code) => {}
            word => depth += usize::from(PAIRED.contains(&word)),
        }
        if code == "schema" || code == "endschema" {
            let (what, help) = match code {
                "schema" => ("this `schema` block has no end", "{% endschema %}"),
                _ => ("`endschema` without a `schema` block", "{% schema %}"),
            };
            faults.push(
                Diagnostic::error(what)
                    .at(span(&piece.range), "")
                    .help(format!("the other end is `{help}`")),
            );
        }
        let old = start..start + code.len();
        if ROLES.contains(&code) {
            out.has_roles = true;
            out.push(
                text,
                &mut copied,
                old,
                &format!("call {FUNCTION}(\"{code}\")"),
            );
            if let Some((other, before)) = open {
                faults.push(
                    Diagnostic::error(format!("`{code}` block inside of a `{other}` block"))
                        .at(span(&piece.range), "")
                        .also(span(&before.range), "not closed before")
                        .help(format!("close it with `{{% end{other} %}}`")),
                );
            }
            open = Some((code, piece));
        } else if let Some(role) = code.strip_prefix("end").filter(|r| ROLES.contains(r)) {
            out.push(text, &mut copied, old, "endcall");
            match open.take() {
                Some((other, _)) if other == role => {}
                Some((other, before)) => faults.push(
                    Diagnostic::error(format!("`{code}` where `end{other}` is needed"))
                        .at(span(&piece.range), "")
                        .also(span(&before.range), "this block is open"),
                ),
                None => faults.push(
                    Diagnostic::error(format!("`{code}` without a `{role}` block"))
                        .at(span(&piece.range), ""),
                ),
            }
        }
    }
    if let Some((role, piece)) = open {
        faults.push(
            Diagnostic::error(format!("this `{role}` block has no end"))
                .at(span(&piece.range), "")
                .help(format!("close it with `{{% end{role} %}}`")),
        );
    }
    out.text.push_str(&text[copied..]);
    if faults.is_empty()
        && out.has_roles
        && let Some(stray) = stray(text, pieces)
    {
        faults.push(
            Diagnostic::error("text outside of the role blocks")
                .at(span(&stray), "belongs to no turn")
                .help("put it into a block such as `{% user %} … {% enduser %}`"),
        );
    }
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

/// The first text, up to the end of its line, that is in no block that takes text in: a
/// role's, a macro, a call, or a `set` without a value.
fn stray(text: &str, pieces: &[Piece]) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for piece in pieces {
        let (_, code) = piece.code(text);
        match piece.kind {
            Kind::Block => match code.split(|c: char| !c.is_alphanumeric()).next() {
                // What a child says outside of its parent's blocks is dropped by Jinja.
                Some("extends") => return None,
                Some("system" | "user" | "assistant" | "macro" | "call") => depth += 1,
                Some("set") if !assigns(code) => depth += 1,
                Some(
                    "endsystem" | "enduser" | "endassistant" | "endmacro" | "endcall" | "endset",
                ) => depth = depth.saturating_sub(1),
                _ => {}
            },
            Kind::Text if depth == 0 => {
                let inner = &text[piece.inner.clone()];
                if let Some(at) = inner.find(|c| !is_space(c)) {
                    let start = piece.inner.start + at;
                    let line = inner[at..].lines().next().unwrap_or("");
                    return Some(start..start + line.trim_end().len());
                }
            }
            _ => {}
        }
    }
    None
}

/// True for `set x = …`, false for `set x`, which takes the text up to its end.
fn assigns(code: &str) -> bool {
    code.find(['=', '|'])
        .is_some_and(|at| code.as_bytes()[at] == b'=')
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn run(text: &str) -> Result<Rewritten, Vec<String>> {
        rewrite(text, &scan(text), FileId(0))
            .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn lines_stay_and_columns_lead_back() {
        let text = "{%- user -%}\na {{ b }}\n{%+ enduser %} {{ c }}";
        let out = run(text).expect("fits");
        assert_eq!(
            out.text,
            "{%- call __role(\"user\") -%}\na {{ b }}\n{%+ endcall %} {{ c }}"
        );
        for name in ["a ", "b }", "c }", "{%- ", "{%+ "] {
            let (there, here) = (out.text.find(name), text.find(name));
            assert_eq!(there.map(|at| out.original(at)), here, "{name}");
        }
        let end = out.text.find("endcall").expect("there");
        assert_eq!(out.tag_at(end..end + 7, text), Some("enduser"));
    }

    #[test]
    fn blocks_have_to_match() {
        let faults = |text| run(text).expect_err("faults");
        assert_eq!(faults("{% user %}a"), ["this `user` block has no end"]);
        assert_eq!(
            faults("{% enduser %}"),
            ["`enduser` without a `user` block"]
        );
        assert_eq!(
            faults("{% user %}{% endsystem %}"),
            ["`endsystem` where `enduser` is needed"]
        );
        assert_eq!(
            faults("{% user %}{% system %}{% endsystem %}"),
            ["`system` block inside of a `user` block"]
        );
    }

    #[test]
    fn a_schema_is_taken_out_and_its_lines_stay() {
        let text = "a\n{% schema %}\n{\"b\": {}}\n{% endschema %}{{ c }}";
        let out = run(text).expect("fits");
        assert_eq!(out.text, "a\n{#\n\n#}{{ c }}");
        let at = |span: &Span| &text[span.start as usize..span.end as usize];
        let schemas: Vec<&str> = out.schemas.iter().map(at).collect();
        assert_eq!(schemas, ["\n{\"b\": {}}\n"]);
        let (there, here) = (out.text.find("c }"), text.find("c }"));
        assert_eq!(there.map(|at| out.original(at)), here);
        let faults = |text| run(text).expect_err("faults");
        assert_eq!(faults("{% schema %}{}"), ["this `schema` block has no end"]);
        assert_eq!(
            faults("{% endschema %}"),
            ["`endschema` without a `schema` block"]
        );
        for inside in [
            "{% user %}a{% schema %}{}{% endschema %}{% enduser %}",
            "{% if x %}{% schema %}{}{% endschema %}{% endif %}",
        ] {
            assert_eq!(faults(inside), ["`schema` block inside of another block"]);
        }
        assert!(run("{% set x = 1 %}{% schema %}{}{% endschema %}").is_ok());
    }

    #[test]
    fn only_text_that_would_be_lost_is_stray() {
        let stray = ["text outside of the role blocks"];
        assert_eq!(run("{% user %}a{% enduser %}\nb").expect_err("b"), stray);
        assert_eq!(
            run("{% for x in y %}b{% user %}a{% enduser %}{% endfor %}").expect_err("b"),
            stray
        );
        for fine in [
            "{# c #}{% user %}a{% enduser %}\n",
            "{% macro m(x) %}b{% endmacro %}{% user %}a{% enduser %}",
            "{% set t %}b{% endset %}{% set u = 1 %}{% user %}a{% enduser %}",
            "no roles: {{ x }}",
            "{% raw %}{% user %}{% endraw %}",
        ] {
            assert!(run(fine).is_ok(), "{fine}");
        }
    }
}
