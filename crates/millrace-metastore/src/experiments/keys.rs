//! The names of metrics, parameters and tags, each with a number: documents, series and columns hold the numbers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::{MetastoreError, Row, Session, Value};

use super::placeholders;

/// Names in one statement.
const CHUNK: usize = 500;

/// What is known of the dictionary. It only grows, and only by what was committed.
#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Arc<str>, u32>,
    names: HashMap<u32, Arc<str>>,
}

/// The numbers of committed names.
pub(super) struct RememberedKeys<'a>(RwLockReadGuard<'a, Known>);

impl RememberedKeys<'_> {
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.0.ids.get(name).copied()
    }
}

/// Names with their numbers, as one transaction sees them.
pub(super) type Numbered = HashMap<String, u32>;

impl Keys {
    /// The number of a name, if it has one.
    pub(super) async fn id(&self, session: &mut Session, name: &str) -> Result<Option<u32>, MetastoreError> {
        if let Some(id) = self.known(name) {
            return Ok(Some(id));
        }
        let sql = "SELECT id, name FROM tracked_key WHERE name = $1";
        let rows = session.fetch_all(sql, &[name.into()]).await?;
        self.learn(&rows)?;
        Ok(self.known(name))
    }

    fn known(&self, name: &str) -> Option<u32> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.get(name).copied()
    }

    /// The numbers of names; those that have none get one, which is not remembered before the commit ([`Keys::learn_numbered`]): a number
    /// that is given in a transaction that fails will be another name's.
    pub(super) async fn ensure(
        &self,
        session: &mut Session,
        names: BTreeSet<&str>,
    ) -> Result<Numbered, MetastoreError> {
        let mut numbered = Numbered::with_capacity(names.len());
        let mut unknown = Vec::new();
        for name in names {
            match self.known(name) {
                Some(id) => drop(numbered.insert(name.to_owned(), id)),
                None => unknown.push(name),
            }
        }
        for names in unknown.chunks(CHUNK) {
            let args: Vec<Value<'_>> = names.iter().map(|name| (*name).into()).collect();
            let rows: Vec<String> = (1..=names.len()).map(|number| format!("(${number})")).collect();
            let sql =
                format!("INSERT INTO tracked_key (name) VALUES {} ON CONFLICT DO NOTHING", rows.join(", "));
            session.execute(&sql, &args).await?;
            let sql =
                format!("SELECT id, name FROM tracked_key WHERE name IN ({})", placeholders(1, names.len()));
            for row in session.fetch_all(&sql, &args).await? {
                numbered.insert(row.text("name")?, id_of(&row)?);
            }
        }
        Ok(numbered)
    }

    /// What is remembered, for as long as nothing new has to be.
    pub(super) fn remembered(&self) -> RememberedKeys<'_> {
        RememberedKeys(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers names whose numbers were committed.
    pub(super) fn learn_numbered(&self, numbered: &Numbered) {
        let is_new = |known: &Known, name: &str| !known.ids.contains_key(name);
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if !numbered.keys().any(|name| is_new(&known, name)) {
                return;
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<(Arc<str>, u32)> = numbered
            .iter()
            .filter(|(name, _)| is_new(&known, name))
            .map(|(name, id)| (name.as_str().into(), *id))
            .collect();
        known.names.extend(fresh.iter().map(|(name, id)| (*id, name.clone())));
        known.ids.extend(fresh);
    }

    /// Remembers names that were committed.
    fn learn(&self, rows: &[Row]) -> Result<(), MetastoreError> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let (id, name): (u32, Arc<str>) = (id_of(row)?, row.text("name")?.into());
            known.ids.insert(name.clone(), id);
            known.names.insert(id, name);
        }
        Ok(())
    }

    /// The names of numbers that stand in committed documents.
    pub(super) async fn names(
        &self,
        session: &mut Session,
        ids: &BTreeSet<u32>,
    ) -> Result<HashMap<u32, Arc<str>>, MetastoreError> {
        let unknown: Vec<u32> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            ids.iter().filter(|id| !known.names.contains_key(id)).copied().collect()
        };
        for ids in unknown.chunks(CHUNK) {
            let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
            let sql =
                format!("SELECT id, name FROM tracked_key WHERE id IN ({})", placeholders(1, ids.len()));
            let rows = session.fetch_all(&sql, &args).await?;
            self.learn(&rows)?;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let name = |id: &u32| Some((*id, known.names.get(id)?.clone()));
        let names: Option<_> = ids.iter().map(name).collect();
        names.ok_or_else(|| MetastoreError::stale("a document has a name that nobody gave"))
    }
}

fn id_of(row: &Row) -> Result<u32, MetastoreError> {
    u32::try_from(row.int("id")?).map_err(|_| MetastoreError::stale("there are more than four billion names"))
}
