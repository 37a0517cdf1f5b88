//! What can be known about event triggers when the rest of the workspace is there: other pipelines and secrets.

use crate::check::Surroundings;
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::secret;
use crate::suggest::nearest;
use crate::triggers::event::EventSpec;
use crate::yaml::Node;

pub(crate) fn check(
    pipeline: &Pipeline,
    name: &str,
    source: &EventSpec,
    node: &Node,
    surroundings: &dyn Surroundings,
) -> Vec<Problem> {
    let place = |key: &str| node.get(key).map_or(&node.place, |node| &node.place).clone();
    let mut problems = Vec::new();
    if let EventSpec::Pipeline(end) = source {
        if end.pipeline == pipeline.name {
            let message = format!("the trigger `{name}` would start `{}` again and again", pipeline.name);
            let problem = Problem::error("starts-itself", message).at(place("pipeline"));
            problems.push(problem.hint("name another pipeline, or use `retry:` in a step"));
        } else if let Some(others) = surroundings.pipelines()
            && !others.iter().any(|other| other.name == end.pipeline)
        {
            let known: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
            let message = format!("there is no pipeline `{}`", end.pipeline);
            let problem = Problem::error("unknown-pipeline", message).at(place("pipeline"));
            problems.push(match nearest(end.pipeline.as_str(), &known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.note(format!("pipelines are {}", known.join(", "))),
            });
        }
    }
    if let Some(wanted) = source.connection()
        && let Some(known) = surroundings.connections()
    {
        problems.extend(wrong_connection(wanted, source.word(), &known).map(|it| it.at(place("connection"))));
    }
    if let Some(wanted) = source.secret()
        && let Some(known) = surroundings.secrets()
        && !known.iter().any(|known| known == wanted)
    {
        problems.push(secret::unknown(&format!("the trigger `{name}`"), wanted, &known).at(place("secret")));
    }
    problems
}

/// Says that there is no such connection, or that it leads elsewhere. `known`: names and what each leads to.
fn wrong_connection(wanted: &str, word: &str, known: &[(String, Vec<String>)]) -> Option<Problem> {
    let hint = format!(
        "in connections.yaml: `{wanted}: {{{word}: {{…}}}}`; `millrace explain {word}` shows its keys"
    );
    let Some((_, leads_to)) = known.iter().find(|(name, _)| name == wanted) else {
        let problem = Problem::error("unknown-connection", format!("there is no connection `{wanted}`"));
        let fitting = known.iter().filter(|(_, leads_to)| leads_to.iter().any(|one| one == word));
        let names: Vec<&str> = fitting.map(|(name, _)| name.as_str()).collect();
        return Some(match nearest(wanted, &names) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(hint),
        });
    };
    if leads_to.iter().any(|one| one == word) {
        return None;
    }
    let message = format!("the connection `{wanted}` is one to {}, not to {word}", leads_to.join(", "));
    Some(Problem::error("wrong-connection", message).hint(hint))
}
