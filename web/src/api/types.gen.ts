// What the API answers, as crates/millrace-api/src/views says it. Field names are the wire's.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Place { file: string; line: number; column: number; length: number }
export interface Problem { code: string; severity: "error" | "warning"; message: string; place?: Place | null; notes?: string[]; hints?: string[] }

export interface WorkspaceView { name: string; timezone: string; version: string; path: string }

export interface InputView { name: string; type: string; default: Json; required: boolean; allowed: Json[] | null; description: string | null }
export interface PipelineStepView { id: string; kind: string; needs: string[]; finally: boolean; condition: string | null; outputs: { name: string; type: string }[] }
export interface PipelineSummary { name: string; description: string | null; file: string; steps: number; next_firing: string | null; recent_runs: RunSummary[]; problems: Problem[] }
export interface PipelineView { name: string; description: string | null; file: string; yaml: string; problems: Problem[]; inputs: InputView[]; steps: PipelineStepView[]; triggers: { name: string; cron: string; timezone: string | null; next_firing: string | null }[]; recent_runs: RunSummary[]; command: string }

export interface RunSummary { id: string; pipeline: string; status: string; trigger: string; created_at: string; started_at: string | null; ended_at: string | null; steps_total: number; steps_done: number; steps_cached: number; problem: Problem | null }
export interface RunPage { runs: RunSummary[]; next: string | null; total: number }
export interface ProgressView { fraction: number | null; rows: number | null; bytes: number | null; message: string | null }
export interface AttemptView { attempt: number; status: string; started_at: string | null; ended_at: string | null; problem: Problem | null; exit: string | null; peak_memory_bytes: number | null; cpu_ms: number | null }
export interface StepView {
  id: string; kind: string; status: string; needs: string[]; finally: boolean; attempts: AttemptView[];
  ready_at: string | null; started_at: string | null; ended_at: string | null; progress: ProgressView | null;
  inputs: { [key: string]: Json }; outputs: { [key: string]: Json }; metrics: { [key: string]: number };
  rows: number | null; bytes: number | null; cached_from: string | null; why: string[]; problem: Problem | null; tracking_run_id: string | null;
}
export interface RunView { run: RunSummary; inputs: { [key: string]: Json }; steps: StepView[]; yaml: string; command: string; experiment_id: string | null }
export interface LogChunk { text: string; offset: number; next_offset: number; size: number; first_error: number | null; ended: boolean }

export interface ExperimentSummary { id: string; name: string; runs: number; last_run_at: string | null }
export interface TrackedRun { id: string; name: string; experiment_id: string; status: string; start_time: string | null; end_time: string | null; params: { [key: string]: string }; metrics: { [key: string]: number }; tags: { [key: string]: string }; parent_id: string | null; pipeline_run_id: string | null; step: string | null }
export interface TrackedRunPage { runs: TrackedRun[]; next: string | null; total: number; metric_keys: string[]; param_keys: string[] }
export interface MetricPoint { step: number; at: string; value: number }
export interface MetricCurve { run_id: string; key: string; points: MetricPoint[] }
export interface ArtifactFile { path: string; is_dir: boolean; size_bytes: number | null }

export interface FieldView { name: string; type: string; nullable: boolean }
export interface HistogramBin { from: number; to: number; count: number }
export interface TopValue { value: string | null; count: number }
export interface ColumnProfile { name: string; data_type: string; nulls: number; distinct: number; min: Json; max: Json; mean: number | null; stddev: number | null; quantiles: number[]; top: TopValue[]; histogram: HistogramBin[] }
export interface TableProfile { rows: number; columns: ColumnProfile[] }
export interface AssetKey { kind: string; name: string; version: number }
export interface Producer { run_id: string; step: string | null }
export interface DatasetSummary { name: string; version: number; rows: number | null; size_bytes: number | null; columns: number; created_at: string; producer: Producer | null }
export interface DatasetVersionView { name: string; version: number; kind: string; uri: string; digest: string; rows: number | null; size_bytes: number | null; schema: FieldView[]; profile: TableProfile | null; producer: Producer | null; inputs: AssetKey[]; created_at: string }
export interface DatasetView { version: DatasetVersionView; versions: DatasetSummary[]; used_by: AssetKey[]; command: string }
export interface TablePreview { columns: FieldView[]; rows: Json[][]; truncated: boolean; elapsed_ms: number }
export interface LineageView { nodes: AssetKey[]; edges: { from: AssetKey; to: AssetKey; run_id: string | null; step: string | null }[] }

export interface ModelColumn { name: string; type: string; required: boolean }
export interface ModelSignature { inputs: ModelColumn[]; outputs: ModelColumn[] }
export interface ModelSummary { name: string; version: number; aliases: string[]; metrics: { [key: string]: number }; created_at: string; versions: number }
export interface OnnxView { ir_version: number; opset: number; producer: string; nodes: number; operators: { [key: string]: number }; parameters: number }
export interface ModelVersionView { name: string; version: number; uri: string; digest: string; size_bytes: number | null; aliases: string[]; metrics: { [key: string]: number }; signature: ModelSignature | null; task: string | null; description: string | null; producer: Producer | null; tracking_run_id: string | null; inputs: AssetKey[]; files: ArtifactFile[]; onnx: OnnxView | null; flavors: string[]; created_at: string }
export interface ModelView { version: ModelVersionView; versions: ModelSummary[]; endpoints: string[]; command: string }

export interface DeploymentView { name: string; model: string; version: number; traffic: number; status: string; requests: number; errors: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null }
export interface EndpointSummary { name: string; status: string; url: string; deployments: DeploymentView[]; requests: number; errors: number; p50_ms: number | null; p99_ms: number | null; updated_at: string | null }
export interface TrafficPoint { at: string; requests: number; errors: number; p50_ms: number | null; p99_ms: number | null }
export interface EndpointView { endpoint: EndpointSummary; signature: ModelSignature | null; example: { [key: string]: Json } | null; history: TrafficPoint[]; yaml: string | null; command: string }

export interface DriftColumn { column: string; kind: string; metric: string; score: number; threshold: number; p_value: number | null; adjusted_p: number | null; drifted: boolean; bins: string[]; reference: number[]; current: number[]; reason: string | null }
export interface MonitorSummary { name: string; kind: string; drifted: boolean; drifted_columns: number; columns: number; last_run_at: string | null; reference: string; current: string }
export interface MonitorReport { at: string; run_id: string | null; step: string | null; reference: string; current: string; columns: DriftColumn[]; drifted: boolean }
export interface MonitorView { monitor: MonitorSummary; latest: MonitorReport | null; history: { at: string; scores: { [column: string]: number }; drifted: boolean }[]; yaml: string | null; command: string }
export interface AlertView { name: string; state: string; expression: string; severity: string | null; since: string | null; value: number | null; threshold: number | null; channels: string[]; labels: { [key: string]: string }; history: { at: string; state: string; value: number | null }[] }

export interface SearchHit { kind: string; name: string; detail: string | null; path: string }
export interface EventView { kind: string; id: string; at: string }
