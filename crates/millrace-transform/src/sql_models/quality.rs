//! Tests of rows: how many fail, some of them to be shown, all of them (up to a limit) kept.

use std::time::Instant;

use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryEngine as _, WriteMode};
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{ModelTest, Verdict};
use serde::Serialize;
use serde_json::Value;

use super::build::Builder;
use crate::engine::query;
use crate::steps::query_problem;

/// Failing rows that are shown.
const SHOWN: usize = 5;
/// Failing rows that are kept.
const KEPT: u64 = 10_000;

/// What became of a test.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// The model that it is about, if it is about one.
    pub model: Option<String>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// What became of it.
    pub status: TestStatus,
    /// Rows that fail.
    pub failures: u64,
    /// The first of them.
    pub rows: Vec<Value>,
    /// The dataset that has them, 10,000 at most.
    pub kept: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it could not be run.
    pub problem: Option<Problem>,
    /// Where it is written: `file:line`.
    pub place: String,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestStatus {
    /// No row fails, or few enough.
    Pass,
    /// Rows fail, and the build goes on.
    Warn,
    /// Rows fail.
    Fail,
    /// It could not be run.
    Error,
    /// What it reads failed.
    #[default]
    Skipped,
}

impl TestResult {
    fn of(test: &ModelTest, status: TestStatus) -> Self {
        Self {
            name: test.name.clone(),
            model: test.model.clone(),
            column: test.column.clone(),
            status,
            place: format!("{}:{}", test.place.file, test.place.line),
            ..Self::default()
        }
    }

    pub(super) fn skipped(test: &ModelTest) -> Self {
        Self::of(test, TestStatus::Skipped)
    }
}

impl Builder {
    pub(super) async fn test(&self, at: usize) -> TestResult {
        let began = Instant::now();
        let Some(test) = self.project.tests.get(at) else { return TestResult::default() };
        let mut result = match self.failing(test).await {
            Ok(result) => result,
            Err(problem) => TestResult { problem: Some(*problem), ..TestResult::of(test, TestStatus::Error) },
        };
        result.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let words = match (result.status, &result.problem) {
            (TestStatus::Error, Some(problem)) => format!("cannot be run: {}", problem.message),
            (TestStatus::Pass, _) => "passed".to_owned(),
            (TestStatus::Warn, _) => format!("{} rows fail, which is a warning", result.failures),
            _ => format!("{} rows fail", result.failures),
        };
        self.log.line(&format!("test {}: {words}", test.name));
        result
    }

    async fn failing(&self, test: &ModelTest) -> Result<TestResult, Box<Problem>> {
        let wrong =
            |error: millrace_contract::QueryError| Box::new(query_problem(&error).at(test.place.clone()));
        let planned = self.planner().test(test).await?;
        let mut rows = query::stream(planned.frame).await.map_err(wrong)?;
        let (mut failures, mut kept) = (0_u64, Vec::new());
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(wrong)?;
            let left = KEPT.saturating_sub(failures);
            failures += batch.num_rows() as u64;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
            if wanted > 0 {
                kept.push(batch.slice(0, wanted));
            }
        }
        let status = match test.limits.verdict(failures) {
            Verdict::Pass => TestStatus::Pass,
            Verdict::Warn => TestStatus::Warn,
            Verdict::Fail => TestStatus::Fail,
        };
        let mut result = TestResult { failures, ..TestResult::of(test, status) };
        if failures > 0 {
            let shown = kept.iter().scan(SHOWN, |left, batch| {
                let wanted = batch.num_rows().min(*left);
                *left -= wanted;
                (wanted > 0).then(|| batch.slice(0, wanted))
            });
            result.rows = crate::rows::to_json(&shown.collect::<Vec<_>>());
            let name = format!("failures_{}", test.name);
            let uri = self.services.catalog.location(&name).map_err(|error| {
                Box::new(millrace_contract::Explain::problem(&error).at(test.place.clone()))
            })?;
            let stream = BatchStream::from_batches(rows.schema.clone(), kept);
            let written = self.services.engine.write_table(&uri, stream, WriteMode::Overwrite).await;
            let asset = self.record(&name, written.map_err(wrong)?, &planned.inputs).await?;
            result.kept = Some(asset.label());
        }
        Ok(result)
    }
}
