//! What is to be done, decided from two listings. No I/O.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::config::{Compare, Hierarchy, SyncConfig};
use crate::error::CopyError;
use crate::store::{FileFacts, glob, is_staged};

/// How long after its last change a file that another copy had begun is taken for one that nobody goes on with. A server that is silent
/// for minutes ends a copy.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_hours(1);

/// A file of the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) facts: FileFacts,
    /// Its path below what the step copies.
    pub(super) relative: String,
}

/// A file and where it goes, by its path in the sink's store.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) source: FileFacts,
    pub(super) relative: String,
    pub(super) target: String,
}

/// Which files are meant, and what is asked of the sink.
pub(super) struct Rules {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    hierarchy: Hierarchy,
    compare: Compare,
    delete: bool,
    allow_empty: bool,
    /// Folder of the sink, or the file that all become.
    root: String,
    keeps_times: bool,
    now: Timestamp,
}

impl Rules {
    /// Of what the step says, at an instant.
    pub(super) fn of(config: &SyncConfig, now: Timestamp) -> Result<Self, CopyError> {
        let globs = |globs: &[String]| globs.iter().map(|glob| selector(glob)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            include: globs(&config.include)?,
            exclude: globs(&config.exclude)?,
            since: config.modified_since.map(|moment| moment.seen_at(now)),
            before: config.modified_before.map(|moment| moment.seen_at(now)),
            hierarchy: config.hierarchy,
            compare: config.compare,
            delete: config.delete,
            allow_empty: config.allow_empty,
            root: String::new(),
            keeps_times: false,
            now,
        })
    }

    /// The same for a folder of a sink, or the file that all become there, and whether the sink keeps the times that files are given.
    pub(super) fn into(self, root: &str, keeps_times: bool) -> Self {
        Self { root: root.to_owned(), keeps_times, ..self }
    }

    fn takes(&self, relative: &str) -> bool {
        let any = |globs: &[Regex]| globs.iter().any(|glob| glob.is_match(relative));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// Whether a file changed in the time that is meant. One whose time nobody knows is taken.
    fn recent(&self, file: &FileFacts) -> bool {
        file.modified.is_none_or(|modified| {
            self.since.is_none_or(|since| modified >= since)
                && self.before.is_none_or(|before| modified < before)
        })
    }

    fn target(&self, relative: &str) -> String {
        let name = match self.hierarchy {
            Hierarchy::Merge => return self.root.clone(),
            Hierarchy::Keep => relative,
            Hierarchy::Flatten => relative.rsplit('/').next().unwrap_or(relative),
        };
        if self.root.is_empty() { name.to_owned() } else { format!("{}/{name}", self.root) }
    }

    fn below_root<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.root).unwrap_or(path).trim_start_matches('/')
    }
}

/// A glob of a path; without `/`, of the name alone.
fn selector(pattern: &str) -> Result<Regex, CopyError> {
    if pattern.contains('/') { glob(pattern.trim_start_matches('/')) } else { glob(&format!("**/{pattern}")) }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) copy: Vec<Pair>,
    /// Whether these are the same, their content says; the second is the sink's.
    pub(super) unclear: Vec<(Pair, FileFacts)>,
    pub(super) same: Vec<Pair>,
    pub(super) delete: Vec<FileFacts>,
    /// What copies had begun that were killed.
    pub(super) left_behind: Vec<FileFacts>,
}

/// Compares the source with the sink.
pub(super) fn plan(source: Vec<Listed>, sink: Vec<FileFacts>, rules: &Rules) -> Result<Plan, CopyError> {
    let mut plan = Plan::default();
    let (staged, sink): (Vec<_>, Vec<_>) = sink.into_iter().partition(|file| is_staged(&file.path));
    let old = |file: &FileFacts| file.modified.is_some_and(|at| rules.now.duration_since(at) > LEFT_BEHIND);
    plan.left_behind = staged.into_iter().filter(old).collect();
    let folders: HashSet<&str> =
        source.iter().filter_map(|file| Some(file.relative.rsplit_once('/')?.0)).collect();
    // Some tools keep an empty object in the place of a folder.
    let marker = |file: &Listed| file.facts.size == Some(0) && folders.contains(file.relative.as_str());
    let meant = |file: &&Listed| !is_staged(&file.relative) && !marker(file) && rules.takes(&file.relative);
    let mut meant: Vec<Listed> = source.iter().filter(meant).cloned().collect();
    meant.sort_by(|one, other| one.relative.cmp(&other.relative));
    if rules.hierarchy == Hierarchy::Merge {
        let pair =
            |file: Listed| Pair { source: file.facts, relative: file.relative, target: rules.root.clone() };
        plan.copy = meant.into_iter().filter(|file| rules.recent(&file.facts)).map(pair).collect();
        return Ok(plan);
    }
    let targets = targets(&meant, rules)?;
    if rules.delete {
        let gone = |file: &FileFacts| {
            let is_meant = match rules.hierarchy {
                Hierarchy::Flatten => !rules.below_root(&file.path).contains('/'),
                _ => true,
            };
            is_meant && rules.takes(rules.below_root(&file.path)) && !targets.contains_key(&file.path)
        };
        plan.delete = sink.iter().filter(|file| gone(file)).cloned().collect();
        if meant.is_empty() && !plan.delete.is_empty() && !rules.allow_empty {
            return Err(CopyError::config(
                format!(
                    "the source has no files, so `delete` would remove all {} of the sink",
                    plan.delete.len()
                ),
                "allow_empty: true, if that is meant",
            ));
        }
    }
    let there: HashMap<&str, &FileFacts> = sink.iter().map(|file| (file.path.as_str(), file)).collect();
    for file in meant.into_iter().filter(|file| rules.recent(&file.facts)) {
        let target = rules.target(&file.relative);
        let found = there.get(target.as_str()).copied();
        let pair = Pair { source: file.facts, relative: file.relative, target };
        match found.map_or(Likeness::Different, |found| likeness(&pair.source, found, rules)) {
            Likeness::Same => plan.same.push(pair),
            Likeness::Different => plan.copy.push(pair),
            Likeness::Unclear => plan.unclear.extend(found.cloned().map(|found| (pair, found))),
        }
    }
    Ok(plan)
}

/// The paths that files get, each with the file's.
fn targets(files: &[Listed], rules: &Rules) -> Result<HashMap<String, String>, CopyError> {
    let mut targets: HashMap<String, String> = HashMap::with_capacity(files.len());
    for file in files {
        let target = rules.target(&file.relative);
        if let Some(other) = targets.insert(target.clone(), file.relative.clone()) {
            return Err(CopyError::config(
                format!("`{other}` and `{}` would both become `{target}`", file.relative),
                "hierarchy: keep",
            ));
        }
    }
    Ok(targets)
}

enum Likeness {
    Same,
    Different,
    Unclear,
}

fn likeness(source: &FileFacts, sink: &FileFacts, rules: &Rules) -> Likeness {
    let sizes_agree = source.size.is_some() && source.size == sink.size;
    let same = |same: bool| if same { Likeness::Same } else { Likeness::Different };
    match (rules.compare, source.modified, sink.modified) {
        (Compare::None, _, _) => Likeness::Different,
        _ if !sizes_agree => Likeness::Different,
        (Compare::Size, _, _) => Likeness::Same,
        (Compare::Time, Some(read), Some(written)) if rules.keeps_times => same(times_agree(read, written)),
        (Compare::Time, Some(read), Some(written)) if read.as_second() != written.as_second() => {
            same(read < written)
        }
        _ => Likeness::Unclear,
    }
}

/// Whether two times are the same as far as both are told; many tell whole seconds.
fn times_agree(one: Timestamp, other: Timestamp) -> bool {
    if one.subsec_nanosecond() == 0 || other.subsec_nanosecond() == 0 {
        return one.as_second() == other.as_second();
    }
    one.as_microsecond() == other.as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn facts(path: &str, size: u64, modified: &str) -> FileFacts {
        let modified = Some(format!("2026-03-{modified}Z").parse().unwrap());
        FileFacts { path: path.to_owned(), size: Some(size), modified, etag: None }
    }

    fn rules(options: Value) -> Rules {
        let mut config = json!({"from": "raw/", "to": "out/"});
        config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let now = "2026-03-10T00:00:00Z".parse().unwrap();
        let config: SyncConfig = serde_json::from_value(config).unwrap();
        Rules::of(&config, now).unwrap().into("out", false)
    }

    fn shown(options: Value, keeps_times: bool) -> String {
        let source = [
            ("a.csv", 1, "01T00:00:00.5"),
            ("b.csv", 2, "02T00:00:00.5"),
            ("deep/c.txt", 3, "03T00:00:00.5"),
            ("deep/d.csv", 4, "04T00:00:00.5"),
            ("deep", 0, "04T00:00:00"),
        ];
        let sink = [
            ("out/a.csv", 1, "01T00:00:00"),
            ("out/b.csv", 2, "05T00:00:00"),
            ("out/deep/c.txt", 9, "05T00:00:00"),
            ("out/gone.csv", 1, "01T00:00:00"),
            ("out/gone.txt", 1, "01T00:00:00"),
            ("out/.x.0123456789abcdef0123456789abcdef.staged", 1, "01T00:00:00"),
            ("out/.y.0123456789abcdef0123456789abcdef.staged", 1, "09T23:59:00"),
        ];
        let source = source.map(|(path, size, at)| Listed {
            facts: facts(&format!("raw/{path}"), size, at),
            relative: path.to_owned(),
        });
        let sink = sink.map(|(path, size, at)| facts(path, size, at)).to_vec();
        let rules = Rules { keeps_times, ..rules(options) };
        let plan = match plan(source.to_vec(), sink, &rules) {
            Ok(plan) => plan,
            Err(error) => return error.to_string(),
        };
        let pairs =
            |pairs: &[Pair]| pairs.iter().map(|pair| pair.relative.clone()).collect::<Vec<_>>().join(" ");
        let paths =
            |files: &[FileFacts]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>().join(" ");
        let unclear: Vec<Pair> = plan.unclear.iter().map(|(pair, _)| pair.clone()).collect();
        format!(
            "copy {}; unclear {}; same {}; delete {}; left behind {}",
            pairs(&plan.copy),
            pairs(&unclear),
            pairs(&plan.same),
            paths(&plan.delete),
            paths(&plan.left_behind)
        )
    }

    #[test]
    fn plans() {
        let left = "left behind out/.x.0123456789abcdef0123456789abcdef.staged";
        let check = |options: Value, keeps_times: bool, expected: &str| {
            assert_eq!(shown(options.clone(), keeps_times), expected.replace("…", left), "{options}");
        };
        check(json!({}), false, "copy deep/c.txt deep/d.csv; unclear a.csv; same b.csv; delete ; …");
        check(json!({}), true, "copy b.csv deep/c.txt deep/d.csv; unclear ; same a.csv; delete ; …");
        check(
            json!({"compare": "digest"}),
            true,
            "copy deep/c.txt deep/d.csv; unclear a.csv b.csv; same ; delete ; …",
        );
        check(
            json!({"compare": "none"}),
            true,
            "copy a.csv b.csv deep/c.txt deep/d.csv; unclear ; same ; delete ; …",
        );
        check(
            json!({"compare": "size", "delete": true}),
            false,
            "copy deep/c.txt deep/d.csv; unclear ; same a.csv b.csv; delete out/gone.csv out/gone.txt; …",
        );
        // What is not meant is left alone in both places, and what is too old is not gone.
        let some =
            json!({"include": ["*.csv"], "exclude": ["deep/**"], "modified_since": "8d", "delete": true});
        check(some, true, "copy b.csv; unclear ; same ; delete out/gone.csv; …");
        check(
            json!({"hierarchy": "flatten", "compare": "size", "delete": true, "exclude": ["*.txt"]}),
            true,
            "copy d.csv; unclear ; same a.csv b.csv; delete out/gone.csv; …"
                .replace("copy d.csv", "copy deep/d.csv")
                .as_str(),
        );
        check(json!({"include": ["*.csb"], "delete": true}), true, "copy ; unclear ; same ; delete ; …");
        let message = "the source has no files, so `delete` would remove all 2 of the sink";
        check(json!({"include": ["gone.*"], "delete": true}), true, message);
    }

    #[test]
    fn files_of_one_name_do_not_become_one() {
        let files = ["a/x.csv", "b/x.csv"]
            .map(|path| Listed { facts: facts(path, 1, "01T00:00:00"), relative: path.to_owned() });
        let planned = plan(files.to_vec(), Vec::new(), &rules(json!({"hierarchy": "flatten"})));
        assert_eq!(planned.unwrap_err().to_string(), "`a/x.csv` and `b/x.csv` would both become `out/x.csv`");
    }
}
