// Written by `cargo xtask schema` from crates/millrace-api/src/views. Do not edit.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type JsonMap = { [key: string]: Json };

export type NumberMap = { [key: string]: number };

export type TextMap = { [key: string]: string };

export type Place = { 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * Line, from 1.
 */
line: number, 
/**
 * Column in characters, from 1.
 */
column: number, 
/**
 * Characters to underline.
 */
length: number, };

export type Severity = "error" | "warning";

export type Problem = { 
/**
 * Stable kebab-case code.
 */
code: string, 
/**
 * Error or warning.
 */
severity: Severity, 
/**
 * One sentence.
 */
message: string, 
/**
 * Where, if a file is to blame.
 */
place?: Place | null, 
/**
 * Details, a line each.
 */
notes?: Array<string>, 
/**
 * Ways out: each is something to type or to edit.
 */
hints?: Array<string>, };

export type WorkspaceView = { 
/**
 * `name:` in millrace.yaml.
 */
name: string, 
/**
 * IANA zone of triggers that name none.
 */
timezone: string, 
/**
 * Version of Millrace.
 */
version: string, 
/**
 * Its folder.
 */
path: string, };

export type SessionView = { 
/**
 * Whether this server asks for a login.
 */
needs_login: boolean, 
/**
 * The login's name; where nobody logs in, the user whom the server runs as.
 */
name: string, 
/**
 * Whether everything is allowed.
 */
is_admin: boolean, 
/**
 * Whether roles and accounts are theirs to give.
 */
manages_accounts: boolean, 
/**
 * Whether a browser signed in here, and can sign out.
 */
signed_in: boolean, };

export type SignIn = { 
/**
 * Name of the account; `admin` with the server's own token.
 */
name: string, 
/**
 * Its password.
 */
password: string, };

export type SearchHit = { 
/**
 * `pipeline`, `run`, `dataset`, `model`, `experiment`, `endpoint` or `monitor`.
 */
kind: string, 
/**
 * Its name.
 */
name: string, 
/**
 * A few words about it.
 */
detail: string | null, 
/**
 * Path of its page.
 */
path: string, };

export type EventView = { 
/**
 * `run`, `step`, `progress`.
 */
kind: string, 
/**
 * What it happened to: a run's id.
 */
id: string, 
/**
 * When, RFC 3339.
 */
at: string, };

export type KindView = { 
/**
 * `step`, `transform`, `connector`, `trainer`, `drift_test`, `channel`, `trigger`.
 */
family: string, 
/**
 * The word users write.
 */
name: string, 
/**
 * One sentence.
 */
summary: string, 
/**
 * The whole text.
 */
description: string, 
/**
 * A working example, YAML.
 */
example: string, 
/**
 * JSON Schema of what stands under the key.
 */
schema: Json, };

export type InputView = { 
/**
 * Name.
 */
name: string, 
/**
 * Type word.
 */
type: string, 
/**
 * Value if none is given.
 */
default: Json, 
/**
 * Whether it must be given.
 */
required: boolean, 
/**
 * Allowed values.
 */
allowed: Array<Json> | null, 
/**
 * For people.
 */
description: string | null, };

export type OutputView = { 
/**
 * Name.
 */
name: string, 
/**
 * Type word.
 */
type: string, };

export type PipelineStepView = { 
/**
 * Its key.
 */
id: string, 
/**
 * The kind's word.
 */
kind: string, 
/**
 * Steps that come before.
 */
needs: Array<string>, 
/**
 * Whether it runs at the end whatever became of the others.
 */
finally: boolean, 
/**
 * `if:`.
 */
condition: string | null, 
/**
 * What it gives.
 */
outputs: Array<OutputView>, };

export type TriggerView = { 
/**
 * Its key.
 */
name: string, 
/**
 * The kind's word: `cron`, `every`, `window`, …
 */
kind: string, 
/**
 * The rule in words.
 */
description: string, 
/**
 * RFC 3339.
 */
next_firing: string | null, };

export type PipelineSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * One sentence.
 */
description: string | null, 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * How many steps.
 */
steps: number, 
/**
 * RFC 3339.
 */
next_firing: string | null, 
/**
 * Newest first.
 */
recent_runs: Array<RunSummary>, 
/**
 * What is wrong with its file.
 */
problems: Array<Problem>, };

export type PipelineView = { 
/**
 * Name.
 */
name: string, 
/**
 * One sentence.
 */
description: string | null, 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * The file's text.
 */
yaml: string, 
/**
 * What is wrong with it.
 */
problems: Array<Problem>, 
/**
 * Inputs.
 */
inputs: Array<InputView>, 
/**
 * Steps in the file's order.
 */
steps: Array<PipelineStepView>, 
/**
 * Triggers.
 */
triggers: Array<TriggerView>, 
/**
 * Newest first.
 */
recent_runs: Array<RunSummary>, 
/**
 * The command that runs it.
 */
command: string, };

export type RunCaller = { 
/**
 * Its word, for example `airflow`.
 */
system: string, 
/**
 * Where its own run is to be seen.
 */
url?: string, };

export type StartRun = { 
/**
 * Values of inputs; defaults stand in for the others.
 */
inputs?: JsonMap, 
/**
 * Run every step, reuse nothing.
 */
force?: boolean, 
/**
 * A date or an instant in the window that the run is about; the last complete window if absent.
 */
window?: string, 
/**
 * Run these steps, reuse nothing of them.
 */
force_steps?: Array<string>, 
/**
 * Only this step and what comes after it; what those need is taken over from earlier runs.
 */
from?: string, 
/**
 * Only this step; what it needs is taken over from earlier runs.
 */
only?: string, 
/**
 * Who asks, if it is another system; the run shows it.
 */
caller?: RunCaller, };

export type PlannedStepView = { 
/**
 * Its key.
 */
step: string, 
/**
 * The kind's word.
 */
kind: string, 
/**
 * `run`, `reuse`, `depends` (on what a step leaves that runs), `skip` or `fail`.
 */
action: string, 
/**
 * Why, one clause.
 */
why: string, 
/**
 * How many items it is done for, if that is known and it has items.
 */
items: number | null, 
/**
 * Of those, for how many an earlier result stands in.
 */
items_reused: number | null, 
/**
 * Why it cannot begin.
 */
problem: Problem | null, };

export type UpcomingView = { 
/**
 * RFC 3339, UTC.
 */
at: string, 
/**
 * The same in the trigger's zone.
 */
local: string, 
/**
 * What a change of the clock has to do with it.
 */
clock_change: string | null, };

export type LastFiringView = { 
/**
 * The instant it stands for, RFC 3339.
 */
at: string, 
/**
 * The run that it started.
 */
run_id: string | null, 
/**
 * That run's state word.
 */
status: string | null, 
/**
 * Why it started none.
 */
note: string | null, };

export type WindowCount = { 
/**
 * The state's word.
 */
state: string, 
/**
 * How many.
 */
windows: number, };

export type TriggerStatusView = { 
/**
 * Its pipeline.
 */
pipeline: string, 
/**
 * Its key.
 */
trigger: string, 
/**
 * The kind's word: `cron`, `every`, `window`, …
 */
kind: string, 
/**
 * The rule as written, in short.
 */
rule: string, 
/**
 * The rule in words.
 */
description: string, 
/**
 * IANA zone.
 */
timezone: string, 
/**
 * Whether somebody paused it.
 */
paused: boolean, 
/**
 * When it is expected next, RFC 3339.
 */
next_at: string | null, 
/**
 * The next instants.
 */
upcoming: Array<UpcomingView>, 
/**
 * The newest firing.
 */
last: LastFiringView | null, 
/**
 * Since when it should have fired, RFC 3339.
 */
overdue_since: string | null, 
/**
 * Why it does not fire, or did not last time.
 */
why: string | null, 
/**
 * Its windows by state.
 */
windows: Array<WindowCount>, };

export type WindowView = { 
/**
 * Its trigger.
 */
trigger: string, 
/**
 * Its first instant, RFC 3339 in the trigger's zone.
 */
start: string, 
/**
 * The instant after its last.
 */
end: string, 
/**
 * `waiting`, `waiting_on_dependency`, `running`, `succeeded`, `failed`, `cancelled` or `stale`.
 */
state: string, 
/**
 * Why it is in that state.
 */
reason: string | null, 
/**
 * Runs begun for it.
 */
attempt: number, 
/**
 * The newest of them.
 */
run_id: string | null, 
/**
 * When it may run, RFC 3339.
 */
due_at: string, };

export type WindowDependencyView = { 
/**
 * The trigger that waits.
 */
trigger: string, 
/**
 * The pipeline that it waits for; its own for an earlier window.
 */
pipeline: string, 
/**
 * Where the interval begins that it waits for, from the window's beginning.
 */
offset: string, 
/**
 * How long that interval is.
 */
size: string, 
/**
 * `all`, `at least 2`, `all but 1`.
 */
require: string, };

export type WindowListView = { 
/**
 * Its triggers with windows.
 */
triggers: Array<TriggerStatusView>, 
/**
 * What they wait for.
 */
dependencies: Array<WindowDependencyView>, 
/**
 * Pipelines whose windows wait for these.
 */
dependents: Array<string>, 
/**
 * Oldest first; if there are more than were asked for, the newest of them.
 */
windows: Array<WindowView>, };

export type WindowRange = { 
/**
 * Which trigger; the first with windows if absent.
 */
trigger?: string, 
/**
 * The first day, local time or instant.
 */
from: string, 
/**
 * The last day, included, or the instant that it ends before; the one window that `from` is in if absent.
 */
until?: string, };

export type WindowsChanged = { 
/**
 * How many.
 */
windows: number, };

export type ParentView = { 
/**
 * That run.
 */
run: string, 
/**
 * Its step, with its item: `score[3]`.
 */
step: string, };

export type RunSummary = { 
/**
 * 32 hex digits.
 */
id: string, 
/**
 * Counts the runs of its pipeline from 1.
 */
number: number, 
/**
 * Its pipeline.
 */
pipeline: string, 
/**
 * `queued`, `running`, `succeeded`, `failed` or `cancelled`.
 */
status: string, 
/**
 * What started it: `manual`, `cron`, …
 */
trigger: string, 
/**
 * RFC 3339.
 */
created_at: string, 
/**
 * RFC 3339.
 */
started_at: string | null, 
/**
 * RFC 3339.
 */
ended_at: string | null, 
/**
 * Steps in all.
 */
steps_total: number, 
/**
 * Steps that will not change any more.
 */
steps_done: number, 
/**
 * Steps whose earlier result stood in.
 */
steps_cached: number, 
/**
 * Why it failed.
 */
problem: Problem | null, 
/**
 * Whether somebody holds it: what runs goes on, nothing begins.
 */
paused: boolean, 
/**
 * The run whose step started it.
 */
parent: ParentView | null, 
/**
 * By when it is to be over, RFC 3339.
 */
deadline_at: string | null, 
/**
 * Whether it went on beyond its deadline.
 */
late: boolean, };

export type RunPage = { 
/**
 * The runs.
 */
runs: Array<RunSummary>, 
/**
 * `after` of the next page.
 */
next: string | null, 
/**
 * How many runs this page has.
 */
total: number, };

export type ProgressView = { 
/**
 * Share done, 0 to 1.
 */
fraction: number | null, 
/**
 * Rows so far.
 */
rows: number | null, 
/**
 * Bytes so far.
 */
bytes: number | null, 
/**
 * What it does now.
 */
message: string | null, };

export type AttemptView = { 
/**
 * From 1.
 */
attempt: number, 
/**
 * State word.
 */
status: string, 
/**
 * RFC 3339.
 */
started_at: string | null, 
/**
 * RFC 3339.
 */
ended_at: string | null, 
/**
 * Why it failed.
 */
problem: Problem | null, 
/**
 * How its process ended.
 */
exit: string | null, 
/**
 * What it used.
 */
cost: CostView, };

export type ItemView = { 
/**
 * From 0.
 */
index: number, 
/**
 * Its name among steps, for logs and outputs: `train[3]`.
 */
step: string, 
/**
 * What people know it by.
 */
label: string, 
/**
 * State word.
 */
status: string, 
/**
 * Attempts begun.
 */
attempts: number, 
/**
 * RFC 3339.
 */
started_at: string | null, 
/**
 * RFC 3339.
 */
ended_at: string | null, 
/**
 * What it left: plain values and assets.
 */
outputs: JsonMap, 
/**
 * Why it ran, was reused or waits; a sentence each.
 */
why: Array<string>, 
/**
 * Why it failed.
 */
problem: Problem | null, };

export type ItemsView = { 
/**
 * How many.
 */
total: number, 
/**
 * Of those, how many never began.
 */
not_begun: number, 
/**
 * How many are in each state, of those that have begun.
 */
counts: { [key in string]: number }, 
/**
 * The first that failed.
 */
failures: Array<ItemView>, };

export type ItemPage = { 
/**
 * Those that have begun.
 */
items: Array<ItemView>, 
/**
 * `after` of the next page.
 */
next: number | null, };

export type StepView = { 
/**
 * Its key.
 */
id: string, 
/**
 * The kind's word.
 */
kind: string, 
/**
 * `pending`, `running`, `waiting`, `retrying`, `succeeded`, `cached`, `failed`, `timed_out`, `rejected`, `skipped` or
 * `cancelled`.
 */
status: string, 
/**
 * Steps that come before.
 */
needs: Array<string>, 
/**
 * Whether it runs at the end whatever became of the others.
 */
finally: boolean, 
/**
 * Oldest first.
 */
attempts: Array<AttemptView>, 
/**
 * RFC 3339; when its needs were met.
 */
ready_at: string | null, 
/**
 * RFC 3339.
 */
started_at: string | null, 
/**
 * RFC 3339.
 */
ended_at: string | null, 
/**
 * How far it is, while it runs.
 */
progress: ProgressView | null, 
/**
 * `inputs:` as written.
 */
inputs: JsonMap, 
/**
 * What it left: plain values and assets.
 */
outputs: JsonMap, 
/**
 * Numbers it logged.
 */
metrics: NumberMap, 
/**
 * Rows it read or wrote.
 */
rows: number | null, 
/**
 * Bytes it moved.
 */
bytes: number | null, 
/**
 * What its attempts used.
 */
cost: CostView, 
/**
 * The run whose result stood in.
 */
cached_from: string | null, 
/**
 * Why it ran, was reused or skipped; a sentence each.
 */
why: Array<string>, 
/**
 * Why it failed.
 */
problem: Problem | null, 
/**
 * The tracked run that it logs into.
 */
tracking_run_id: string | null, 
/**
 * What it is done for, in numbers; `/api/runs/{id}/steps/{step}/items` lists it.
 */
items: ItemsView | null, 
/**
 * The run that it started and waits for.
 */
sub_run: string | null, };

export type RunView = { 
/**
 * The run.
 */
run: RunSummary, 
/**
 * Resolved inputs.
 */
inputs: JsonMap, 
/**
 * Steps in the file's order.
 */
steps: Array<StepView>, 
/**
 * What the run's attempts used.
 */
cost: CostView, 
/**
 * What set its length.
 */
critical_path: CriticalPathView, 
/**
 * The pipeline's file as it is now; empty if it is gone.
 */
yaml: string, 
/**
 * The definition that the run began with, as its file would be written.
 */
definition: string, 
/**
 * The command that starts such a run again.
 */
command: string, 
/**
 * The experiment its tracked runs are in.
 */
experiment_id: string | null, };

export type WhyView = { 
/**
 * The step.
 */
step: string, 
/**
 * Its state word.
 */
status: string, 
/**
 * A sentence each.
 */
why: Array<string>, };

export type CostView = { 
/**
 * User plus system processor time, milliseconds.
 */
cpu_ms: number | null, 
/**
 * Processor time in the programs, milliseconds.
 */
cpu_user_ms: number | null, 
/**
 * Processor time in the kernel, milliseconds.
 */
cpu_system_ms: number | null, 
/**
 * Largest resident memory of a process.
 */
peak_memory_bytes: number | null, 
/**
 * Bytes that the processes read from files and pipes.
 */
read_bytes: number | null, 
/**
 * Bytes that the processes wrote to files and pipes.
 */
written_bytes: number | null, };

export type CriticalPathView = { 
/**
 * From the first to the last.
 */
steps: Array<string>, 
/**
 * How long they waited for a slot, milliseconds.
 */
queued_ms: number, 
/**
 * How long they worked, milliseconds.
 */
worked_ms: number, };

export type CancelRuns = { 
/**
 * Their ids; at most 500.
 */
runs: Array<string>, };

export type CancelledRuns = { 
/**
 * Those that were asked to end.
 */
cancelled: Array<string>, 
/**
 * Those that were not.
 */
failed: Array<NotCancelled>, };

export type NotCancelled = { 
/**
 * Its id.
 */
run: string, 
/**
 * Why.
 */
problem: Problem, };

export type ValuePair = { 
/**
 * Its name.
 */
name: string, 
/**
 * In the first run; absent if it has none.
 */
a?: Json, 
/**
 * In the second run; absent if it has none.
 */
b?: Json, };

export type NumberPair = { 
/**
 * Its name.
 */
name: string, 
/**
 * In the first run.
 */
a: number | null, 
/**
 * In the second run.
 */
b: number | null, };

export type StepBrief = { 
/**
 * The kind's word.
 */
kind: string, 
/**
 * State word.
 */
status: string, 
/**
 * How many there were.
 */
attempts: number, 
/**
 * How long it waited for a slot, milliseconds.
 */
queued_ms: number | null, 
/**
 * How long it worked, milliseconds.
 */
took_ms: number | null, 
/**
 * Rows it read or wrote.
 */
rows: number | null, 
/**
 * What its attempts used.
 */
cost: CostView, };

export type StepPair = { 
/**
 * Its key.
 */
step: string, 
/**
 * In the first run; `null` if it has no such step.
 */
a: StepBrief | null, 
/**
 * In the second run.
 */
b: StepBrief | null, 
/**
 * Outputs that differ.
 */
outputs: Array<ValuePair>, 
/**
 * Numbers of either.
 */
metrics: Array<NumberPair>, };

export type RunComparison = { 
/**
 * The first run.
 */
a: RunSummary, 
/**
 * The second run.
 */
b: RunSummary, 
/**
 * What the first used.
 */
cost_a: CostView, 
/**
 * What the second used.
 */
cost_b: CostView, 
/**
 * Inputs that differ.
 */
inputs: Array<ValuePair>, 
/**
 * The definition that the first began with.
 */
definition_a: string, 
/**
 * The definition that the second began with.
 */
definition_b: string, 
/**
 * Steps in the order of the first run, then those that only the second has.
 */
steps: Array<StepPair>, };

export type TimelineRun = { 
/**
 * 32 hex digits.
 */
id: string, 
/**
 * Counts the runs of its pipeline from 1.
 */
number: number, 
/**
 * State word.
 */
status: string, 
/**
 * What started it.
 */
trigger: string, 
/**
 * When it was made.
 */
created_ms: number, 
/**
 * When its first step could begin.
 */
started_ms: number | null, 
/**
 * When it was over.
 */
ended_ms: number | null, };

export type TimelineLane = { 
/**
 * The pipeline.
 */
pipeline: string, 
/**
 * Newest first.
 */
runs: Array<TimelineRun>, };

export type TimelineView = { 
/**
 * Milliseconds since 1970.
 */
from_ms: number, 
/**
 * Milliseconds since 1970.
 */
to_ms: number, 
/**
 * Pipelines that have runs then, by name.
 */
lanes: Array<TimelineLane>, 
/**
 * Set if there are more runs than one answer has: what was made before this instant is not all here.
 */
whole_since_ms: number | null, };

export type LogLineView = { 
/**
 * From 0, over all streams.
 */
number: number, 
/**
 * When it came, milliseconds since 1970; `null` where nobody noted it.
 */
at_ms: number | null, 
/**
 * `stdout`, `stderr`, or `system` for what Millrace says.
 */
stream: string, 
/**
 * Without its newline, secrets masked, with the sequences that colour it.
 */
text: string, 
/**
 * Whether it is longer than what is shown.
 */
cut: boolean, };

export type DroppedView = { 
/**
 * `stdout` or `stderr`.
 */
stream: string, 
/**
 * Bytes that are missing.
 */
bytes: number, 
/**
 * Why: `` `max_log` is reached ``, or `the disk is full`.
 */
reason: string, 
/**
 * Number of the line that stands in their place.
 */
line: number, };

export type LogView = { 
/**
 * The attempt, from 1.
 */
attempt: number, 
/**
 * In order.
 */
lines: Array<LogLineView>, 
/**
 * Number of the line to read on with.
 */
next: number, 
/**
 * Lines so far.
 */
total: number, 
/**
 * Bytes so far.
 */
bytes: number, 
/**
 * Whether nothing more will come.
 */
ended: boolean, 
/**
 * What is missing, since the program said more than is kept; known when nothing more will come.
 */
dropped: Array<DroppedView>, };

export type LogEndView = { 
/**
 * Lines of the log.
 */
total: number, 
/**
 * What is missing.
 */
dropped: Array<DroppedView>, };

export type LogMatchView = { 
/**
 * The line.
 */
line: LogLineView, 
/**
 * Lines before it.
 */
before: Array<LogLineView>, 
/**
 * Lines behind it.
 */
after: Array<LogLineView>, };

export type LogSearchView = { 
/**
 * Lines that were looked at.
 */
looked_at: number, 
/**
 * Lines of the log.
 */
total: number, 
/**
 * Matches that were told.
 */
matches: number, 
/**
 * Whether there may be more than those: `from` of the next search is `looked_at`.
 */
more: boolean, };

export type InboxEventView = { 
/**
 * 32 hex digits.
 */
id: string, 
/**
 * Pipeline of the trigger that it is for.
 */
pipeline: string, 
/**
 * Name of the trigger.
 */
trigger: string, 
/**
 * What happened: `github.push`, `file.created`, …
 */
type: string, 
/**
 * Where it happened.
 */
source: string, 
/**
 * What it happened to.
 */
subject: string | null, 
/**
 * `waiting`, `held`, `started`, `filtered` or `dead`.
 */
status: string, 
/**
 * Why it is held, started nothing, or failed.
 */
why: string | null, 
/**
 * Tries that failed.
 */
attempts: number, 
/**
 * How often the same came again.
 */
repeats: number, 
/**
 * The run that it started.
 */
run_id: string | null, 
/**
 * RFC 3339.
 */
received_at: string, 
/**
 * RFC 3339; when it is tried again, if it is.
 */
next_at: string | null, 
/**
 * RFC 3339.
 */
settled_at: string | null, };

export type InboxCount = { 
/**
 * The state.
 */
status: string, 
/**
 * How many.
 */
events: number, };

export type InboxPage = { 
/**
 * The events.
 */
events: Array<InboxEventView>, 
/**
 * `after` of the next page.
 */
next: string | null, 
/**
 * How many events are in each state.
 */
counts: Array<InboxCount>, };

export type InboxEventDetail = { 
/**
 * The event.
 */
event: InboxEventView, 
/**
 * What `event` is in expressions.
 */
value: Json, };

export type EventTriggerView = { 
/**
 * Pipeline.
 */
pipeline: string, 
/**
 * Name of the trigger.
 */
trigger: string, 
/**
 * `webhook`, `git`, `blob`, …
 */
kind: string, 
/**
 * What it watches, in a few words.
 */
watches: string, 
/**
 * Where requests go, if it takes some.
 */
hook: string | null, 
/**
 * RFC 3339; when its source was read or found changed last, if it is asked.
 */
asked_at: string | null, 
/**
 * RFC 3339; when its source told of something last.
 */
found_at: string | null, 
/**
 * Why its source could not be asked.
 */
error: string | null, };

export type ExperimentSummary = { 
/**
 * Its id.
 */
id: string, 
/**
 * Its name.
 */
name: string, 
/**
 * How many runs.
 */
runs: number, 
/**
 * RFC 3339.
 */
last_run_at: string | null, };

export type TrackedRun = { 
/**
 * 32 hex digits.
 */
id: string, 
/**
 * Name for people.
 */
name: string, 
/**
 * Its experiment.
 */
experiment_id: string, 
/**
 * MLflow's word.
 */
status: string, 
/**
 * RFC 3339.
 */
start_time: string | null, 
/**
 * RFC 3339.
 */
end_time: string | null, 
/**
 * Parameters.
 */
params: TextMap, 
/**
 * Last value of each metric.
 */
metrics: NumberMap, 
/**
 * Tags.
 */
tags: TextMap, 
/**
 * The run it is nested in.
 */
parent_id: string | null, 
/**
 * The pipeline run that made it.
 */
pipeline_run_id: string | null, 
/**
 * And the step.
 */
step: string | null, 
/**
 * Where its files are, `mlflow-artifacts:/…` if this server keeps them.
 */
artifact_uri: string, };

export type TrackedRunPage = { 
/**
 * The runs.
 */
runs: Array<TrackedRun>, 
/**
 * Token of the next page.
 */
next: string | null, 
/**
 * How many runs there are in all.
 */
total: number, 
/**
 * Every metric of these runs.
 */
metric_keys: Array<string>, 
/**
 * Every parameter of these runs.
 */
param_keys: Array<string>, };

export type MetricPoint = { 
/**
 * Step.
 */
step: number, 
/**
 * RFC 3339.
 */
at: string, 
/**
 * The number.
 */
value: number, };

export type MetricCurve = { 
/**
 * The run.
 */
run_id: string, 
/**
 * The metric.
 */
key: string, 
/**
 * In the order of steps.
 */
points: Array<MetricPoint>, };

export type ArtifactFile = { 
/**
 * Relative path.
 */
path: string, 
/**
 * Whether it is a folder.
 */
is_dir: boolean, 
/**
 * Its size.
 */
size_bytes: number | null, };

export type MetricSpread = { 
/**
 * How many runs have it.
 */
count: number, 
/**
 * Their mean.
 */
mean: number, 
/**
 * The least.
 */
min: number, 
/**
 * The largest.
 */
max: number, };

export type RunGroupView = { 
/**
 * The value; null for runs that have none.
 */
value: string | null, 
/**
 * How many runs.
 */
runs: number, 
/**
 * What each metric is, in the order in which they were asked for; null if no run of the group has it.
 */
metrics: Array<MetricSpread | null>, };

export type RunGroupList = { 
/**
 * The groups, the first thousand in the order asked for.
 */
groups: Array<RunGroupView>, 
/**
 * How many groups there are.
 */
total: number, 
/**
 * How many runs there are in all.
 */
runs: number, };

export type FieldView = { 
/**
 * Name.
 */
name: string, 
/**
 * Arrow type as text.
 */
type: string, 
/**
 * Whether nulls may occur.
 */
nullable: boolean, };

export type HistogramBin = { 
/**
 * Lower edge.
 */
from: number, 
/**
 * Upper edge.
 */
to: number, 
/**
 * Rows.
 */
count: number, };

export type TopValue = { 
/**
 * As text; null for null.
 */
value: string | null, 
/**
 * Rows.
 */
count: number, };

export type ColumnProfile = { 
/**
 * Name.
 */
name: string, 
/**
 * Arrow type as text.
 */
data_type: string, 
/**
 * Nulls.
 */
nulls: number, 
/**
 * Distinct values, estimated.
 */
distinct: number, 
/**
 * Smallest value.
 */
min: Json, 
/**
 * Largest value.
 */
max: Json, 
/**
 * Mean, for numbers.
 */
mean: number | null, 
/**
 * Sample standard deviation, for numbers.
 */
stddev: number | null, 
/**
 * 0.05, 0.25, 0.5, 0.75, 0.95.
 */
quantiles: Array<number>, 
/**
 * The commonest values.
 */
top: Array<TopValue>, 
/**
 * Bins of equal width.
 */
histogram: Array<HistogramBin>, };

export type TableProfile = { 
/**
 * Rows that were read.
 */
rows: number, 
/**
 * In the schema's order.
 */
columns: Array<ColumnProfile>, };

export type AssetKey = { 
/**
 * `dataset`, `model`, `source`, `endpoint`; `job` and `outside` for what others told of.
 */
kind: string, 
/**
 * Name, or a source's URL.
 */
name: string, 
/**
 * Version; 0 for things without.
 */
version: number, };

export type Producer = { 
/**
 * Run id.
 */
run_id: string, 
/**
 * Step id.
 */
step: string | null, };

export type DatasetSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * Version.
 */
version: number, 
/**
 * Rows.
 */
rows: number | null, 
/**
 * Bytes on disk.
 */
size_bytes: number | null, 
/**
 * How many columns.
 */
columns: number, 
/**
 * RFC 3339.
 */
created_at: string, 
/**
 * Who made it.
 */
producer: Producer | null, 
/**
 * Those that point at it.
 */
aliases: Array<string>, };

export type DatasetVersionView = { 
/**
 * Name.
 */
name: string, 
/**
 * Version.
 */
version: number, 
/**
 * `table`, `folder` or `file`.
 */
kind: string, 
/**
 * Where it lies.
 */
uri: string, 
/**
 * Of its content.
 */
digest: string, 
/**
 * Rows.
 */
rows: number | null, 
/**
 * Bytes on disk.
 */
size_bytes: number | null, 
/**
 * Columns.
 */
schema: Array<FieldView>, 
/**
 * Statistics.
 */
profile: TableProfile | null, 
/**
 * Who made it.
 */
producer: Producer | null, 
/**
 * What it was made from.
 */
inputs: Array<AssetKey>, 
/**
 * RFC 3339.
 */
created_at: string, 
/**
 * Those that point at it.
 */
aliases: Array<string>, 
/**
 * Its tags.
 */
tags: TextMap, };

export type DatasetView = { 
/**
 * The version asked for.
 */
version: DatasetVersionView, 
/**
 * All versions, newest first.
 */
versions: Array<DatasetSummary>, 
/**
 * What was made from this version.
 */
used_by: Array<AssetKey>, 
/**
 * Tags of the dataset itself.
 */
tags: TextMap, 
/**
 * The command that shows it.
 */
command: string, };

export type TablePreview = { 
/**
 * Columns.
 */
columns: Array<FieldView>, 
/**
 * One array per row, in the order of the columns.
 */
rows: Array<Array<Json>>, 
/**
 * Whether there are more.
 */
truncated: boolean, 
/**
 * How long it took.
 */
elapsed_ms: number, };

export type SqlRequest = { 
/**
 * The query; `$1`, `$2`, … stand for `params`.
 */
sql: string, 
/**
 * Bound values: null, booleans, numbers, text.
 */
params?: Array<Json>, 
/**
 * Rows to stop after; 200 if absent, at most 10,000.
 */
limit?: number, 
/**
 * Time after which it is ended, milliseconds; 30,000 if absent, at most 110,000.
 */
timeout_ms?: number, };

export type QueryTable = { 
/**
 * Name.
 */
name: string, 
/**
 * Newest version.
 */
version: number, 
/**
 * Rows of it.
 */
rows: number | null, 
/**
 * In order.
 */
columns: Array<FieldView>, };

export type WorkspaceFile = { 
/**
 * Last part of its path.
 */
name: string, 
/**
 * Path relative to the workspace.
 */
path: string, 
/**
 * Whether it holds others.
 */
is_folder: boolean, 
/**
 * Whether a query can read it.
 */
is_table: boolean, 
/**
 * Size of a file.
 */
size_bytes: number | null, };

export type LineageEdge = { 
/**
 * Made from this.
 */
from: AssetKey, 
/**
 * This was made.
 */
to: AssetKey, 
/**
 * How: `made`, `read`, `evaluated` or `serves`.
 */
tie: string, 
/**
 * By this run.
 */
run_id: string | null, 
/**
 * In this step.
 */
step: string | null, };

export type LineageView = { 
/**
 * Every asset once.
 */
nodes: Array<AssetKey>, 
/**
 * Every arrow once.
 */
edges: Array<LineageEdge>, 
/**
 * Names of the tracked runs, by id.
 */
run_names: TextMap, 
/**
 * Whether there is more than is shown.
 */
cut: boolean, };

export type OutsideRunView = { 
/**
 * Its id there.
 */
id: string, 
/**
 * `running`, `succeeded`, `failed`, `cancelled` or `unknown`.
 */
state: string, 
/**
 * RFC 3339.
 */
started_at: string | null, 
/**
 * RFC 3339.
 */
ended_at: string | null, 
/**
 * Why it failed, if that was told.
 */
error: string | null, };

export type OutsideJobSummary = { 
/**
 * By which lineage has it: namespace, `/`, name.
 */
key: string, 
/**
 * Whose it is.
 */
namespace: string, 
/**
 * Its name there.
 */
name: string, 
/**
 * Who told of it.
 */
producer: string, 
/**
 * Its newest run.
 */
latest: OutsideRunView | null, 
/**
 * When it was last told of, RFC 3339.
 */
updated_at: string, };

export type OutsideUseView = { 
/**
 * Its name there: namespace, `/`, name.
 */
dataset: string, 
/**
 * The dataset of this workspace that it is.
 */
asset: AssetKey | null, 
/**
 * Whether the job writes it.
 */
writes: boolean, 
/**
 * When it last did, RFC 3339.
 */
used_at: string, };

export type OutsideJobView = { 
/**
 * The job.
 */
job: OutsideJobSummary, 
/**
 * Its runs, newest first.
 */
runs: Array<OutsideRunView>, 
/**
 * What it reads and writes.
 */
uses: Array<OutsideUseView>, 
/**
 * Facets of OpenLineage by name.
 */
facets: Json, };

export type OutsideColumnView = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its type there, if that was told.
 */
type: string | null, };

export type OutsideUserView = { 
/**
 * The job: namespace, `/`, name.
 */
job: string, 
/**
 * Whether the job writes it.
 */
writes: boolean, 
/**
 * When it last did, RFC 3339.
 */
used_at: string, };

export type OutsideDatasetView = { 
/**
 * By which lineage has it: namespace, `/`, name.
 */
key: string, 
/**
 * Where it is.
 */
namespace: string, 
/**
 * Its name there.
 */
name: string, 
/**
 * Its columns, as far as they were told.
 */
columns: Array<OutsideColumnView>, 
/**
 * Jobs that read or write it.
 */
users: Array<OutsideUserView>, 
/**
 * Facets of OpenLineage by name.
 */
facets: Json, };

export type AliasTarget = { 
/**
 * The version.
 */
version: number, };

export type TagValue = { 
/**
 * Any text.
 */
value: string, };

export type DatasetAlias = { 
/**
 * Alias.
 */
alias: string, 
/**
 * The version that it points at.
 */
version: number, };

export type ColumnChange = { 
/**
 * Name.
 */
column: string, 
/**
 * `added`, `removed`, `type`, `nullability` or `moved`.
 */
change: string, 
/**
 * How it was; null for a new one.
 */
before: FieldView | null, 
/**
 * How it is; null for one that is gone.
 */
after: FieldView | null, 
/**
 * Whether who reads the old version can fail on the new one.
 */
breaking: boolean, };

export type SchemaDiff = { 
/**
 * The old one.
 */
from: DatasetSummary, 
/**
 * The new one.
 */
to: DatasetSummary, 
/**
 * In the order of the new columns, then what is gone.
 */
changes: Array<ColumnChange>, };

export type DatasetRead = { 
/**
 * Pipeline run, or a tracked run where there is no step.
 */
run_id: string, 
/**
 * The pipeline, or the tracked run's name.
 */
name: string, 
/**
 * Step of the pipeline.
 */
step: string | null, 
/**
 * Kind of step, or what MLflow's client read it for.
 */
context: string | null, 
/**
 * RFC 3339.
 */
at: string | null, };

export type ModelColumn = { 
/**
 * Name.
 */
name: string, 
/**
 * MLflow's type word.
 */
type: string, 
/**
 * Whether a row without it is refused.
 */
required: boolean, };

export type ModelSignature = { 
/**
 * Takes.
 */
inputs: Array<ModelColumn>, 
/**
 * Gives.
 */
outputs: Array<ModelColumn>, };

export type ModelSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * Version.
 */
version: number, 
/**
 * Aliases that point at it.
 */
aliases: Array<string>, 
/**
 * MLflow's stage: `None`, `Staging`, `Production` or `Archived`.
 */
stage: string, 
/**
 * Evaluation metrics.
 */
metrics: NumberMap, 
/**
 * RFC 3339.
 */
created_at: string, 
/**
 * How many versions the model has.
 */
versions: number, };

export type OnnxView = { 
/**
 * IR version.
 */
ir_version: number, 
/**
 * Opset.
 */
opset: number, 
/**
 * Who wrote it.
 */
producer: string, 
/**
 * Nodes.
 */
nodes: number, 
/**
 * Nodes by operator.
 */
operators: NumberMap, 
/**
 * Numbers in its initialisers.
 */
parameters: number, 
/**
 * What it takes.
 */
inputs: Array<OnnxPort>, 
/**
 * What it gives.
 */
outputs: Array<OnnxPort>, };

export type OnnxPort = { 
/**
 * Name.
 */
name: string, 
/**
 * Type of its elements.
 */
element: string, 
/**
 * A number, a name or `?` for each dimension.
 */
shape: Array<string>, };

export type DatasetMetrics = { 
/**
 * Dataset; empty for numbers that name none.
 */
dataset: string, 
/**
 * Its version, if it is one of ours.
 */
version: number | null, 
/**
 * Who judged: a pipeline run or a tracked run.
 */
run_id: string, 
/**
 * Step of the pipeline run.
 */
step: string | null, 
/**
 * By name.
 */
metrics: NumberMap, };

export type ModelFolderView = { 
/**
 * Flavors of its `MLmodel`.
 */
flavors: Array<string>, 
/**
 * What it takes and gives.
 */
signature: ModelSignature | null, 
/**
 * `classification` or `regression`.
 */
task: string | null, 
/**
 * Its ONNX file, if it has one.
 */
onnx: OnnxView | null, };

export type ModelVersionView = { 
/**
 * Name.
 */
name: string, 
/**
 * Version.
 */
version: number, 
/**
 * Where it lies.
 */
uri: string, 
/**
 * Of its content.
 */
digest: string, 
/**
 * Bytes on disk.
 */
size_bytes: number | null, 
/**
 * Aliases that point at it.
 */
aliases: Array<string>, 
/**
 * MLflow's stage: `None`, `Staging`, `Production` or `Archived`.
 */
stage: string, 
/**
 * Its tags.
 */
tags: TextMap, 
/**
 * Evaluation metrics.
 */
metrics: NumberMap, 
/**
 * What it takes and gives.
 */
signature: ModelSignature | null, 
/**
 * `classification` or `regression`.
 */
task: string | null, 
/**
 * For people.
 */
description: string | null, 
/**
 * Who trained it.
 */
producer: Producer | null, 
/**
 * The tracked run.
 */
tracking_run_id: string | null, 
/**
 * A page that shows the run, if it is tracked elsewhere.
 */
run_link: string | null, 
/**
 * What it was made from.
 */
inputs: Array<AssetKey>, 
/**
 * Its folder in the artifact store, if it lies there.
 */
artifact_path: string | null, 
/**
 * Its ONNX file, if it has one.
 */
onnx: OnnxView | null, 
/**
 * Why its ONNX file cannot be shown.
 */
onnx_problem: string | null, 
/**
 * An input it was logged with, as its client wrote it.
 */
input_example: Json | null, 
/**
 * Its numbers by the data they are about.
 */
metrics_by_dataset: Array<DatasetMetrics>, 
/**
 * Flavors of its `MLmodel`.
 */
flavors: Array<string>, 
/**
 * RFC 3339.
 */
created_at: string, };

export type ModelView = { 
/**
 * What all its versions are for.
 */
description: string | null, 
/**
 * Tags of the model itself.
 */
tags: TextMap, 
/**
 * The version asked for.
 */
version: ModelVersionView, 
/**
 * All versions, newest first.
 */
versions: Array<ModelSummary>, 
/**
 * Endpoints that serve it.
 */
endpoints: Array<string>, 
/**
 * The command that shows it.
 */
command: string, };

export type ModelCardView = { 
/**
 * What people wrote, Markdown; null if nobody did.
 */
written: string | null, 
/**
 * Number of that text, from 1; 0 without one.
 */
revision: number, 
/**
 * Who wrote it.
 */
written_by: string | null, 
/**
 * RFC 3339.
 */
written_at: string | null, 
/**
 * What is known, Markdown: data, metrics, lineage, signature.
 */
generated: string, };

export type WriteCard = { 
/**
 * Markdown; at most 256 KiB.
 */
content: string, 
/**
 * Who writes; the name of the login if there is one.
 */
by?: string, };

export type ComparedRow = { 
/**
 * `facts`, `metrics`, `params`, `data`, `signature` or `onnx`.
 */
group: string, 
/**
 * What is compared.
 */
name: string, 
/**
 * One for each version, in their order; null where a version has none.
 */
values: Array<string | null>, 
/**
 * Whether they are not all the same.
 */
differs: boolean, };

export type ModelComparison = { 
/**
 * In the order asked for.
 */
versions: Array<ModelSummary>, 
/**
 * By group and name.
 */
rows: Array<ComparedRow>, };

export type RequestPromotion = { 
/**
 * Version.
 */
version: number, 
/**
 * Alias.
 */
alias: string, 
/**
 * Why.
 */
comment: string, 
/**
 * Approvals wanted; at least those that the model's tag `millrace.approvals` asks for.
 */
approvals?: number, 
/**
 * Who asks; the name of the login if there is one.
 */
by?: string, };

export type CastVote = { 
/**
 * For or against.
 */
approve: boolean, 
/**
 * Why; a no needs one.
 */
comment: string, 
/**
 * Who; the name of the login if there is one.
 */
by?: string, };

export type Withdraw = { 
/**
 * Who; the name of the login if there is one.
 */
by?: string, };

export type VoteView = { 
/**
 * Who.
 */
by: string, 
/**
 * For or against.
 */
approve: boolean, 
/**
 * Why.
 */
comment: string, 
/**
 * RFC 3339.
 */
at: string, };

export type PromotionView = { 
/**
 * Id.
 */
id: string, 
/**
 * Model.
 */
model: string, 
/**
 * Version.
 */
version: number, 
/**
 * Alias.
 */
alias: string, 
/**
 * Digest of the content that was asked about.
 */
digest: string, 
/**
 * Approvals that it needs.
 */
approvals: number, 
/**
 * Who may vote: `user:NAME`, `group:NAME`, `role:NAME`.
 */
approvers: Array<string>, 
/**
 * `pending`, `approved`, `rejected`, `withdrawn` or `outdated`.
 */
state: string, 
/**
 * Why.
 */
comment: string, 
/**
 * Who asked.
 */
by: string, 
/**
 * RFC 3339.
 */
at: string, 
/**
 * When it was decided, RFC 3339.
 */
decided_at: string | null, 
/**
 * The version that the alias pointed at before.
 */
replaced: number | null, 
/**
 * Oldest first.
 */
votes: Array<VoteView>, };

export type DeploymentView = { 
/**
 * Name.
 */
name: string, 
/**
 * Model.
 */
model: string, 
/**
 * Its version.
 */
version: number, 
/**
 * Per cent of the requests.
 */
traffic: number, 
/**
 * `ready`, `loading` or `failed`.
 */
status: string, 
/**
 * Requests since the server began.
 */
requests: number, 
/**
 * Of them failed.
 */
errors: number, 
/**
 * Median latency.
 */
p50_ms: number | null, 
/**
 * 95th percentile.
 */
p95_ms: number | null, 
/**
 * 99th percentile.
 */
p99_ms: number | null, };

export type EndpointSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * `ready`, `loading` or `failed`.
 */
status: string, 
/**
 * Address that scores rows.
 */
url: string, 
/**
 * What is behind it.
 */
deployments: Array<DeploymentView>, 
/**
 * Requests since the server began.
 */
requests: number, 
/**
 * Of them failed.
 */
errors: number, 
/**
 * Median latency.
 */
p50_ms: number | null, 
/**
 * 99th percentile.
 */
p99_ms: number | null, 
/**
 * RFC 3339.
 */
updated_at: string | null, };

export type TrafficPoint = { 
/**
 * Begin of the interval, RFC 3339.
 */
at: string, 
/**
 * Requests.
 */
requests: number, 
/**
 * Of them failed.
 */
errors: number, 
/**
 * Median latency.
 */
p50_ms: number | null, 
/**
 * 99th percentile.
 */
p99_ms: number | null, };

export type EndpointView = { 
/**
 * The endpoint.
 */
endpoint: EndpointSummary, 
/**
 * What it takes and gives.
 */
signature: ModelSignature | null, 
/**
 * A row that it takes.
 */
example: JsonMap | null, 
/**
 * Oldest first.
 */
history: Array<TrafficPoint>, 
/**
 * Its file, if it has one.
 */
yaml: string | null, 
/**
 * A command that calls it.
 */
command: string, };

export type DriftColumn = { 
/**
 * Column.
 */
column: string, 
/**
 * `numeric` or `categorical`.
 */
kind: string, 
/**
 * Which measure.
 */
metric: string, 
/**
 * Its value.
 */
score: number, 
/**
 * From here on it counts as drifted.
 */
threshold: number, 
/**
 * Of the test, if there is one.
 */
p_value: number | null, 
/**
 * Adjusted for many columns.
 */
adjusted_p: number | null, 
/**
 * Whether it drifted.
 */
drifted: boolean, 
/**
 * Names of the bins.
 */
bins: Array<string>, 
/**
 * Share of reference rows in each bin.
 */
reference: Array<number>, 
/**
 * Share of current rows in each bin.
 */
current: Array<number>, 
/**
 * Why, a sentence.
 */
reason: string | null, };

export type MonitorSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * What it watches: `drift`, `quality`.
 */
kind: string, 
/**
 * Whether the last run found drift.
 */
drifted: boolean, 
/**
 * In how many columns.
 */
drifted_columns: number, 
/**
 * Of how many.
 */
columns: number, 
/**
 * RFC 3339.
 */
last_run_at: string | null, 
/**
 * The reference data.
 */
reference: string, 
/**
 * The data watched.
 */
current: string, };

export type MonitorReport = { 
/**
 * RFC 3339.
 */
at: string, 
/**
 * The run that made it.
 */
run_id: string | null, 
/**
 * And the step.
 */
step: string | null, 
/**
 * The reference data.
 */
reference: string, 
/**
 * The data watched.
 */
current: string, 
/**
 * Column by column.
 */
columns: Array<DriftColumn>, 
/**
 * Whether it found drift.
 */
drifted: boolean, };

export type MonitorPoint = { 
/**
 * RFC 3339.
 */
at: string, 
/**
 * Score by column.
 */
scores: NumberMap, 
/**
 * Whether it found drift.
 */
drifted: boolean, };

export type MonitorView = { 
/**
 * The monitor.
 */
monitor: MonitorSummary, 
/**
 * Its newest result.
 */
latest: MonitorReport | null, 
/**
 * Oldest first.
 */
history: Array<MonitorPoint>, 
/**
 * Its file, if it has one.
 */
yaml: string | null, 
/**
 * The command that runs it.
 */
command: string, };

export type AlertChange = { 
/**
 * RFC 3339.
 */
at: string, 
/**
 * Its new state.
 */
state: string, 
/**
 * The value that made it change.
 */
value: number | null, };

export type AlertView = { 
/**
 * Name.
 */
name: string, 
/**
 * `ok`, `pending`, `firing` or `resolved`.
 */
state: string, 
/**
 * What it watches.
 */
expression: string, 
/**
 * For people.
 */
severity: string | null, 
/**
 * RFC 3339; in this state since.
 */
since: string | null, 
/**
 * Last value.
 */
value: number | null, 
/**
 * Limit.
 */
threshold: number | null, 
/**
 * Who is told.
 */
channels: Array<string>, 
/**
 * Labels.
 */
labels: TextMap, 
/**
 * Oldest first.
 */
history: Array<AlertChange>, };

export type ApprovalSubjectView = { 
/**
 * `model`, `table`, another type of asset, `value`, or `run` for the run's plan.
 */
kind: string, 
/**
 * For people: `churn@3`.
 */
label: string, 
/**
 * Of the content that it is about.
 */
digest: string, 
/**
 * What it was found by, `model:churn@challenger`.
 */
reference: string | null, 
/**
 * Name of a registered model or dataset.
 */
name: string | null, 
/**
 * Its version.
 */
version: number | null, };

export type ApproverView = { 
/**
 * `user:NAME`, `group:NAME` or `role:NAME`.
 */
name: string, 
/**
 * Who that is now; absent if no file says so, as of administrators.
 */
people: Array<string> | null, };

export type ApprovalDecisionView = { 
/**
 * Who.
 */
by: string, 
/**
 * Yes or no.
 */
approve: boolean, 
/**
 * As what: the approvers that the person was one of.
 */
as: Array<string>, 
/**
 * Why.
 */
comment: string, 
/**
 * `api` or `command`.
 */
via: string, 
/**
 * RFC 3339.
 */
at: string, };

export type ApprovalView = { 
/**
 * Id.
 */
id: string, 
/**
 * `waiting`, `approved`, `rejected`, `void` or `withdrawn`.
 */
state: string, 
/**
 * Run that waits.
 */
run: string, 
/**
 * Its pipeline.
 */
pipeline: string, 
/**
 * Its step.
 */
step: string, 
/**
 * The environment whose rules ask; absent for an `approve` step.
 */
environment: string | null, 
/**
 * What is to be approved.
 */
subject: ApprovalSubjectView, 
/**
 * What the people who are asked should know.
 */
message: string, 
/**
 * Who started the run; absent if a trigger did.
 */
asked_by: string | null, 
/**
 * Whether that person may approve it.
 */
own: boolean, 
/**
 * RFC 3339.
 */
asked_at: string, 
/**
 * RFC 3339.
 */
deadline: string | null, 
/**
 * `reject`, `approve`, or who is asked then.
 */
on_timeout: string, 
/**
 * When others were asked too, RFC 3339.
 */
escalated_at: string | null, 
/**
 * Who may decide.
 */
approvers: Array<ApproverView>, 
/**
 * Whether somebody of each of them must approve.
 */
each: boolean, 
/**
 * Approvals that it needs.
 */
needed: number, 
/**
 * Approvals that it has.
 */
given: number, 
/**
 * What it waits for, one clause.
 */
waits_for: string | null, 
/**
 * What is to be filled in.
 */
form: Array<InputView>, 
/**
 * What was filled in.
 */
values: JsonMap, 
/**
 * Oldest first.
 */
decisions: Array<ApprovalDecisionView>, 
/**
 * Why it ended so.
 */
reason: string | null, 
/**
 * When it ended, RFC 3339.
 */
decided_at: string | null, 
/**
 * As whom the caller would decide.
 */
caller: string, 
/**
 * Whether a login says so; else decisions may name anybody.
 */
logged_in: boolean, 
/**
 * Why the caller may not approve it; absent if they may.
 */
may_not: string | null, };

export type ApprovalPage = { 
/**
 * Those of steps and environments.
 */
approvals: Array<ApprovalView>, 
/**
 * Requests to promote a version of a model; only on the first page.
 */
promotions: Array<PromotionView>, 
/**
 * How many wait in all, requests to promote included.
 */
waiting: number, 
/**
 * `after` of the next page.
 */
next: string | null, };

export type DecideApproval = { 
/**
 * Yes or no.
 */
approve: boolean, 
/**
 * Why; a no needs one.
 */
comment?: string, 
/**
 * Values of the form; defaults, or what was filled in before, stand in for the others.
 */
form?: JsonMap, 
/**
 * Who, on a server that asks nobody who they are.
 */
by?: string, };

export type EnvironmentHoldView = { 
/**
 * Run.
 */
run: string, 
/**
 * Its pipeline.
 */
pipeline: string, 
/**
 * The step that took it.
 */
step: string, 
/**
 * RFC 3339.
 */
since: string, };

export type EnvironmentView = { 
/**
 * Name.
 */
name: string, 
/**
 * One sentence.
 */
description: string | null, 
/**
 * Endpoints that belong to it.
 */
endpoints: Array<string>, 
/**
 * Who approves each deployment: `user:NAME`, `group:NAME` or `role:NAME`.
 */
approvers: Array<string>, 
/**
 * How many of them must; absent if somebody of each.
 */
approvals: number | null, 
/**
 * Branches that runs may come from; any if empty.
 */
branches: Array<string>, 
/**
 * When it may be deployed into: `mon-fri 09:00 to 17:00 (Europe/Berlin)`.
 */
hours: string | null, 
/**
 * Whether it is within its hours.
 */
open: boolean, 
/**
 * When that changes, RFC 3339.
 */
open_changes_at: string | null, 
/**
 * Whether one run at a time has it.
 */
exclusive: boolean, 
/**
 * The run that has it.
 */
held_by: EnvironmentHoldView | null, 
/**
 * Numbers that a model must have reached, a clause each.
 */
evaluation: Array<string>, 
/**
 * Approvals that wait for deployments into it.
 */
waiting: number, };

export type StorageUseView = { 
/**
 * Runs that were measured.
 */
runs: number, 
/**
 * Latest values, parameters and tags, compressed.
 */
document_bytes: number, 
/**
 * Histories of metrics, compressed.
 */
point_bytes: number, 
/**
 * Files of runs and of the models that they logged.
 */
artifact_bytes: number, 
/**
 * How many files.
 */
files: number, 
/**
 * Traces.
 */
traces: number, 
/**
 * Their spans, compressed.
 */
trace_bytes: number, 
/**
 * All of these bytes.
 */
total_bytes: number, 
/**
 * When the oldest part was measured, RFC 3339.
 */
measured_at: string | null, };

export type ExperimentUse = { 
/**
 * Its id.
 */
id: string, 
/**
 * Its name.
 */
name: string, 
/**
 * Since when it is deleted, RFC 3339.
 */
deleted_at: string | null, 
/**
 * Whether it is deleted.
 */
deleted: boolean, 
/**
 * What it takes.
 */
storage: StorageUseView, };

export type StorageUseList = { 
/**
 * The largest first, deleted ones too.
 */
experiments: Array<ExperimentUse>, 
/**
 * Folders of purged runs whose files are still to be deleted.
 */
waiting_folders: number, 
/**
 * Those of them that could not be deleted so far.
 */
failing_folders: number, };

export type ExperimentLifecycle = { 
/**
 * Its id.
 */
id: string, 
/**
 * Its name.
 */
name: string, 
/**
 * Whether it is deleted.
 */
deleted: boolean, 
/**
 * Since when, RFC 3339.
 */
deleted_at: string | null, 
/**
 * Runs, deleted ones too.
 */
runs: number, 
/**
 * Logged models, deleted ones too.
 */
models: number, 
/**
 * What it takes.
 */
storage: StorageUseView, };

export type RunLifecycle = { 
/**
 * Its id.
 */
id: string, 
/**
 * Whether it is deleted.
 */
deleted: boolean, 
/**
 * What it takes, measured now.
 */
storage: StorageUseView, };

export type RunIds = { 
/**
 * Their ids, 10,000 at most.
 */
ids: Array<string>, };

export type PurgeRuns = { 
/**
 * Their ids, 10,000 at most.
 */
ids: Array<string>, 
/**
 * Also those that are not deleted.
 */
force: boolean, 
/**
 * Only say what would go.
 */
dry_run: boolean, };

export type PurgeExperiment = { 
/**
 * Also if it is not deleted.
 */
force: boolean, 
/**
 * Only say what would go.
 */
dry_run: boolean, };

export type KeptRun = { 
/**
 * Its id.
 */
id: string, 
/**
 * `absent`, `not-deleted`, `in-use` by a pipeline run, or `registered`.
 */
reason: string, };

export type PurgeOutcome = { 
/**
 * Whether nothing was done.
 */
dry_run: boolean, 
/**
 * How many runs.
 */
runs: number, 
/**
 * How many logged models.
 */
models: number, 
/**
 * How many traces.
 */
traces: number, 
/**
 * What they take, as it was measured last.
 */
bytes: number, 
/**
 * Runs that are not purged.
 */
kept: Array<KeptRun>, 
/**
 * Places whose files this server does not keep and so does not delete; a few of them.
 */
elsewhere: Array<string>, };

export type NewName = { 
/**
 * 1 to 500 characters.
 */
name: string, };

export type BestRuns = { 
/**
 * How many.
 */
count: number, 
/**
 * Name of the metric.
 */
metric: string, 
/**
 * Whether the smallest values are the best.
 */
smallest: boolean, };

export type RetentionRulesView = { 
/**
 * Runs that ended so many days ago are deleted.
 */
delete_after_days: number | null, 
/**
 * But not the best of all,
 */
keep_best: BestRuns | null, 
/**
 * nor so many of the newest,
 */
keep_newest: number | null, 
/**
 * nor those with one of these tags: `key` or `key=value`.
 */
keep_tagged: Array<string>, 
/**
 * What was deleted so many days ago is purged.
 */
purge_after_days: number | null, };

export type RetentionView = { 
/**
 * Its own.
 */
own: RetentionRulesView | null, 
/**
 * Those of all experiments without rules of their own.
 */
default: RetentionRulesView | null, };

export type RunName = { 
/**
 * Its id.
 */
id: string, 
/**
 * Its name.
 */
name: string, };

export type RetentionPlanView = { 
/**
 * How many runs would be deleted.
 */
deletes: number, 
/**
 * The first hundred of them.
 */
delete: Array<RunName>, 
/**
 * Deleted runs that would be purged.
 */
purges: number, 
/**
 * Deleted logged models that would be purged.
 */
purges_models: number, 
/**
 * Whether the experiment itself would be purged.
 */
purges_experiment: boolean, 
/**
 * Old runs that the rules keep.
 */
kept: number, 
/**
 * Old runs that are kept since something refers to them.
 */
referenced: number, 
/**
 * Whether there is more than one evaluation does.
 */
more: boolean, };

export type Changed = { 
/**
 * How many.
 */
changed: number, };

export type AssessmentView = { 
/**
 * `a-` and 32 hex digits.
 */
id: string, 
/**
 * `feedback`, `expectation` or `issue`.
 */
kind: string, 
/**
 * Name.
 */
name: string, 
/**
 * Its value.
 */
value: Json, 
/**
 * Why.
 */
rationale: string | null, 
/**
 * `HUMAN`, `LLM_JUDGE`, `CODE`.
 */
source: string, 
/**
 * Who.
 */
source_id: string | null, 
/**
 * The span that it is about; the whole trace if absent.
 */
span_id: string | null, 
/**
 * Whether none overrides it.
 */
valid: boolean, 
/**
 * Why there is no value.
 */
error: string | null, 
/**
 * RFC 3339.
 */
updated_at: string | null, };

export type TokenUsage = { 
/**
 * Read.
 */
input: number, 
/**
 * Written.
 */
output: number, 
/**
 * In all.
 */
total: number, };

export type TraceSummary = { 
/**
 * `tr-` and 32 hex digits, or what its client chose.
 */
id: string, 
/**
 * Name of its root span.
 */
name: string | null, 
/**
 * Its experiment.
 */
experiment_id: string, 
/**
 * `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
 */
status: string, 
/**
 * RFC 3339.
 */
started_at: string, 
/**
 * Until its last span ended, milliseconds.
 */
duration_ms: number | null, 
/**
 * Beginning of what went in.
 */
request: string | null, 
/**
 * Beginning of what came out.
 */
response: string | null, 
/**
 * Tokens that it spent.
 */
tokens: TokenUsage | null, 
/**
 * Number of its spans that have come.
 */
spans: number, 
/**
 * The conversation that it is part of.
 */
session: string | null, 
/**
 * Who asked.
 */
user: string | null, 
/**
 * The tracked run that it was made in.
 */
run_id: string | null, 
/**
 * Tags, without its name.
 */
tags: TextMap, 
/**
 * What is thought of it.
 */
assessments: Array<AssessmentView>, };

export type TracePage = { 
/**
 * The traces.
 */
traces: Array<TraceSummary>, 
/**
 * Token of the next page.
 */
next: string | null, };

export type PromptRef = { 
/**
 * Name.
 */
name: string, 
/**
 * Version.
 */
version: number, };

export type TraceView = { 
/**
 * The trace.
 */
trace: TraceSummary, 
/**
 * What its client told once and for all.
 */
metadata: TextMap, 
/**
 * The caller's id.
 */
client_request_id: string | null, 
/**
 * Tracked runs that it is linked to.
 */
runs: Array<string>, 
/**
 * Prompt versions that it used.
 */
prompts: Array<PromptRef>, 
/**
 * The command that shows it.
 */
command: string, };

export type SpanSummary = { 
/**
 * 16 hex digits.
 */
id: string, 
/**
 * The span that it is part of.
 */
parent_id: string | null, 
/**
 * Name.
 */
name: string, 
/**
 * MLflow's type, `LLM`, `TOOL`; empty if nobody said.
 */
kind: string, 
/**
 * `UNSET`, `OK` or `ERROR`.
 */
status: string, 
/**
 * Milliseconds after the trace's first span began.
 */
start_ms: number, 
/**
 * How long it took, milliseconds; absent while it goes on.
 */
duration_ms: number | null, 
/**
 * Tokens that it spent in all.
 */
tokens: number | null, };

export type SpanEventView = { 
/**
 * Name, `exception` for a failure.
 */
name: string, 
/**
 * Milliseconds after the span began.
 */
at_ms: number, 
/**
 * What is known of it.
 */
attributes: JsonMap, };

export type SpanView = { 
/**
 * 16 hex digits.
 */
id: string, 
/**
 * Name.
 */
name: string, 
/**
 * MLflow's type, `LLM`, `TOOL`; empty if nobody said.
 */
kind: string, 
/**
 * `UNSET`, `OK` or `ERROR`.
 */
status: string, 
/**
 * Why it failed.
 */
message: string | null, 
/**
 * RFC 3339.
 */
started_at: string, 
/**
 * How long it took, milliseconds; absent while it goes on.
 */
duration_ms: number | null, 
/**
 * What went in.
 */
inputs: Json, 
/**
 * What came out.
 */
outputs: Json, 
/**
 * Tokens that it spent.
 */
tokens: TokenUsage | null, 
/**
 * Everything else that is known of it.
 */
attributes: JsonMap, 
/**
 * What happened meanwhile.
 */
events: Array<SpanEventView>, };

export type PromptSummary = { 
/**
 * Name.
 */
name: string, 
/**
 * What it is for.
 */
description: string | null, 
/**
 * Its newest version, if it has one.
 */
version: number | null, 
/**
 * Versions by alias, `production: 3`.
 */
aliases: NumberMap, 
/**
 * Its tags.
 */
tags: TextMap, 
/**
 * RFC 3339.
 */
updated_at: string, };

export type PromptPage = { 
/**
 * The prompts.
 */
prompts: Array<PromptSummary>, 
/**
 * Token of the next page.
 */
next: string | null, };

export type PromptVersionView = { 
/**
 * From 1.
 */
version: number, 
/**
 * The template; messages as JSON if it is a chat.
 */
template: string, 
/**
 * `text` or `chat`.
 */
kind: string, 
/**
 * What the model is told besides, JSON.
 */
model_config: Json | null, 
/**
 * What the model's answers look like, JSON.
 */
response_format: Json | null, 
/**
 * Why it was made.
 */
message: string | null, 
/**
 * Aliases that point at it.
 */
aliases: Array<string>, 
/**
 * Its tags, without those that hold the prompt itself.
 */
tags: TextMap, 
/**
 * RFC 3339.
 */
created_at: string, };

export type PromptView = { 
/**
 * The prompt.
 */
prompt: PromptSummary, 
/**
 * Its versions, newest first; the newest 200 if there are more.
 */
versions: Array<PromptVersionView>, };

export type WebhookView = { 
/**
 * 32 hex digits.
 */
id: string, 
/**
 * Name.
 */
name: string, 
/**
 * Where notes go.
 */
url: string, 
/**
 * What it is for.
 */
description: string | null, 
/**
 * Whether it is told of anything.
 */
active: boolean, 
/**
 * Whether notes are signed.
 */
signed: boolean, 
/**
 * What it is told of, `model_version.created`.
 */
events: Array<string>, 
/**
 * RFC 3339.
 */
created_at: string, };

export type WebhookList = { 
/**
 * Newest first.
 */
webhooks: Array<WebhookView>, 
/**
 * `model_version.created`, ….
 */
known_events: Array<string>, };

export type DeliveryView = { 
/**
 * Unique.
 */
id: string, 
/**
 * `delivered`, `waiting`, `retrying` or `dead`.
 */
state: string, 
/**
 * `model_version.created`.
 */
event: string, 
/**
 * Tries so far.
 */
attempts: number, 
/**
 * When it arrived, is tried next or was given up, RFC 3339.
 */
at: string, 
/**
 * Why the last try failed.
 */
error: string | null, 
/**
 * What is sent.
 */
body: Json, };

export type EvaluationDatasetView = { 
/**
 * `d-` and 32 hex digits.
 */
id: string, 
/**
 * Name; several may have the same.
 */
name: string, 
/**
 * Changes with the records.
 */
digest: string, 
/**
 * Number of its records.
 */
records: number, 
/**
 * Experiments that it belongs to.
 */
experiments: Array<string>, 
/**
 * Its tags.
 */
tags: TextMap, 
/**
 * Who made it.
 */
created_by: string | null, 
/**
 * RFC 3339.
 */
created_at: string, 
/**
 * RFC 3339.
 */
updated_at: string, };

export type EvaluationRecordView = { 
/**
 * `dr-` and 32 hex digits.
 */
id: string, 
/**
 * What the application is given.
 */
inputs: JsonMap, 
/**
 * What it answered, if that is kept.
 */
outputs: Json | null, 
/**
 * What is expected.
 */
expectations: JsonMap, 
/**
 * `TRACE`, `HUMAN`, `DOCUMENT`, `CODE`.
 */
source: string | null, 
/**
 * The trace that it was made of.
 */
trace_id: string | null, 
/**
 * Its tags.
 */
tags: JsonMap, 
/**
 * RFC 3339.
 */
created_at: string, };

export type EvaluationRecordPage = { 
/**
 * In the order in which they came.
 */
records: Array<EvaluationRecordView>, 
/**
 * Token of the next page.
 */
next: string | null, };

export type ConnectionFamily = "files" | "databases" | "apis" | "queues" | "programs" | "engines";

export type ConnectionKindView = { 
/**
 * The word users write.
 */
name: string, 
/**
 * What it leads to.
 */
family: ConnectionFamily, 
/**
 * One sentence.
 */
summary: string, 
/**
 * The whole text.
 */
description: string, 
/**
 * JSON Schema of what stands under the word.
 */
schema: Json, 
/**
 * Fields whose values nobody may see.
 */
secrets: Array<string>, };

export type ConnectionView = { 
/**
 * Name.
 */
name: string, 
/**
 * Kind; null if none stands there.
 */
kind: string | null, 
/**
 * What stands under the kind's word. A secret is the expression that names it, or `••••••` if it is written out.
 */
settings: Json, 
/**
 * Line of its name, from 1.
 */
line: number, 
/**
 * Why it cannot be used.
 */
problem: Problem | null, };

export type ConnectionsView = { 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * Changes with its text; null if there is no file yet.
 */
etag: string | null, 
/**
 * Why it cannot be changed; null if it can.
 */
read_only: string | null, 
/**
 * Why it cannot be read.
 */
problem: Problem | null, 
/**
 * In the order of the file.
 */
connections: Array<ConnectionView>, 
/**
 * Kinds that a new one may have.
 */
kinds: Array<ConnectionKindView>, };

export type SaveConnection = { 
/**
 * Kind.
 */
kind: string, 
/**
 * What stands under the kind's word. `••••••` is what stands there already; a secret that is written out is kept encrypted, and the file
 * gets an expression that names it.
 */
settings: Json, 
/**
 * That of the file it was read from; absent if there was none.
 */
etag?: string, };

export type TryConnection = { 
/**
 * Its name: what `••••••` stands for is looked up under it.
 */
name: string, 
/**
 * Kind.
 */
kind: string, 
/**
 * As in [`SaveConnection`].
 */
settings: Json, };

export type TriedConnection = { 
/**
 * What answered; null if nothing did.
 */
said: string | null, 
/**
 * Tables, or files and folders at the root; the first of them.
 */
names: Array<string>, 
/**
 * How long it took.
 */
elapsed_ms: number, 
/**
 * Why it cannot be used.
 */
problem: Problem | null, };

export type PreviewCopy = { 
/**
 * What stands under `copy:` in a pipeline; `to` may be absent.
 */
copy: Json, 
/**
 * Rows at most; 50 if absent, at most 1,000.
 */
limit?: number, };

export type CopyPreview = { 
/**
 * The columns and the first rows as the sink would get them; null if there are none.
 */
table: TablePreview | null, 
/**
 * Rows among them that cannot be read.
 */
rejected: number, 
/**
 * The first of those as `rejects.csv` has them, its header first.
 */
rejects: Array<string>, 
/**
 * Why there are no rows.
 */
problem: Problem | null, 
/**
 * The pipeline that does it.
 */
yaml: string, 
/**
 * The command that does it once; null if no command line can say it.
 */
command: string | null, };

export type StartCopy = { 
/**
 * Name of the pipeline that is written for it.
 */
name: string, 
/**
 * What stands under `copy:`.
 */
copy: Json, };

export type FlowUse = { 
/**
 * Pipeline.
 */
pipeline: string, 
/**
 * Its step.
 */
step: string, };

export type FlowSummary = { 
/**
 * Name: the file's without its ending.
 */
name: string, 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * `description:`.
 */
description: string | null, 
/**
 * Nodes.
 */
nodes: number, 
/**
 * Steps that run it.
 */
used_by: Array<FlowUse>, 
/**
 * What is wrong with it, as far as that is known without its tables.
 */
problems: Array<Problem>, };

export type FlowKindView = { 
/**
 * The word users write.
 */
name: string, 
/**
 * One sentence.
 */
summary: string, 
/**
 * The whole text.
 */
description: string, 
/**
 * A working example, YAML.
 */
example: string, 
/**
 * JSON Schema of what stands under the word.
 */
schema: Json, 
/**
 * How many nodes it reads: `none`, `one`, `two` or `many`.
 */
reads: string, };

export type FlowPort = { 
/**
 * How others name it: the node, or `node.part`.
 */
name: string, 
/**
 * Its columns; empty as long as it or what it reads is wrong.
 */
columns: Array<FieldView>, };

export type FlowNodeView = { 
/**
 * Its key.
 */
id: string, 
/**
 * Its kind; null if none stands there.
 */
kind: string | null, 
/**
 * What it reads, in order: nodes, or `node.part`.
 */
from: Array<string>, 
/**
 * `description:`.
 */
description: string | null, 
/**
 * What stands under the kind's word.
 */
config: Json, 
/**
 * Line of its key, from 1.
 */
line: number, 
/**
 * What it gives.
 */
ports: Array<FlowPort>, 
/**
 * What is wrong with it.
 */
problem: Problem | null, };

export type FlowModel = { 
/**
 * `description:`.
 */
description: string | null, 
/**
 * In the order of the file.
 */
nodes: Array<FlowNodeView>, 
/**
 * Output to the node that it is; what is alone is called `data`.
 */
outputs: TextMap, 
/**
 * Whether the outputs are written down; otherwise it is the one node that no other reads.
 */
names_outputs: boolean, 
/**
 * The tables that are asked for by name.
 */
sources: Array<string>, 
/**
 * What is wrong and belongs to no node.
 */
problems: Array<Problem>, };

export type FlowView = { 
/**
 * Name.
 */
name: string, 
/**
 * Path relative to the workspace.
 */
file: string, 
/**
 * Its text.
 */
yaml: string, 
/**
 * Changes with the text.
 */
etag: string, 
/**
 * Why it cannot be saved; null if it can.
 */
read_only: string | null, 
/**
 * Steps that run it.
 */
used_by: Array<FlowUse>, 
/**
 * Tables for its sources, as pipelines give them or by their names: a dataset, or a file's path.
 */
tables: TextMap, 
/**
 * What the text says.
 */
model: FlowModel, };

export type CheckFlow = { 
/**
 * The text.
 */
yaml: string, 
/**
 * Source to table: a dataset (`flights`, `flights@3`), or a file's path.
 */
tables: TextMap, };

export type FlowEdit = { "op": "add", 
/**
 * Its key.
 */
id: string, 
/**
 * Its kind.
 */
kind: string, 
/**
 * What stands under the kind's word; the kind's example if absent.
 */
config?: Json, 
/**
 * What it reads.
 */
from?: Array<string>, } | { "op": "remove", 
/**
 * The node.
 */
id: string, } | { "op": "rename", 
/**
 * The node.
 */
id: string, 
/**
 * Its new key.
 */
to: string, } | { "op": "configure", 
/**
 * The node.
 */
id: string, 
/**
 * All of it.
 */
config: Json, } | { "op": "read", 
/**
 * The node.
 */
id: string, 
/**
 * All that it reads, in order.
 */
from: Array<string>, } | { "op": "describe", 
/**
 * The node; the flow itself if absent.
 */
id?: string, 
/**
 * The text.
 */
text: string, } | { "op": "output", 
/**
 * All of them.
 */
outputs: TextMap, };

export type EditFlow = { 
/**
 * The text.
 */
yaml: string, 
/**
 * One after the other; all or none.
 */
edits: Array<FlowEdit>, 
/**
 * As in [`CheckFlow`].
 */
tables: TextMap, };

export type EditedFlow = { 
/**
 * The text; comments, order and spaces are as they were.
 */
yaml: string, 
/**
 * What it says.
 */
model: FlowModel, };

export type PreviewFlow = { 
/**
 * The text.
 */
yaml: string, 
/**
 * The node, or `node.part`.
 */
node: string, 
/**
 * As in [`CheckFlow`].
 */
tables: TextMap, 
/**
 * Rows at most; 50 if absent, at most 1,000.
 */
limit?: number, };

export type SaveFlow = { 
/**
 * The text.
 */
yaml: string, 
/**
 * That of the text it replaces; absent for a new file.
 */
etag?: string, };

export type SqlModelTest = { 
/**
 * Name.
 */
name: string, 
/**
 * `error` or `warn`.
 */
severity: string, };

export type SqlModelColumn = { 
/**
 * Name.
 */
name: string, 
/**
 * Type in the newest version.
 */
type: string | null, 
/**
 * What people should know of it.
 */
description: string | null, 
/**
 * Its tests.
 */
tests: Array<SqlModelTest>, };

export type SqlModelSource = { 
/**
 * `source.table`.
 */
name: string, 
/**
 * What people should know of it.
 */
description: string | null, 
/**
 * Where it is: `data:name` or `connection:schema.table`.
 */
from: string, 
/**
 * Models that read it.
 */
read_by: Array<string>, };

export type SqlModelSummary = { 
/**
 * Name, which is also that of its dataset.
 */
name: string, 
/**
 * Its query, relative to the workspace.
 */
file: string, 
/**
 * What people should know of it.
 */
description: string | null, 
/**
 * Tags.
 */
tags: Array<string>, 
/**
 * `table`, `incremental`, `snapshot` or `ephemeral`.
 */
materialized: string, 
/**
 * Models, and sources as `source.table`, that it reads.
 */
reads: Array<string>, 
/**
 * Models that read it.
 */
read_by: Array<string>, 
/**
 * Tests of it and of its columns.
 */
tests: number, 
/**
 * Newest version of its dataset.
 */
version: number | null, 
/**
 * Rows of that version.
 */
rows: number | null, 
/**
 * When that version was made (RFC 3339).
 */
built_at: string | null, };

export type SqlModels = { 
/**
 * Models, by name.
 */
models: Array<SqlModelSummary>, 
/**
 * Tables that they read and that are none of them.
 */
sources: Array<SqlModelSource>, 
/**
 * What is wrong with the files.
 */
problems: Array<Problem>, };

export type SqlModelView = { 
/**
 * The query as it was written.
 */
sql: string, 
/**
 * Columns of its newest version, then those that only its file names.
 */
columns: Array<SqlModelColumn>, 
/**
 * Tests of whole rows, by name.
 */
row_tests: Array<SqlModelTest>, 
/**
 * Name, which is also that of its dataset.
 */
name: string, 
/**
 * Its query, relative to the workspace.
 */
file: string, 
/**
 * What people should know of it.
 */
description: string | null, 
/**
 * Tags.
 */
tags: Array<string>, 
/**
 * `table`, `incremental`, `snapshot` or `ephemeral`.
 */
materialized: string, 
/**
 * Models, and sources as `source.table`, that it reads.
 */
reads: Array<string>, 
/**
 * Models that read it.
 */
read_by: Array<string>, 
/**
 * Tests of it and of its columns.
 */
tests: number, 
/**
 * Newest version of its dataset.
 */
version: number | null, 
/**
 * Rows of that version.
 */
rows: number | null, 
/**
 * When that version was made (RFC 3339).
 */
built_at: string | null, };

export type LoggedModelMetric = { 
/**
 * Name of the metric.
 */
name: string, 
/**
 * The number.
 */
value: number, 
/**
 * Step.
 */
step: number, 
/**
 * Name of the dataset that it was measured on.
 */
dataset: string | null, 
/**
 * The run that measured it.
 */
run_id: string, };

export type LoggedModelView = { 
/**
 * `m-` and 32 hex digits.
 */
id: string, 
/**
 * Name.
 */
name: string, 
/**
 * Its experiment.
 */
experiment_id: string, 
/**
 * `pending`, `ready` or `failed`.
 */
status: string, 
/**
 * Kind, as the client says.
 */
model_type: string | null, 
/**
 * The run that made it.
 */
run_id: string | null, 
/**
 * Where its files are.
 */
artifact_uri: string, 
/**
 * Parameters.
 */
params: TextMap, 
/**
 * Tags.
 */
tags: TextMap, 
/**
 * What was measured of it.
 */
metrics: Array<LoggedModelMetric>, 
/**
 * RFC 3339.
 */
created_at: string, };
