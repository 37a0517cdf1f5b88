//! Pipelines of ours as others' files, as far as they can be said there.

mod activity;
pub(crate) mod azureml;
mod conditions;
pub(crate) mod data_factory;
mod expression;
mod triggers;

use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Place;

use crate::report::{Outcome, Report};

/// The beginning of a pipeline's file.
fn start(pipeline: &Pipeline) -> Place {
    Place { file: pipeline.file.clone(), line: 1, column: 1, length: 1 }
}

fn gap(report: &mut Report, step: &Step, message: String, hint: Option<&str>) {
    report.push(Outcome::NoCounterpart, &step.place, message, None, hint);
}

fn gap_of_file(report: &mut Report, pipeline: &Pipeline, message: String, hint: Option<&str>) {
    report.push(Outcome::NoCounterpart, &start(pipeline), message, None, hint);
}

/// What neither format has.
fn unsaid(pipeline: &Pipeline, report: &mut Report) {
    for step in pipeline.finally.values() {
        gap(report, step, format!("`finally` has no counterpart: `{}` is left out", step.id), None);
    }
    if pipeline.priority != 0 {
        gap_of_file(report, pipeline, "`priority` has no counterpart".to_owned(), None);
    }
    if pipeline.deadline.is_some() {
        gap_of_file(report, pipeline, "`deadline` has no counterpart".to_owned(), None);
    }
    for step in pipeline.steps.values() {
        if !step.pool.is_empty() {
            gap(report, step, format!("`pool` of `{}` has no counterpart", step.id), None);
        }
        if !step.retry.errors.is_empty() || step.retry.condition.is_some() {
            gap(
                report,
                step,
                format!("the rules of `retry` of `{}` have no counterpart: any failure counts", step.id),
                None,
            );
        }
    }
}
