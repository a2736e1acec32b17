//! What the tasks of a wave are told beside the pipeline: the plan that they are part of, what each
//! does of it, and what the user agreed to. A task that finds anything else does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::Diagnostic;
use crate::engine::shard::Wave;
use crate::engine::survey::Survey;
use crate::hash::Hash;
use crate::plan::waves::Part;
use crate::trust::need::Need;

/// Orders of tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The plan.
    plan: Hash,
    /// What of each stage a task does; empty for who does all.
    parts: BTreeMap<String, Part>,
    /// What the user agreed to.
    agreed: BTreeSet<Hash>,
}

impl Orders {
    /// Orders to do a wave of a plan, or all of it.
    pub fn new(survey: &Survey, wave: Option<&Wave>, agreed: &[Need]) -> Orders {
        let parts = wave.map(|wave| {
            let all = survey.nodes.iter().zip(&wave.parts);
            let all = all.filter(|(_, part)| **part != Part::None);
            all.map(|(node, part)| (node.name.clone(), *part)).collect()
        });
        Orders {
            plan: plan_of(survey),
            parts: parts.unwrap_or_default(),
            agreed: agreed.iter().map(Need::hash).collect(),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(file: &Path) -> Result<Orders, Diagnostic> {
        let fault = |why: String| {
            Diagnostic::error(format!("cannot read orders `{}`: {why}", file.display()))
        };
        let bytes = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))
    }

    /// The orders as text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Checks that they are for this plan.
    ///
    /// # Errors
    /// Something has changed since.
    pub fn check(&self, survey: &Survey) -> Result<(), Diagnostic> {
        if self.plan == plan_of(survey) {
            return Ok(());
        }
        Err(Diagnostic::error(
            "the pipeline, its params or its files are not what this task was planned for",
        )
        .help("run `clue run` with `--executor` again once they are as they should be"))
    }

    /// The wave that they are for.
    pub fn wave(&self, survey: &Survey) -> Wave {
        let part = |name: &String| self.parts.get(name).copied().unwrap_or(Part::None);
        Wave {
            parts: survey.nodes.iter().map(|node| part(&node.name)).collect(),
        }
    }

    /// Those needs that were not agreed to.
    pub fn open(&self, needs: &[Need]) -> Vec<Need> {
        let new = |need: &&Need| !self.agreed.contains(&need.hash());
        needs.iter().filter(new).cloned().collect()
    }
}

/// Names a plan: all that its targets are made of. It stays the same while the cache fills.
pub fn plan_of(survey: &Survey) -> Hash {
    let targets = survey.targets.iter();
    let targets: BTreeMap<&str, Hash> = targets
        .map(|at| (survey.nodes[*at].name.as_str(), survey.planned[*at].recipe))
        .collect();
    Hash::of("clue plan v1", &targets)
}
