//! The views as TypeScript.

use ts_rs::{Config, TS};

use super::{
    approvals, compare, connections, copies, datasets, endpoints, environments, flows, inbox, json,
    lifecycle, logs, models, monitors, outside, pipelines, prompts, runs, sessions, sql, sql_models,
    timeline, traces, tracking, triggers, workspace,
};

/// Content of `web/src/api/types.gen.ts`. Regenerate it with `cargo xtask schema`.
#[allow(clippy::too_many_lines, reason = "a list of names")]
pub fn typescript() -> String {
    let config = Config::new().with_large_int("number");
    let mut text =
        String::from("// Written by `cargo xtask schema` from crates/millrace-api/src/views. Do not edit.\n");
    macro_rules! declare {
        ($($name:ty),* $(,)?) => {
            $(text.push_str("\nexport "); text.push_str(&<$name>::decl(&config)); text.push('\n');)*
        };
    }
    declare!(json::Json, json::JsonMap, json::NumberMap, json::TextMap);
    declare!(workspace::Place, workspace::Severity, workspace::Problem, workspace::WorkspaceView);
    declare!(sessions::SessionView, sessions::SignIn);
    declare!(workspace::SearchHit, workspace::EventView, workspace::KindView);
    declare!(
        pipelines::InputView,
        pipelines::OutputView,
        pipelines::PipelineStepView,
        pipelines::TriggerView
    );
    declare!(
        pipelines::PipelineSummary,
        pipelines::PipelineView,
        pipelines::RunCaller,
        pipelines::StartRun,
        pipelines::PlannedStepView
    );
    declare!(
        triggers::UpcomingView,
        triggers::LastFiringView,
        triggers::WindowCount,
        triggers::TriggerStatusView
    );
    declare!(triggers::WindowView, triggers::WindowDependencyView, triggers::WindowListView);
    declare!(triggers::WindowRange, triggers::WindowsChanged);
    declare!(
        runs::ParentView,
        runs::RunSummary,
        runs::RunPage,
        runs::ProgressView,
        runs::AttemptView,
        runs::ItemView,
        runs::ItemsView,
        runs::ItemPage,
        runs::StepView,
        runs::RunView
    );
    declare!(runs::WhyView, runs::CostView, runs::CriticalPathView);
    declare!(runs::CancelRuns, runs::CancelledRuns, runs::NotCancelled);
    declare!(
        compare::ValuePair,
        compare::NumberPair,
        compare::StepBrief,
        compare::StepPair,
        compare::RunComparison
    );
    declare!(timeline::TimelineRun, timeline::TimelineLane, timeline::TimelineView);
    declare!(logs::LogLineView, logs::DroppedView, logs::LogView, logs::LogEndView);
    declare!(logs::LogMatchView, logs::LogSearchView);
    declare!(inbox::InboxEventView, inbox::InboxCount, inbox::InboxPage, inbox::InboxEventDetail);
    declare!(inbox::EventTriggerView);
    declare!(
        tracking::ExperimentSummary,
        tracking::TrackedRun,
        tracking::TrackedRunPage,
        tracking::MetricPoint
    );
    declare!(tracking::MetricCurve, tracking::ArtifactFile);
    declare!(tracking::MetricSpread, tracking::RunGroupView, tracking::RunGroupList);
    declare!(datasets::FieldView, datasets::HistogramBin, datasets::TopValue, datasets::ColumnProfile);
    declare!(datasets::TableProfile, datasets::AssetKey, datasets::Producer, datasets::DatasetSummary);
    declare!(datasets::DatasetVersionView, datasets::DatasetView, datasets::TablePreview);
    declare!(sql::SqlRequest, sql::QueryTable, sql::WorkspaceFile);
    declare!(datasets::LineageEdge, datasets::LineageView);
    declare!(
        outside::OutsideRunView,
        outside::OutsideJobSummary,
        outside::OutsideUseView,
        outside::OutsideJobView,
        outside::OutsideColumnView,
        outside::OutsideUserView,
        outside::OutsideDatasetView
    );
    declare!(datasets::AliasTarget, datasets::TagValue, datasets::DatasetAlias);
    declare!(datasets::ColumnChange, datasets::SchemaDiff, datasets::DatasetRead);
    declare!(models::ModelColumn, models::ModelSignature, models::ModelSummary, models::OnnxView);
    declare!(
        models::OnnxPort,
        models::DatasetMetrics,
        models::ModelFolderView,
        models::ModelVersionView,
        models::ModelView
    );
    declare!(models::ModelCardView, models::WriteCard, models::ComparedRow, models::ModelComparison);
    declare!(
        models::RequestPromotion,
        models::CastVote,
        models::Withdraw,
        models::VoteView,
        models::PromotionView
    );
    declare!(
        endpoints::DeploymentView,
        endpoints::EndpointSummary,
        endpoints::TrafficPoint,
        endpoints::EndpointView
    );
    declare!(
        monitors::DriftColumn,
        monitors::MonitorSummary,
        monitors::MonitorReport,
        monitors::MonitorPoint
    );
    declare!(monitors::MonitorView, monitors::AlertChange, monitors::AlertView);
    declare!(
        approvals::ApprovalSubjectView,
        approvals::ApproverView,
        approvals::ApprovalDecisionView,
        approvals::ApprovalView,
        approvals::ApprovalPage,
        approvals::DecideApproval
    );
    declare!(environments::EnvironmentHoldView, environments::EnvironmentView);
    declare!(lifecycle::StorageUseView, lifecycle::ExperimentUse, lifecycle::StorageUseList);
    declare!(
        lifecycle::ExperimentLifecycle,
        lifecycle::RunLifecycle,
        lifecycle::RunIds,
        lifecycle::PurgeRuns
    );
    declare!(lifecycle::PurgeExperiment, lifecycle::KeptRun, lifecycle::PurgeOutcome, lifecycle::NewName);
    declare!(lifecycle::BestRuns, lifecycle::RetentionRulesView, lifecycle::RetentionView);
    declare!(lifecycle::RunName, lifecycle::RetentionPlanView, lifecycle::Changed);
    declare!(traces::AssessmentView, traces::TokenUsage, traces::TraceSummary, traces::TracePage);
    declare!(
        traces::PromptRef,
        traces::TraceView,
        traces::SpanSummary,
        traces::SpanEventView,
        traces::SpanView
    );
    declare!(prompts::PromptSummary, prompts::PromptPage, prompts::PromptVersionView, prompts::PromptView);
    declare!(prompts::WebhookView, prompts::WebhookList, prompts::DeliveryView);
    declare!(prompts::EvaluationDatasetView, prompts::EvaluationRecordView, prompts::EvaluationRecordPage);
    declare!(connections::ConnectionFamily, connections::ConnectionKindView);
    declare!(connections::ConnectionView, connections::ConnectionsView);
    declare!(connections::SaveConnection, connections::TryConnection, connections::TriedConnection);
    declare!(copies::PreviewCopy, copies::CopyPreview, copies::StartCopy);
    declare!(flows::FlowUse, flows::FlowSummary, flows::FlowKindView, flows::FlowPort, flows::FlowNodeView);
    declare!(flows::FlowModel, flows::FlowView, flows::CheckFlow, flows::FlowEdit, flows::EditFlow);
    declare!(flows::EditedFlow, flows::PreviewFlow, flows::SaveFlow);
    declare!(sql_models::SqlModelTest, sql_models::SqlModelColumn, sql_models::SqlModelSource);
    declare!(sql_models::SqlModelSummary, sql_models::SqlModels, sql_models::SqlModelView);
    declare!(prompts::LoggedModelMetric, prompts::LoggedModelView);
    text
}

#[cfg(test)]
mod tests {
    fn kept(file: &str) -> String {
        fs_err::read_to_string(format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default()
    }

    #[test]
    fn the_web_ui_has_these_types() {
        let file = "web/src/api/types.gen.ts";
        assert!(
            kept(file).trim_end() == super::typescript().trim_end(),
            "{file} differs from the views: run `cargo xtask schema`"
        );
    }

    #[test]
    fn the_api_is_documented_as_it_is() {
        let file = "docs/reference/openapi.json";
        let now = crate::openapi().unwrap();
        assert!(
            kept(file).trim_end() == now.trim_end(),
            "{file} differs from the routes: run `cargo xtask schema`"
        );
    }
}
