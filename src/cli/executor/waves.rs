//! What is left to do, as the cache tells: the next wave, whether a share of one lacks anything,
//! and whether the end asks a model. Looks only.

use std::sync::Arc;

use crate::cli::how::Args;
use crate::cli::rehearse::{Notes, rehearse_with};
use crate::cli::run::wanted;
use crate::cli::shard::next_wave;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::shard::{Shard, Wave};
use crate::engine::stock::{Refused, Source};
use crate::engine::survey::{Survey, survey};
use crate::plan::waves::{self, Part};
use crate::store::Store;

/// A pipeline, and its cache as others fill it.
pub struct Waves<'a> {
    /// The command's arguments.
    pub args: &'a Args,
    /// The pipeline.
    pub pipe: &'a Arc<Pipe>,
}

impl Waves<'_> {
    /// The plan as it is now. The cache is opened anew each time, since others write to it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn survey(&self) -> Result<(Store, Survey), Diagnostic> {
        let store = Store::open_read(&self.args.common.settings.store)?;
        let survey = survey(self.pipe, &store, &wanted(self.args, self.pipe)?)?;
        Ok((store, survey))
    }

    /// The same for the first time: what is learnt of input files is kept.
    ///
    /// # Errors
    /// As [`Waves::survey`].
    pub fn first_survey(&self) -> Result<Survey, Diagnostic> {
        let store = Store::open(&self.args.common.settings.store)?;
        let survey = survey(self.pipe, &store, &wanted(self.args, self.pipe)?)?;
        // It only saves reading them again.
        let _ = store.save_stats();
        Ok(survey)
    }

    /// The next wave; none if the cache has all answers.
    ///
    /// # Errors
    /// As [`Waves::survey`].
    pub fn next(&self) -> Result<(Survey, Option<Wave>), Diagnostic> {
        let (store, survey) = self.survey()?;
        let wave = next_wave(self.pipe, &store, &survey)?;
        Ok((survey, wave))
    }

    /// Which of these shares of a wave are not all in the cache.
    ///
    /// # Errors
    /// As [`Waves::survey`].
    pub fn lacking(
        &self,
        wave: impl Fn(&Survey) -> Wave,
        shards: &[Shard],
    ) -> Result<Vec<bool>, Diagnostic> {
        let (store, survey) = self.survey()?;
        let wave = wave(&survey);
        let lacks = |shard: &Shard| {
            let plan = wave.plan(&survey, *shard);
            self.unanswered(&store, &plan, Refused::LetBe)
        };
        shards.iter().map(lacks).collect()
    }

    /// How many waves there will be, as far as can be told before the first.
    ///
    /// # Errors
    /// As [`Waves::survey`].
    pub fn expected(&self) -> Result<u32, Diagnostic> {
        let (survey, first) = self.next()?;
        let mut wave = first.map(|wave| wave.parts);
        let mut lacks: Vec<bool> = survey.nodes.iter().map(|node| node.asks).collect();
        let mut count = 0;
        while let Some(parts) = wave {
            count += 1;
            for (lacks, part) in lacks.iter_mut().zip(&parts) {
                *lacks &= *part == Part::None;
            }
            wave = waves::wave(&survey.nodes, &self.pipe.order, &survey.planned, &lacks);
        }
        Ok(count)
    }

    /// True if a run that does all the rest would ask a model.
    ///
    /// # Errors
    /// As [`Waves::survey`].
    pub fn asks(&self) -> Result<bool, Diagnostic> {
        let (store, survey) = self.survey()?;
        self.unanswered(&store, &survey, Refused::default())
    }

    fn unanswered(
        &self,
        store: &Store,
        survey: &Survey,
        refused: Refused,
    ) -> Result<bool, Diagnostic> {
        let notes = Notes::default();
        let (_, outcome) = rehearse_with(self.pipe, store, survey, Source::Later, &notes, refused)?;
        Ok(outcome.stages.iter().any(|stage| stage.unanswered))
    }
}
