//! What `clue plan` and `clue why` say: which stages run and why, and the calls that would be
//! made. Plain data in, text out (or JSON, through serde); knows neither planner nor cache.

use std::fmt::Write;

use serde::Serialize;

use super::paint::Paint;
use super::words::{about, count, thousands};

/// A plan as it is told.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its stages, in the order in which they are told.
    pub stages: Vec<PlanRow>,
    /// What the run would need the user's consent for, a line each.
    pub consent: Vec<String>,
}

/// A stage of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlanRow {
    /// Its name.
    #[serde(rename = "stage")]
    pub name: String,
    /// Its verb.
    pub verb: String,
    /// What happens to it.
    pub action: Action,
    /// Why it runs, a reason each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Its calls, if it asks a model and runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<CallCount>,
    /// How many records its output has, as far as that is known.
    #[serde(rename = "records", skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// What happens to a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Nothing: its output is there.
    #[serde(rename = "cached")]
    Fresh,
    /// Its output is read from the cache.
    #[serde(rename = "read")]
    Read,
    /// It runs.
    #[serde(rename = "run")]
    Run,
    /// Nothing: nobody needs it.
    #[serde(rename = "not needed")]
    NotNeeded,
}

/// The calls of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallCount {
    /// All that are known.
    pub total: u64,
    /// Those whose answers are in the cache.
    pub cached: u64,
    /// Those to make.
    #[serde(rename = "to_make")]
    pub missing: u64,
    /// True when answers that are not there yet may lead to more.
    pub at_least: bool,
    /// Tokens of the prompts of calls to make, estimated.
    pub prompt_tokens: u64,
    /// The most tokens that their answers may have; 0 if there is no limit.
    pub answer_tokens_at_most: u64,
}

impl Action {
    /// As it is told.
    pub fn word(self) -> &'static str {
        match self {
            Action::Fresh => "cached",
            Action::Read => "read",
            Action::Run => "run",
            Action::NotNeeded => "not needed",
        }
    }

    fn painted(self, paint: Paint) -> String {
        match self {
            Action::Fresh | Action::Read => paint.green(self.word()),
            Action::Run => paint.yellow(self.word()),
            Action::NotNeeded => paint.dim(self.word()),
        }
    }
}

impl CallCount {
    fn text(&self) -> String {
        let least = if self.at_least { "at least " } else { "" };
        let mut text = format!("{least}{} to make", count(self.missing, "call"));
        if self.cached > 0 {
            let _ = write!(text, ", {} cached", thousands(self.cached));
        }
        text
    }

    /// The tokens of calls to make; empty when there are none.
    fn tokens(&self) -> String {
        let mut text = String::new();
        if self.missing > 0 {
            let _ = write!(text, ", about {} prompt tokens", about(self.prompt_tokens));
            if self.answer_tokens_at_most > 0 {
                let most = thousands(self.answer_tokens_at_most);
                let _ = write!(text, ", at most {most} answer tokens");
            }
        }
        text
    }
}

impl PlanView {
    /// As text: a line for each stage, its reasons beneath, and the totals.
    pub fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let columns = Columns::of(&self.stages);
        for row in &self.stages {
            columns.write(row, paint, &mut text);
        }
        if !self.stages.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", paint.bold(&self.totals()));
        if !self.consent.is_empty() {
            text.push_str("the run needs your consent, because it would\n");
            for line in &self.consent {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// One stage, as text: why it runs, or that it does not. `None` if there is no such stage.
    pub fn why(&self, stage: &str, paint: Paint) -> Option<String> {
        let row = self.stages.iter().find(|row| row.name == stage)?;
        let name = paint.bold(&row.name);
        let mut text = match row.action {
            Action::Fresh => format!("{name} does not run: its output is in the cache\n"),
            Action::Read => {
                format!("{name} does not run: its output is read from the cache\n")
            }
            Action::NotNeeded => format!("{name} does not run: nothing needs its output\n"),
            Action::Run if row.why.is_empty() => format!("{name} runs\n"),
            Action::Run => format!("{name} runs because\n"),
        };
        for why in &row.why {
            let _ = writeln!(text, "  {why}");
        }
        if let Some(calls) = &row.calls {
            let _ = writeln!(text, "{}{}", calls.text(), calls.tokens());
        }
        Some(text)
    }

    fn totals(&self) -> String {
        let runs = self.stages.iter().filter(|row| row.action == Action::Run);
        let runs = runs.count() as u64;
        if runs == 0 {
            return "nothing to do".to_owned();
        }
        let mut all = CallCount::default();
        let mut bounded = true;
        for calls in self.stages.iter().filter_map(|row| row.calls.as_ref()) {
            all.missing += calls.missing;
            all.cached += calls.cached;
            all.at_least |= calls.at_least;
            all.prompt_tokens += calls.prompt_tokens;
            all.answer_tokens_at_most += calls.answer_tokens_at_most;
            // One stage without a limit leaves the sum without one.
            bounded &= calls.missing == 0 || calls.answer_tokens_at_most > 0;
        }
        if !bounded || all.at_least {
            all.answer_tokens_at_most = 0;
        }
        let stages = count(runs, "stage");
        if all.missing == 0 && !all.at_least {
            return format!("{stages} to run, no calls to make");
        }
        format!("{stages} to run, {}{}", all.text(), all.tokens())
    }
}

/// Widths of the columns, in characters.
struct Columns {
    name: usize,
    verb: usize,
    action: usize,
}

impl Columns {
    fn of(rows: &[PlanRow]) -> Columns {
        let width = |text: fn(&PlanRow) -> &str| {
            let widths = rows.iter().map(|row| text(row).chars().count());
            widths.max().unwrap_or(0)
        };
        Columns {
            name: width(|row| &row.name),
            verb: width(|row| &row.verb),
            action: width(|row| row.action.word()),
        }
    }

    fn write(&self, row: &PlanRow, paint: Paint, text: &mut String) {
        let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.chars().count()));
        let mut line = format!(
            "{}{}  {}{}  {}",
            row.name,
            pad(&row.name, self.name),
            row.verb,
            pad(&row.verb, self.verb),
            row.action.painted(paint),
        );
        let told = match (&row.calls, row.rows) {
            (Some(calls), _) => calls.text() + &calls.tokens(),
            (None, Some(rows)) => count(rows, "record"),
            (None, None) => String::new(),
        };
        if !told.is_empty() {
            let _ = write!(line, "{}  {told}", pad(row.action.word(), self.action));
        }
        let _ = writeln!(text, "{line}");
        for why in &row.why {
            let _ = writeln!(text, "{}    {}", pad("", self.name), paint.dim(why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, verb: &str, action: Action, why: &[&str]) -> PlanRow {
        PlanRow {
            name: name.to_owned(),
            verb: verb.to_owned(),
            action,
            why: why.iter().map(|why| (*why).to_owned()).collect(),
            calls: None,
            rows: None,
        }
    }

    fn view() -> PlanView {
        let mut asked = row(
            "statements",
            "generate",
            Action::Run,
            &["prompts/s.j2 line 12 changed"],
        );
        asked.calls = Some(CallCount {
            total: 1242,
            cached: 1230,
            missing: 12,
            at_least: false,
            prompt_tokens: 4271,
            answer_tokens_at_most: 12_000,
        });
        let mut notes = row("notes", "load", Action::Fresh, &[]);
        notes.rows = Some(4000);
        PlanView {
            pipeline: "medisumqa".to_owned(),
            stages: vec![
                notes,
                row("unused", "take", Action::NotNeeded, &[]),
                asked,
                row(
                    "out",
                    "write",
                    Action::Run,
                    &["reads new records", "param n 1 → 2"],
                ),
            ],
            consent: vec!["send data to http://gpu:8080/v1 (model `writer`)".to_owned()],
        }
    }

    #[test]
    fn a_plan_is_a_table_with_reasons_and_totals() {
        insta::assert_snapshot!(view().text(Paint::default()), @r"
        notes       load      cached      4,000 records
        unused      take      not needed
        statements  generate  run         12 calls to make, 1,230 cached, about 4,300 prompt tokens, at most 12,000 answer tokens
                      prompts/s.j2 line 12 changed
        out         write     run
                      reads new records
                      param n 1 → 2

        2 stages to run, 12 calls to make, 1,230 cached, about 4,300 prompt tokens, at most 12,000 answer tokens
        the run needs your consent, because it would
          send data to http://gpu:8080/v1 (model `writer`)
        ");
    }

    #[test]
    fn nothing_to_do_is_said() {
        let mut view = view();
        view.consent.clear();
        view.stages.truncate(2);
        insta::assert_snapshot!(view.text(Paint::default()), @r"
        notes   load  cached      4,000 records
        unused  take  not needed

        nothing to do
        ");
    }

    #[test]
    fn totals_promise_no_limit_that_may_not_hold() {
        let mut view = view();
        let mut more = row("more", "generate", Action::Run, &[]);
        more.calls = Some(CallCount {
            total: 1,
            missing: 1,
            at_least: true,
            prompt_tokens: 10,
            answer_tokens_at_most: 5,
            ..CallCount::default()
        });
        view.stages.push(more);
        insta::assert_snapshot!(view.totals(), @"3 stages to run, at least 13 calls to make, 1,230 cached, about 4,300 prompt tokens");
        view.stages.drain(..3);
        view.stages.pop();
        insta::assert_snapshot!(view.totals(), @"1 stage to run, no calls to make");
    }

    #[test]
    fn why_tells_one_stage() {
        let view = view();
        let why = |stage| view.why(stage, Paint::default());
        insta::assert_snapshot!(why("statements").unwrap(), @r"
        statements runs because
          prompts/s.j2 line 12 changed
        12 calls to make, 1,230 cached, about 4,300 prompt tokens, at most 12,000 answer tokens
        ");
        insta::assert_snapshot!(why("notes").unwrap(), @"notes does not run: its output is in the cache");
        assert!(why("none").is_none());
    }

    #[test]
    fn colours_do_not_move_columns() {
        let painted = view().text(Paint { on: true });
        assert!(painted.contains("\u{1b}[32mcached\u{1b}[0m      4,000 records"));
    }

    #[test]
    fn json_has_the_same_words() {
        let json = serde_json::to_string(&view().stages[2]).unwrap();
        insta::assert_snapshot!(json, @r#"{"stage":"statements","verb":"generate","action":"run","why":["prompts/s.j2 line 12 changed"],"calls":{"total":1242,"cached":1230,"to_make":12,"at_least":false,"prompt_tokens":4271,"answer_tokens_at_most":12000}}"#);
    }
}
