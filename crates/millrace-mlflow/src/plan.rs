//! What the experiments and registered models of a source are called here.

use std::collections::{BTreeMap, HashMap, HashSet};

use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::imports::ImportSource;

use crate::digest::DEFAULT;

/// What becomes of an experiment of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is here already, under this number.
    Here(i64),
    /// It gets this number, and perhaps another if somebody is quicker.
    New(i64),
}

/// Finds a place for each experiment: by what an earlier import noted, as the same experiment (name and time of creation), or anew under
/// its own number where that is free. An experiment with the name of another one is named instead.
///
/// `prefix`: put before each name.
pub(crate) fn experiments(
    source: &mut [ExperimentFull],
    here: &[ExperimentFull],
    known: &ImportSource,
    prefix: &str,
) -> Result<Vec<Place>, Vec<String>> {
    let by_name: HashMap<&str, &ExperimentFull> = here.iter().map(|one| (one.name.as_str(), one)).collect();
    let mut taken: HashSet<i64> = here.iter().map(|one| one.id).collect();
    let mut next = taken.iter().chain(source.iter().map(|one| &one.id)).max().copied().unwrap_or(0);
    let (mut places, mut clashes) = (Vec::with_capacity(source.len()), Vec::new());
    for one in source {
        let noted = known.experiments.get(&one.id);
        let noted = noted.and_then(|number| here.iter().find(|here| here.id == *number));
        match noted {
            // An earlier import may have given it a prefix.
            Some(here) if here.name.ends_with(one.name.as_str()) => one.name.clone_from(&here.name),
            _ => one.name.insert_str(0, prefix),
        }
        let same = by_name.get(one.name.as_str());
        places.push(match (noted, same) {
            (Some(here), _) => Place::Here(here.id),
            (None, _) if one.id == DEFAULT && prefix.is_empty() => Place::Here(DEFAULT),
            (None, Some(same)) if same.created_at / 1_000 == one.created_at / 1_000 => Place::Here(same.id),
            (None, Some(_)) => {
                clashes.push(one.name.clone());
                continue;
            }
            (None, None) => {
                let number = if taken.contains(&one.id) {
                    next += 1;
                    next
                } else {
                    one.id
                };
                taken.insert(number);
                Place::New(number)
            }
        });
    }
    if clashes.is_empty() { Ok(places) } else { Err(clashes) }
}

/// The name of a registered model here; `None` if another one has it.
pub(crate) fn registered(
    name: &str,
    created_at: i64,
    here: &BTreeMap<String, i64>,
    known: &ImportSource,
    prefix: &str,
) -> Option<String> {
    if let Some(name) = known.models.get(name).filter(|name| here.contains_key(*name)) {
        return Some(name.clone());
    }
    let name = format!("{prefix}{name}");
    match here.get(&name) {
        Some(time) if time / 1_000 != created_at / 1_000 => None,
        _ => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(id: i64, name: &str, created_at: i64) -> ExperimentFull {
        let name = name.to_owned();
        let (updated_at, deleted, artifact_location, tags) = (created_at, false, None, Vec::new());
        ExperimentFull {
            id,
            name,
            created_at,
            updated_at,
            deleted,
            deleted_at: None,
            artifact_location,
            tags,
        }
    }

    #[test]
    fn numbers_stay_where_they_are_free_and_names_are_never_mixed_up() {
        let here = [experiment(0, "Default", 1), experiment(1, "own", 2_000), experiment(3, "same", 5_000)];
        let known = ImportSource::default();
        let mut source = [
            experiment(0, "Default", 9),
            experiment(1, "one", 9),
            experiment(2, "two", 9),
            experiment(7, "same", 5_001),
        ];
        let places = experiments(&mut source, &here, &known, "").unwrap();
        assert_eq!(places, [Place::Here(0), Place::New(8), Place::New(2), Place::Here(3)]);
        let mut source = [experiment(0, "Default", 9), experiment(5, "own", 9_000)];
        assert_eq!(experiments(&mut source, &here, &known, ""), Err(vec!["own".to_owned()]));
        let mut source = [experiment(0, "Default", 9), experiment(5, "own", 9_000)];
        let places = experiments(&mut source, &here, &known, "old/").unwrap();
        assert_eq!(places, [Place::New(6), Place::New(5)]);
        assert_eq!(source[1].name, "old/own");
        let known = ImportSource { experiments: HashMap::from([(5, 1)]), ..ImportSource::default() };
        let mut source = [experiment(5, "own", 9_000)];
        assert_eq!(experiments(&mut source, &here, &known, "").unwrap(), [Place::Here(1)]);
    }
}
