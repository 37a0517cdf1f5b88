//! `pools:`, `max_running:` and `max_log:` of `millrace.yaml`: how much the machines or services give that steps share.

use indexmap::IndexMap;
use millrace_orchestration::PoolSize;
use millrace_spec::bytes::parse_bytes;
use millrace_spec::duration::parse_ms;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use millrace_spec::yaml::{Node, NodeValue};

/// Least output of a program that is worth keeping, bytes.
const LEAST_LOG: u64 = 100_000;
/// Slots of a pool that only says its rate: as many as the workspace runs anyway.
const MANY: u32 = 1_000_000;

/// Reads `gpu: 2` and `api: {slots: 4, rate: 10/m}`.
pub(super) fn read(node: &Node) -> Result<IndexMap<String, PoolSize>, Box<Problem>> {
    let Some(fields) = node.as_map() else {
        let problem =
            Problem::error("wrong-type", format!("`pools` is a mapping, this is {}", node.type_word()));
        return Err(Box::new(problem.at(node.place.clone()).hint("write `pools: {gpu: 2}`")));
    };
    fields.iter().map(|(key, node)| Ok((key.name.clone(), pool(&key.name, node)?))).collect()
}

/// Reads `max_running: 64`, attempts that may run at once.
pub(super) fn max_running(node: &Node) -> Result<u32, Box<Problem>> {
    whole(node).ok_or_else(|| {
        let problem = Problem::error("wrong-type", "`max_running` is a whole number from 1 on");
        Box::new(problem.at(node.place.clone()))
    })
}

/// Reads `max_log: 256MB`, the output of a step's program that is kept.
pub(super) fn max_log(node: &Node) -> Result<u64, Box<Problem>> {
    let bytes = node.as_text().and_then(parse_bytes).filter(|bytes| *bytes >= LEAST_LOG);
    bytes.ok_or_else(|| {
        let message = "`max_log` is an amount of data of at least 100 kB";
        let problem = Problem::error("wrong-value", message).at(node.place.clone());
        Box::new(problem.hint("write a number and a unit: `max_log: 256MB`"))
    })
}

fn whole(node: &Node) -> Option<u32> {
    match &node.value {
        NodeValue::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
        _ => None,
    }
}

fn pool(name: &str, node: &Node) -> Result<PoolSize, Box<Problem>> {
    let Some(fields) = node.as_map() else {
        return Ok(PoolSize { slots: slots(name, node)?, rate: None });
    };
    let known = ["slots", "rate"];
    if let Some((key, _)) = fields.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
        let problem =
            Problem::error("unknown-key", format!("a pool has no key `{}`", key.name)).at(key.place.clone());
        return Err(Box::new(match nearest(&key.name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note("its keys are slots, rate"),
        }));
    }
    let slots = node.get("slots").map(|node| slots(name, node)).transpose()?;
    let rate = node.get("rate").map(|node| rate(name, node)).transpose()?;
    Ok(PoolSize { slots: slots.unwrap_or(MANY), rate })
}

fn slots(name: &str, node: &Node) -> Result<u32, Box<Problem>> {
    if let Some(slots) = whole(node) {
        return Ok(slots);
    }
    let message = format!("the slots of the pool `{name}` are a whole number from 1 on");
    Err(Box::new(Problem::error("wrong-type", message).at(node.place.clone())))
}

/// `10/m`, `5/30s`: attempts that may begin in so much time.
fn rate(name: &str, node: &Node) -> Result<(u32, u64), Box<Problem>> {
    let parsed = node.as_text().and_then(|text| {
        let (count, period) = text.split_once('/')?;
        let count: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
        let period = period.trim();
        let period = if period.starts_with(|sign: char| sign.is_ascii_digit()) {
            period.to_owned()
        } else {
            format!("1{period}")
        };
        Some((count, parse_ms(&period).filter(|period| *period > 0)?))
    });
    parsed.ok_or_else(|| {
        let problem =
            Problem::error("wrong-type", format!("the rate of the pool `{name}` is a number and a time"));
        Box::new(problem.at(node.place.clone()).hint("write `10/m`, or `5/30s`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pool = (String, u32, Option<(u32, u64)>);

    fn pools(text: &str) -> Result<Vec<Pool>, String> {
        let node = millrace_spec::yaml::parse("millrace.yaml", text).map_err(|problem| problem.message)?;
        let all = read(&node).map_err(|problem| problem.message)?;
        Ok(all.into_iter().map(|(name, size)| (name, size.slots, size.rate)).collect())
    }

    #[test]
    fn pools_have_slots_and_rates() {
        let read = pools("gpu: 2\napi: {slots: 4, rate: 10/m}\nmail: {rate: 5/30s}\n").unwrap();
        let expected = [("gpu", 2, None), ("api", 4, Some((10, 60_000))), ("mail", MANY, Some((5, 30_000)))];
        assert_eq!(read, expected.map(|(name, slots, rate)| (name.to_owned(), slots, rate)));
        assert_eq!(
            pools("gpu: 0"),
            Err("the slots of the pool `gpu` are a whole number from 1 on".to_owned())
        );
        assert_eq!(pools("api: {rat: 1/s}"), Err("a pool has no key `rat`".to_owned()));
        assert_eq!(
            pools("api: {rate: fast}"),
            Err("the rate of the pool `api` is a number and a time".to_owned())
        );
    }
}
