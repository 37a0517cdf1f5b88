//! Logs of attempts: ranges of lines, what comes, what is looked for, whole files. All of it comes from the attempt's files, so that it
//! does not matter which server watched the program.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use millrace_orchestration::{AttemptLog, DroppedPart, LogLine, LogMatch, LogPattern, search};
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::{run_row, step_key};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::views::logs::{DroppedView, LogEndView, LogLineView, LogMatchView, LogSearchView, LogView};

/// Lines that one answer has at most.
const MOST_LINES: usize = 5_000;
/// Lines of one event.
const EVENT_LINES: usize = 1_000;
/// How often a log that says nothing is looked at.
const PAUSE: Duration = Duration::from_millis(250);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Matches that one search tells at most.
const MOST_MATCHES: u64 = 1_000;
/// Lines around a match at most.
const MOST_CONTEXT: u64 = 20;
/// Matches that wait for a slow reader.
const WAITING: usize = 64;
/// Searches at once: each reads a whole log.
static SEARCHES: Semaphore = Semaphore::const_new(4);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(read_log))
        .routes(routes!(follow_log))
        .routes(routes!(search_log))
        .routes(routes!(download_log))
}

/// An attempt whose log is asked for.
#[derive(Debug, Clone)]
struct Attempt {
    run: String,
    step: String,
    number: u32,
    folder: PathBuf,
}

async fn find_attempt(app: &App, run: &str, step: &str, number: Option<u32>) -> Result<Attempt, ApiError> {
    run_row(app, run).await?;
    let key = step_key(step)?;
    let row = app.engine.store().find_step_run(run.to_owned(), step.to_owned()).await?;
    let row = row.ok_or_else(|| ApiError::unknown("step", step))?;
    let begun = u32::try_from(row.attempt).unwrap_or(0);
    let number = number.unwrap_or(begun).max(1);
    if number > begun.max(1) {
        return Err(ApiError::unknown("attempt", &number.to_string()));
    }
    let folder = app.engine.attempt_folder(run, &key, number);
    Ok(Attempt { run: run.to_owned(), step: step.to_owned(), number, folder })
}

impl Attempt {
    /// Whether it says nothing more.
    async fn is_over(&self, app: &App) -> Result<bool, ApiError> {
        let number = i64::from(self.number);
        let state =
            app.engine.store().step_attempt_state(self.run.clone(), self.step.clone(), number).await?;
        match state {
            Some(state) => Ok(!matches!(state.as_str(), "running" | "waiting")),
            // It has not begun; in a run that is over it never will.
            None => Ok(run_row(app, &self.run).await?.ended_at.is_some()),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
    /// Number of the first line, from 0; if absent, the last `count` lines.
    from: Option<u64>,
    /// Lines; 1,000 if absent, at most 5,000.
    count: Option<usize>,
}

/// Reads lines of a step's log, from any line on or from its end.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/log", params(("id" = String, Path), ("step" = String, Path), LogQuery),
    responses((status = 200, body = LogView)))]
async fn read_log(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> ApiResult<LogView> {
    let Query(query) = query?;
    let attempt = find_attempt(&app, &id, &step, query.attempt).await?;
    // Asked before the files are read: what was written before the end is then there.
    let ended = attempt.is_over(&app).await?;
    let count = query.count.unwrap_or(1_000).clamp(1, MOST_LINES);
    let number = attempt.number;
    blocking(move || {
        let log = opened(&attempt, ended)?;
        let from = query.from.unwrap_or_else(|| log.lines().saturating_sub(count as u64));
        let read = log.read(from, count)?;
        Ok(Json(LogView {
            attempt: number,
            lines: read.lines.into_iter().map(line_view).collect(),
            next: read.next,
            total: log.lines(),
            bytes: log.bytes(),
            ended,
            dropped: dropped(&log, ended)?,
        }))
    })
    .await
}

fn opened(attempt: &Attempt, ended: bool) -> std::io::Result<AttemptLog> {
    if ended { AttemptLog::open_whole(&attempt.folder) } else { AttemptLog::open(&attempt.folder) }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))?;
    Ok(done?)
}

fn dropped(log: &AttemptLog, ended: bool) -> std::io::Result<Vec<DroppedView>> {
    let found = if ended { log.dropped()? } else { Vec::new() };
    let view = |part: DroppedPart| DroppedView {
        stream: part.stream.as_str().to_owned(),
        bytes: part.bytes,
        reason: part.reason,
        line: part.line,
    };
    Ok(found.into_iter().map(view).collect())
}

fn line_view(line: LogLine) -> LogLineView {
    LogLineView {
        number: line.number,
        at_ms: line.at_ms,
        stream: line.stream.as_str().to_owned(),
        text: line.text,
        cut: line.cut,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FollowQuery {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
    /// Number of the first line, from 0; if absent, the last `tail` lines are the first. The header `Last-Event-ID`, with which browsers
    /// come back, goes before both.
    from: Option<u64>,
    /// Lines to begin with; 1,000 if absent.
    tail: Option<u64>,
}

/// Follows a step's log: events `lines` (`LogView`), whose id is the number of bytes up to there, and `end` (`LogEndView`) when nothing
/// more will come.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/log/events",
    params(("id" = String, Path), ("step" = String, Path), FollowQuery),
    responses((status = 200, body = LogView, content_type = "text/event-stream")))]
async fn follow_log(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<FollowQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Query(query) = query?;
    let attempt = find_attempt(&app, &id, &step, query.attempt).await?;
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let begin = match (resumed, query.from) {
        (Some(offset), _) => Begin::Behind(offset),
        (None, Some(line)) => Begin::Line(line),
        (None, None) => Begin::Tail(query.tail.unwrap_or(1_000)),
    };
    let stop = app.stop.clone();
    let follower = Follower { app, attempt, begin, log: None, over: false, dropped: Vec::new() };
    let events = futures::stream::unfold(Some(follower), |follower| async move { follower?.next().await });
    let ended = async move { stop.cancelled().await };
    Ok(Sse::new(events.take_until(ended)).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Where a follower begins.
#[derive(Debug, Clone, Copy)]
enum Begin {
    /// Behind so many bytes.
    Behind(u64),
    Line(u64),
    /// With so many lines before the end.
    Tail(u64),
}

struct Follower {
    app: App,
    attempt: Attempt,
    begin: Begin,
    log: Option<AttemptLog>,
    over: bool,
    dropped: Vec<DroppedView>,
}

impl Follower {
    /// The next event; nothing follows the last one.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        loop {
            match self.look().await {
                Ok(Some((view, end))) => {
                    let event = told("lines", &view).id(end.to_string());
                    return Some((Ok(event), Some(self)));
                }
                Ok(None) if self.over => {
                    let total = self.log.as_ref().map_or(0, AttemptLog::lines);
                    return Some((Ok(told("end", &LogEndView { total, dropped: self.dropped })), None));
                }
                Ok(None) => tokio::time::sleep(PAUSE).await,
                Err(problem) => return Some((Ok(told("problem", &problem)), None)),
            }
        }
    }

    /// New lines and the bytes up to their end.
    async fn look(&mut self) -> Result<Option<(LogView, u64)>, serde_json::Value> {
        let failed = |error: &dyn std::fmt::Display| serde_json::json!({"code": "log-unreadable", "message": format!("the log cannot be read: {error}")});
        let over =
            self.attempt.is_over(&self.app).await.map_err(|_| failed(&"the database does not answer"))?;
        let (attempt, begin, log) = (self.attempt.clone(), self.begin, self.log.take());
        let read = tokio::task::spawn_blocking(move || {
            let mut log = match log {
                Some(log) => log,
                None => AttemptLog::open(&attempt.folder)?,
            };
            log.refresh(over)?;
            let from = match begin {
                Begin::Behind(offset) => log.line_after(offset)?,
                Begin::Line(line) => line,
                Begin::Tail(count) => log.lines().saturating_sub(count),
            };
            let (lines, dropped) = (log.read(from, EVENT_LINES)?, dropped(&log, over)?);
            std::io::Result::Ok((log, lines, dropped))
        });
        let (log, read, dropped) =
            read.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        self.over = over;
        self.dropped = dropped.clone();
        self.begin = Begin::Line(match (self.begin, read.lines.is_empty()) {
            // A line that is not there yet is waited for.
            (Begin::Line(line), true) => line,
            _ => read.next,
        });
        let (total, bytes) = (log.lines(), log.bytes());
        self.log = Some(log);
        let Some(last) = read.lines.last() else { return Ok(None) };
        let end = last.end;
        let ended = over && read.next >= total;
        let lines = read.lines.into_iter().map(line_view).collect();
        let view =
            LogView { attempt: self.attempt.number, lines, next: read.next, total, bytes, ended, dropped };
        Ok(Some((view, end)))
    }
}

fn told(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
    /// What is looked for.
    pattern: String,
    /// Whether it is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Whether upper and lower case count.
    #[serde(default)]
    case: bool,
    /// Number of the first line, from 0.
    #[serde(default)]
    from: u64,
    /// Matches; 200 if absent, at most 1,000.
    limit: Option<u64>,
    /// Lines around each match; at most 20.
    #[serde(default)]
    context: u64,
}

/// Looks for a text in a step's log: events `match` (`LogMatchView`), `progress` and in the end `done` (`LogSearchView`).
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/log/search",
    params(("id" = String, Path), ("step" = String, Path), SearchQuery),
    responses((status = 200, body = LogMatchView, content_type = "text/event-stream")))]
async fn search_log(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Query(query) = query?;
    let pattern = LogPattern::new(&query.pattern, query.regex, query.case).map_err(|error| {
        let problem = Problem::error("log-pattern", error.to_string());
        if query.regex {
            problem.hint("leave out `regex=true` to look for the text as it stands")
        } else {
            problem
        }
    })?;
    let attempt = find_attempt(&app, &id, &step, query.attempt).await?;
    let ended = attempt.is_over(&app).await?;
    let permit = SEARCHES.acquire().await.map_err(|error| ApiError::internal(&error))?;
    let (sender, events) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let _held = permit;
        let done = opened(&attempt, ended).and_then(|log| look_for(&log, &pattern, &query, &sender));
        let last = match done {
            Ok(done) => told("done", &done),
            Err(error) => {
                tracing::warn!(%error, run = attempt.run, step = attempt.step, "a log cannot be searched");
                let message = format!("the log cannot be read: {error}");
                told("problem", &serde_json::json!({"code": "log-unreadable", "message": message}))
            }
        };
        // Nobody may be there any more.
        sender.blocking_send(Ok(last)).ok();
    });
    Ok(Sse::new(ReceiverStream::new(events)).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn look_for(
    log: &AttemptLog,
    pattern: &LogPattern,
    query: &SearchQuery,
    sender: &mpsc::Sender<Result<Event, Infallible>>,
) -> std::io::Result<LogSearchView> {
    let limit = query.limit.unwrap_or(200).clamp(1, MOST_MATCHES);
    let context = query.context.min(MOST_CONTEXT);
    let state = std::cell::Cell::new((0, query.from.min(log.lines())));
    let view = |(matches, looked_at): (u64, u64)| LogSearchView {
        looked_at,
        total: log.lines(),
        matches,
        more: looked_at < log.lines(),
    };
    let take = |found: LogMatch| {
        let matches = state.get().0 + 1;
        state.set((matches, found.line.number + 1));
        let found = LogMatchView {
            line: line_view(found.line),
            before: found.before.into_iter().map(line_view).collect(),
            after: found.after.into_iter().map(line_view).collect(),
        };
        sender.blocking_send(Ok(told("match", &found))).is_ok() && matches < limit
    };
    let progress = |lines| {
        state.set((state.get().0, lines));
        // A full channel will hear of a later one; a closed one ends the search.
        let told = sender.try_send(Ok(told("progress", &view(state.get()))));
        !matches!(told, Err(mpsc::error::TrySendError::Closed(_)))
    };
    search(log, pattern, query.from, context, take, progress)?;
    Ok(view(state.get()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DownloadQuery {
    /// From 1; the last one if absent.
    attempt: Option<u32>,
    /// Whether each line begins with its time.
    #[serde(default)]
    times: bool,
}

/// Sends the whole log of an attempt as text.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/log/file",
    params(("id" = String, Path), ("step" = String, Path), DownloadQuery),
    responses((status = 200, body = [u8], content_type = "text/plain")))]
async fn download_log(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<DownloadQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let attempt = find_attempt(&app, &id, &step, query.attempt).await?;
    let ended = attempt.is_over(&app).await?;
    let name = format!("{}-{}-{}.log", &attempt.run.get(..8).unwrap_or("run"), attempt.step, attempt.number);
    let (sender, parts) = mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let written = opened(&attempt, ended).and_then(|log| write_text(&log, query.times, &sender));
        if let Err(error) = written {
            // The download breaks off instead of ending as if it were whole.
            sender.blocking_send(Err(error)).ok();
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(parts))).into_response())
}

fn write_text(
    log: &AttemptLog,
    times: bool,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
) -> std::io::Result<()> {
    let mut from = 0;
    loop {
        let read = log.read(from, MOST_LINES)?;
        if read.lines.is_empty() {
            return Ok(());
        }
        from = read.next;
        let mut text = String::new();
        for line in read.lines {
            if times {
                let at = line.at_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
                text.push_str(&at.map_or_else(|| "-".to_owned(), |at| format!("{at:.3}")));
                text.push(' ');
            }
            text.push_str(&line.text);
            text.push('\n');
        }
        if sender.blocking_send(Ok(text.into())).is_err() {
            return Ok(());
        }
    }
}
