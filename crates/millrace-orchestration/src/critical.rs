//! The critical path of a run: the chain of steps that set its length.

use indexmap::IndexMap;
use millrace_metastore::runs::StepRunRow;
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{Pipeline, Step};

/// When a step of a run waited and worked, microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpan {
    /// Step id.
    pub id: String,
    /// Steps that come before.
    pub needs: Vec<String>,
    /// Whether it begins when all others are over: a step of `finally`.
    pub at_the_end: bool,
    /// When its needs were met.
    pub ready_at: Option<i64>,
    /// When its first attempt began.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
}

/// The steps that set a run's length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// From the first to the last.
    pub steps: Vec<String>,
    /// How long they waited for a slot, microseconds.
    pub queued_us: i64,
    /// How long they worked, between their attempts and outside waiting included, microseconds.
    pub worked_us: i64,
}

/// The spans of a run's steps. Without its definition, nobody knows what came before what.
pub fn step_spans(rows: &[StepRunRow], pipeline: Option<&Pipeline>) -> Vec<StepSpan> {
    let span = |row: &StepRunRow| {
        let named = |steps: &IndexMap<StepId, Step>| {
            steps.values().find(|step| step.id.as_str() == row.step).cloned()
        };
        let at_the_end = pipeline.and_then(|pipeline| named(&pipeline.finally));
        let step = pipeline.and_then(|pipeline| named(&pipeline.steps)).or_else(|| at_the_end.clone());
        StepSpan {
            id: row.step.clone(),
            needs: step.iter().flat_map(|step| &step.needs).map(ToString::to_string).collect(),
            at_the_end: at_the_end.is_some(),
            ready_at: row.ready_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    };
    rows.iter().map(span).collect()
}

/// The chain that set the length of a run, as far as it is at `now`: back from the step that ended last, each time to the need that ended
/// last, which is the one it waited for. Shortening any other step does not shorten the run.
pub fn critical_path(spans: &[StepSpan], now: i64) -> CriticalPath {
    let mut path = CriticalPath::default();
    let mut next = last(spans.iter(), now);
    while let Some(span) = next {
        path.steps.push(span.id.clone());
        let started = span.started_at.unwrap_or(now);
        path.worked_us += (end(span, now) - started).max(0);
        path.queued_us += span.ready_at.map_or(0, |ready| (started - ready).max(0));
        let before =
            spans.iter().filter(|other| comes_before(other, span) && !path.steps.contains(&other.id));
        next = last(before, now);
    }
    path.steps.reverse();
    path
}

fn comes_before(other: &StepSpan, span: &StepSpan) -> bool {
    span.needs.contains(&other.id) || span.at_the_end && !other.at_the_end
}

/// The one that ended last; of several, the one that began last, since it left no time for another.
fn last<'a>(spans: impl Iterator<Item = &'a StepSpan>, now: i64) -> Option<&'a StepSpan> {
    spans.filter(|span| span.started_at.is_some()).max_by_key(|span| (end(span, now), span.started_at))
}

fn end(span: &StepSpan, now: i64) -> i64 {
    span.ended_at.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `id<needs ready start end`, for example `c<a,b 3 4 9`; `-` for what has not happened, `!` before the id of a step at the end.
    fn spans(lines: &[&str]) -> Vec<StepSpan> {
        let read = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let (id, needs) = words[0].split_once('<').unwrap_or((words[0], ""));
            let time = |index: usize| words[index].parse().ok();
            StepSpan {
                id: id.trim_start_matches('!').to_owned(),
                needs: needs.split(',').filter(|need| !need.is_empty()).map(str::to_owned).collect(),
                at_the_end: id.starts_with('!'),
                ready_at: time(1),
                started_at: time(2),
                ended_at: time(3),
            }
        };
        lines.iter().map(read).collect()
    }

    fn check(lines: &[&str], now: i64, steps: &str, queued_us: i64, worked_us: i64) {
        let found = critical_path(&spans(lines), now);
        assert_eq!(
            (found.steps.join(" ").as_str(), found.queued_us, found.worked_us),
            (steps, queued_us, worked_us)
        );
    }

    #[test]
    fn it_goes_by_the_need_that_ended_last() {
        check(&["a 0 0 10", "b 0 0 30", "c<a,b 30 30 40", "d<a 10 10 20"], 99, "b c", 0, 40);
    }

    #[test]
    fn waiting_for_a_slot_is_counted_apart() {
        check(&["a 0 0 10", "b<a 10 25 40"], 99, "a b", 15, 25);
    }

    #[test]
    fn what_runs_ends_now_and_what_has_not_begun_is_not_on_it() {
        check(&["a 0 0 10", "b<a 10 10 -", "c<b - - -", "d 0 0 20"], 50, "a b", 0, 50);
        check(&["a - - -"], 50, "", 0, 0);
    }

    #[test]
    fn a_step_at_the_end_waits_for_all_others() {
        check(&["a 0 0 10", "b 0 0 30", "!z 30 30 31", "!y<z 31 31 40"], 99, "b z y", 0, 40);
    }

    #[test]
    fn of_two_that_ended_together_the_later_one_counts_and_circles_end() {
        check(&["a 0 0 10", "b 0 5 10", "c<a,b 10 10 12"], 99, "b c", 5, 7);
        check(&["a<b 0 0 10", "b<a 0 0 9"], 99, "b a", 0, 19);
    }
}
