//! `clue graph`: the stages as a drawing.

use std::process::ExitCode;

use super::out;
use super::session::Common;
use crate::engine::pipe::Pipe;
use crate::report::graph::{Drawing, Kind, Stage};

/// Arguments of `clue graph`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

/// Forms of a drawing.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Mermaid,
    Dot,
    Svg,
}

/// Prints the drawing.
pub fn graph(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => pipe,
        Err(code) => return code,
    };
    let drawing = drawing(&pipe);
    out(&match args.format {
        Format::Mermaid => drawing.mermaid(),
        Format::Dot => drawing.dot(),
        Format::Svg => drawing.svg(),
    });
    ExitCode::SUCCESS
}

fn drawing(pipe: &Pipe) -> Drawing {
    let stages = pipe.stages.iter().enumerate().map(|(at, stage)| {
        let build = pipe.build(at, Vec::new());
        let kind = if stage.verb.writes().is_some() {
            Kind::Output
        } else if !stage.verb.traces(&build).models.is_empty() {
            Kind::Asks
        } else {
            Kind::Plain
        };
        Stage {
            name: stage.spec.name.value.clone(),
            verb: stage.verb.name().to_owned(),
            kind,
            inputs: stage.inputs.clone(),
            with: stage.with.clone(),
        }
    });
    Drawing {
        title: pipe.pipeline.name.clone(),
        stages: stages.collect(),
        order: pipe.order.clone(),
    }
}
