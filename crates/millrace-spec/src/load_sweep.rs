//! `sweep:` of a step.

use indexmap::IndexMap;

use crate::early_stop::{Slack, Stop, StopRule};
use crate::load::Reader;
use crate::mapping::{Mapping, Over};
use crate::sweep::{Domain, Objective, Sampling, Sweep};
use crate::yaml::{Node, NodeValue};

const KEYS: [&str; 7] = ["search", "objective", "trials", "parallel", "sampling", "seed", "stop"];
const DOMAINS: [&str; 4] = ["choice", "uniform", "loguniform", "randint"];
const RULES: [&str; 3] = ["median", "bandit", "truncation"];

impl Reader<'_> {
    pub(crate) fn sweep(&mut self, node: &Node) -> Option<Mapping> {
        let fields = self.map(node, "`sweep`");
        self.known_keys(fields, &KEYS, "`sweep`");
        let search = self.search(node);
        let objective = self.objective(node);
        let trials = node.get("trials").and_then(|node| self.at_least_one(node, "`trials`"));
        let has_list = |domain: &Domain| matches!(domain, Domain::Choice(_) | Domain::Randint(_));
        let sampling = match node.get("sampling").map(Node::as_text) {
            None if trials.is_none() && search.values().all(has_list) => Sampling::Grid,
            None | Some(Some("random")) => Sampling::Random,
            Some(Some("grid")) => Sampling::Grid,
            Some(_) => {
                let place = node.get("sampling").map_or(&node.place, |node| &node.place);
                self.complain(place, "wrong-value", "`sampling` is grid or random");
                Sampling::Random
            }
        };
        let without_list = search.iter().find(|(_, domain)| !has_list(domain));
        if let (Sampling::Grid, Some((name, _))) = (sampling, without_list) {
            let message = format!("a grid has a list of values for each parameter; `{name}` has a range");
            let problem = self.complain(&node.place, "no-grid", message);
            problem.hints.push(format!("write `{name}: [0.01, 0.1]`, or `sampling: random` with `trials`"));
        }
        if sampling == Sampling::Random && trials.is_none() && node.get("trials").is_none() {
            let problem = self.complain(&node.place, "missing-key", "a random search needs `trials`");
            problem.hints.push("trials: 20".to_owned());
        }
        let seed = node.get("seed").and_then(|node| self.whole_number(node, "`seed`")).unwrap_or_default();
        let parallel = node.get("parallel").and_then(|node| self.at_least_one(node, "`parallel`"));
        let stop = node.get("stop").and_then(|node| self.early_stop(node));
        let sweep = Sweep { search, objective: objective?, sampling, trials, seed: seed.into(), stop };
        // Trials that fail are worse than any; a search without one that succeeded fails for that reason.
        Some(Mapping { over: Over::Sweep(sweep), parallel, fail_fast: false, max_failures: Some(u32::MAX) })
    }

    fn at_least_one(&mut self, node: &Node, what: &str) -> Option<u32> {
        match self.whole_number(node, what) {
            Some(0) => {
                self.complain(&node.place, "out-of-range", format!("{what} is at least 1"));
                None
            }
            other => other,
        }
    }

    /// `median`, or a rule with what it takes.
    fn early_stop(&mut self, node: &Node) -> Option<Stop> {
        let rules = "`stop` is median, {bandit: {slack_factor: 0.1}} or {truncation: {percent: 20}}";
        let (key, fields) = match (node.as_text(), node.as_map()) {
            (Some("median"), _) => return Some(Stop::of(StopRule::Median)),
            (None, Some([(key, fields)])) => (key, fields),
            _ => {
                self.complain(&node.place, "wrong-value", rules);
                return None;
            }
        };
        self.known_keys(&[(key.clone(), fields.clone())], &RULES, "`stop`");
        let what = format!("`{}`", key.name);
        let own: &[&str] = match key.name.as_str() {
            "bandit" => &["slack_factor", "slack_amount", "after", "every"],
            "truncation" => &["percent", "after", "every"],
            _ => &["after", "every"],
        };
        let given = self.map(fields, &what);
        if RULES.contains(&key.name.as_str()) {
            self.known_keys(given, own, &what);
        }
        let rule = match key.name.as_str() {
            "median" => StopRule::Median,
            "bandit" => {
                let factor =
                    fields.get("slack_factor").and_then(|node| self.positive(node, "`slack_factor`"));
                let amount =
                    fields.get("slack_amount").and_then(|node| self.positive(node, "`slack_amount`"));
                let slack = match (factor, amount) {
                    (Some(factor), None) => Slack::Factor(factor),
                    (None, Some(amount)) => Slack::Amount(amount),
                    _ => {
                        let message = "`bandit` has either `slack_factor` or `slack_amount`";
                        self.complain(&fields.place, "missing-key", message)
                            .hints
                            .push("stop: {bandit: {slack_factor: 0.1}}".to_owned());
                        return None;
                    }
                };
                StopRule::Bandit(slack)
            }
            "truncation" => {
                let percent = fields.get("percent").and_then(|node| self.whole_number(node, "`percent`"));
                let Some(percent @ 1..=99) = percent else {
                    let message = "`truncation` needs `percent`, from 1 to 99";
                    self.complain(&fields.place, "missing-key", message)
                        .hints
                        .push("stop: {truncation: {percent: 20}}".to_owned());
                    return None;
                };
                StopRule::Truncation(percent)
            }
            _ => return None,
        };
        let mut stop = Stop::of(rule);
        if let Some(after) = fields.get("after").and_then(|node| self.whole_number(node, "`after`")) {
            stop.after = after;
        }
        if let Some(every) = fields.get("every").and_then(|node| self.at_least_one(node, "`every`")) {
            stop.every = every;
        }
        Some(stop)
    }

    fn positive(&mut self, node: &Node, what: &str) -> Option<f64> {
        let number = node.to_json().as_f64().filter(|number| *number > 0.0);
        if number.is_none() {
            self.complain(&node.place, "out-of-range", format!("{what} is a number above 0"));
        }
        number
    }

    fn objective(&mut self, node: &Node) -> Option<Objective> {
        let Some(node) = node.get("objective") else {
            let problem = self.complain(&node.place, "missing-key", "`sweep` needs `objective`");
            problem.hints.push("objective: maximize auc".to_owned());
            return None;
        };
        let text = self.text(node, "`objective`")?;
        let objective = Objective::parse(&text);
        if objective.is_none() {
            let message = format!("`{text}` is neither `maximize METRIC` nor `minimize METRIC`");
            self.complain(&node.place, "wrong-value", message)
                .hints
                .push("objective: maximize auc".to_owned());
        }
        objective
    }

    fn search(&mut self, node: &Node) -> IndexMap<String, Domain> {
        let mut search = IndexMap::new();
        let Some(listed) = node.get("search") else {
            let problem = self.complain(&node.place, "missing-key", "`sweep` needs `search`");
            problem.hints.push("search: {depth: [4, 6, 8], rate: {loguniform: [0.01, 0.3]}}".to_owned());
            return search;
        };
        for (key, node) in self.map(listed, "`search`") {
            self.parsed::<crate::ids::StepId>(&key.name, &key.place);
            if let Some(domain) = self.domain(&key.name, node) {
                search.insert(key.name.clone(), domain);
            }
        }
        if search.is_empty() {
            self.complain(&listed.place, "no-items", "`search` has no parameter");
        }
        search
    }

    fn domain(&mut self, name: &str, node: &Node) -> Option<Domain> {
        let is_expression = node.as_text().is_some_and(|text| text.contains("${{"));
        if is_expression || matches!(node.value, NodeValue::List(_)) {
            return Some(Domain::Choice(node.to_json()));
        }
        let (key, node) = match node.as_map() {
            Some([(key, node)]) => (key, node),
            _ => {
                let message =
                    format!("the values of `{name}` are a list or a range, this is {}", node.type_word());
                let problem = self.complain(&node.place, "wrong-type", message);
                problem.hints.push(format!("write `{name}: [4, 6]` or `{name}: {{uniform: [0, 1]}}`"));
                return None;
            }
        };
        let known = [(key.clone(), node.clone())];
        self.known_keys(&known, &DOMAINS, "a range");
        if key.name == "choice" {
            return Some(Domain::Choice(node.to_json()));
        }
        if !DOMAINS.contains(&key.name.as_str()) {
            return None;
        }
        let bounds = self.bounds(&key.name, node)?;
        Some(match key.name.as_str() {
            "uniform" => Domain::Uniform(bounds),
            "loguniform" => Domain::Loguniform(bounds),
            _ => Domain::Randint([bounds[0] as i64, bounds[1] as i64]),
        })
    }

    /// Two numbers, the second one larger.
    fn bounds(&mut self, word: &str, node: &Node) -> Option<[f64; 2]> {
        let read = node.to_json();
        let numbers: Vec<f64> =
            read.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
        let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
        let wrong = match numbers.as_slice() {
            [from, to] if from >= to => "the second one is larger",
            [from, _] if word == "loguniform" && *from <= 0.0 => {
                "both are above 0: the numbers themselves, not their exponents"
            }
            [from, to] if word == "randint" && !(is_whole(from) && is_whole(to)) => "both are whole",
            [from, to] if read.as_array().is_some_and(|list| list.len() == 2) => return Some([*from, *to]),
            _ => "for example `[0.01, 0.3]`",
        };
        self.complain(&node.place, "wrong-value", format!("`{word}` has two numbers: {wrong}"));
        None
    }
}
