//! Which models are meant: `staging+ tag:daily,path:models/marts`.

use std::collections::BTreeSet;

use super::project::{Project, SqlModel};
use super::{FOLDER, Target};
use crate::glob::Glob;
use crate::problem::Problem;
use crate::suggest::nearest;

/// A selection of models: parts with a space between them are united, parts with a comma between them are intersected.
///
/// A part is a name or a glob, `tag:WORD`, `path:FOLDER`, `source:NAME` or `source:NAME.TABLE`, `config.materialized:WORD`; `+` before it adds
/// what it reads, `+` behind it what reads it, `2+` and `+2` so many steps, `@` what reads it with everything that those read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    parts: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    text: String,
    method: Method,
    value: String,
    /// Steps up and down; `None` for none.
    up: Option<usize>,
    down: Option<usize>,
    whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Name,
    Tag,
    Path,
    Source,
    Materialized,
}

impl Selection {
    /// Reads selections; several are united.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn parse(texts: &[String]) -> Result<Self, Box<Problem>> {
        let mut parts = Vec::new();
        for text in texts.iter().flat_map(|text| text.split_whitespace()) {
            parts.push(text.split(',').map(Part::parse).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { parts })
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The names of the models, in the order in which they are built.
    ///
    /// # Errors
    /// A part that no model fits.
    pub fn models(&self, project: &Project) -> Result<Vec<String>, Box<Problem>> {
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        for group in &self.parts {
            let mut common: Option<BTreeSet<&str>> = None;
            for part in group {
                let own = part.models(project)?;
                common = Some(match common {
                    None => own,
                    Some(others) => others.intersection(&own).copied().collect(),
                });
            }
            chosen.extend(common.unwrap_or_default());
        }
        Ok(project.models.keys().filter(|name| chosen.contains(name.as_str())).cloned().collect())
    }

    /// The models of `select`, all if it is empty, without those of `exclude`.
    ///
    /// # Errors
    /// A part that cannot be read, or that no model fits.
    pub fn between(
        project: &Project,
        select: &[String],
        exclude: &[String],
    ) -> Result<Vec<String>, Box<Problem>> {
        let select = Self::parse(select)?;
        let without = Self::parse(exclude)?.models(project)?;
        let chosen = if select.is_empty() {
            project.models.keys().cloned().collect()
        } else {
            select.models(project)?
        };
        Ok(chosen.into_iter().filter(|name| !without.contains(name)).collect())
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, Box<Problem>> {
        let wrong = |message: String| Box::new(Problem::error("model-selection", message));
        let (whole, rest) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let count = |digits: &str| if digits.is_empty() { Some(usize::MAX) } else { digits.parse().ok() };
        let (up, rest) = match rest.split_once('+') {
            Some((digits, behind)) if digits.chars().all(|sign| sign.is_ascii_digit()) => {
                (count(digits), behind)
            }
            _ => (None, rest),
        };
        let (down, rest) = match rest.rsplit_once('+') {
            Some((before, digits)) if digits.chars().all(|sign| sign.is_ascii_digit()) => {
                (count(digits), before)
            }
            _ => (None, rest),
        };
        let (method, value) = match rest.split_once(':') {
            None => (Method::Name, rest),
            Some(("tag", value)) => (Method::Tag, value),
            Some(("path", value)) => (Method::Path, value),
            Some(("source", value)) => (Method::Source, value),
            Some(("config.materialized", value)) => (Method::Materialized, value),
            Some((word, _)) => {
                let known = ["tag", "path", "source", "config.materialized"];
                let problem = wrong(format!("`{word}:` does not select models"));
                return Err(Box::new(match nearest(word, &known) {
                    Some(near) => problem.hint(format!("did you mean `{near}:`?")),
                    None => {
                        problem.note(format!("there are {}", known.map(|word| format!("{word}:")).join(", ")))
                    }
                }));
            }
        };
        if value.is_empty() {
            return Err(wrong(format!("`{text}` selects nothing")));
        }
        let value = value.trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), method, value, up, down, whole })
    }

    fn models<'p>(&self, project: &'p Project) -> Result<BTreeSet<&'p str>, Box<Problem>> {
        let mut found: BTreeSet<&str> = project
            .models
            .values()
            .filter(|model| self.fits(model))
            .map(|model| model.name.as_str())
            .collect();
        if self.method == Method::Source {
            // A source is no model; `source:x+` is what reads it, and so is `source:x`.
            found =
                project.models.values().filter(|model| self.reads(model)).map(|m| m.name.as_str()).collect();
        }
        if found.is_empty() {
            let problem = Problem::error("model-selection", format!("no model fits `{}`", self.text));
            let known: Vec<&str> = match self.method {
                Method::Tag => {
                    project.models.values().flat_map(|m| &m.doc.tags).map(String::as_str).collect()
                }
                Method::Source => project.sources.0.keys().map(String::as_str).collect(),
                _ => project.models.keys().map(String::as_str).collect(),
            };
            return Err(Box::new(match nearest(&self.value, &known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("see them with `millrace sql-models list`"),
            }));
        }
        let start = found.clone();
        if self.down.is_some() || self.whole {
            let steps = if self.whole { usize::MAX } else { self.down.unwrap_or(0) };
            spread(&mut found, start.clone(), steps, |name| children(project, name));
        }
        if self.whole {
            let all = found.clone();
            spread(&mut found, all, usize::MAX, |name| parents(project, name));
        }
        if let Some(steps) = self.up {
            spread(&mut found, start, steps, |name| parents(project, name));
        }
        Ok(found)
    }

    fn fits(&self, model: &SqlModel) -> bool {
        let glob = |text: &str| Glob::new(&self.value).is_some_and(|glob| glob.matches(text));
        match self.method {
            Method::Name => glob(&model.name),
            Method::Tag => model.doc.tags.iter().any(|tag| glob(tag)),
            Method::Path => {
                let below = |folder: &str| {
                    model.file == folder || model.file.starts_with(&format!("{folder}/")) || glob(&model.file)
                };
                below(&self.value) || below(&format!("{FOLDER}/{}", self.value))
            }
            Method::Materialized => {
                serde_json::json!(model.materialization()).as_str().is_some_and(|word| word == self.value)
            }
            Method::Source => false,
        }
    }

    fn reads(&self, model: &SqlModel) -> bool {
        model.reads().into_iter().any(|target| match target {
            Target::Source(source, table) => {
                self.value == *source || self.value == format!("{source}.{table}")
            }
            Target::Model(_) => false,
        })
    }
}

/// Adds what is reached in at most so many steps.
fn spread<'p>(
    found: &mut BTreeSet<&'p str>,
    start: BTreeSet<&'p str>,
    steps: usize,
    next: impl Fn(&str) -> Vec<&'p str>,
) {
    let mut edge: Vec<&str> = start.into_iter().collect();
    let mut seen: BTreeSet<&str> = edge.iter().copied().collect();
    let mut left = steps;
    while left > 0 && !edge.is_empty() {
        left -= 1;
        edge = edge.into_iter().flat_map(&next).filter(|name| seen.insert(name)).collect();
        found.extend(&edge);
    }
}

fn parents<'p>(project: &'p Project, name: &str) -> Vec<&'p str> {
    let parents = project.models.get(name).map(SqlModel::parents).unwrap_or_default();
    parents.into_iter().filter(|name| project.models.contains_key(*name)).collect()
}

fn children<'p>(project: &'p Project, name: &str) -> Vec<&'p str> {
    let reads = |model: &&SqlModel| model.parents().contains(&name);
    project.models.values().filter(reads).map(|model| model.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ProjectFile;
    use super::*;

    fn project() -> Project {
        let files = [
            ("sources.yaml", "shop: {tables: {orders: {}, people: {}}}"),
            ("models/staging/a.sql", "select * from {{ source('shop', 'orders') }}"),
            ("models/staging/a.yaml", "tags: [daily]"),
            ("models/staging/b.sql", "select * from {{ source('shop', 'people') }}"),
            ("models/c.sql", "select * from {{ ref('a') }}"),
            ("models/c.yaml", "tags: [daily, late]\nincremental: {}"),
            ("models/d.sql", "select * from {{ ref('b') }} join {{ ref('c') }}"),
        ];
        let file = |(path, text): (&str, &str)| ProjectFile { path: path.to_owned(), text: text.to_owned() };
        let project = Project::read(&files.map(file));
        assert_eq!(project.problems, []);
        project
    }

    fn chosen(select: &str) -> String {
        match Selection::parse(&[select.to_owned()]).and_then(|selection| selection.models(&project())) {
            Ok(models) => models.join(" "),
            Err(problem) => format!("{} {}", problem.message, problem.hints.join("")),
        }
    }

    #[test]
    fn selections() {
        for (select, models) in [
            ("a", "a"),
            ("a d", "a d"),
            ("+d", "a b c d"),
            ("1+d", "b c d"),
            ("a+", "a c d"),
            ("a+1", "a c"),
            ("@a", "a b c d"),
            ("?", "a b c d"),
            ("tag:daily", "a c"),
            ("tag:daily,tag:late", "c"),
            ("path:models/staging", "a b"),
            ("path:staging", "a b"),
            ("source:shop", "a b"),
            ("source:shop.people+", "b d"),
            ("config.materialized:incremental", "c"),
            ("+c,a+", "a c"),
            ("tag:dialy", "no model fits `tag:dialy` did you mean `daily`?"),
            ("tga:x", "`tga:` does not select models did you mean `tag:`?"),
            ("+", "`+` selects nothing "),
        ] {
            assert_eq!(chosen(select), models, "{select}");
        }
        let without = Selection::between(&project(), &[], &["c+".to_owned()]).unwrap();
        assert_eq!(without, ["a", "b"]);
    }
}
