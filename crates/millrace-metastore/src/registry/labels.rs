//! Tags and aliases.

use super::promotions::is_protected;
use super::versions::read_version;
use super::{MODEL, ModelVersionRow, RegistryRefusal, events, lock_model};
use crate::assets::{self, VersionSelector};
use crate::{Metastore, MetastoreError, Session};

impl Metastore {
    /// Sets a tag of a name.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn set_registered_model_tag(
        &self,
        name: String,
        (key, value): (String, String),
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_model(session, &name).await?;
                if set_tag(session, &name, 0, &key, &value).await? {
                    events::model_tagged(session, &name, (&key, Some(&value)), now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Removes a tag of a name, if it is there.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn delete_registered_model_tag(
        &self,
        name: String,
        key: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_model(session, &name).await?;
                if delete_tag(session, &name, 0, &key).await? {
                    events::model_tagged(session, &name, (&key, None), now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn set_model_version_tag(
        &self,
        (name, version): (String, i64),
        (key, value): (String, String),
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                if set_tag(session, &name, version, &key, &value).await? {
                    events::version_tagged(session, (&name, version), (&key, Some(&value)), now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Removes a tag of a version, if it is there.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn delete_model_version_tag(
        &self,
        (name, version): (String, i64),
        key: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                if delete_tag(session, &name, version, &key).await? {
                    events::version_tagged(session, (&name, version), (&key, None), now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Points an alias at a version.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn set_model_alias(
        &self,
        (name, version): (String, i64),
        alias: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                point_alias(session, (&name, version), &alias, now).await
            })
        })
        .await
    }

    /// Removes an alias, if it is there.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn delete_model_alias(
        &self,
        name: String,
        alias: String,
        now: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_model(session, &name).await?;
                if is_protected(session, &name, &alias).await? {
                    return Err(RegistryRefusal::Protected { name, alias }.into());
                }
                let sql = "DELETE FROM asset_alias WHERE kind = $1 AND name = $2 AND alias = $3";
                let args = [MODEL.into(), name.as_str().into(), alias.as_str().into()];
                if session.execute(sql, &args).await? > 0 {
                    events::alias_moved(session, (&name, &alias), None, now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The version that an alias points at.
    ///
    /// # Errors
    /// [`RegistryRefusal`] if there is no such name or alias; if the database fails.
    pub async fn find_model_version_by_alias(
        &self,
        name: String,
        alias: String,
    ) -> Result<ModelVersionRow, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT version FROM asset_alias WHERE kind = $1 AND name = $2 AND alias = $3";
                let args = [MODEL.into(), name.as_str().into(), alias.as_str().into()];
                match session.fetch_optional(sql, &args).await? {
                    Some(row) => read_version(session, &name, row.int("version")?).await,
                    None => {
                        let sql = "SELECT name FROM registered_model WHERE name = $1";
                        match session.fetch_optional(sql, &[name.as_str().into()]).await? {
                            Some(_) => Err(RegistryRefusal::NoAlias { alias }.into()),
                            None => Err(RegistryRefusal::NoModel { name }.into()),
                        }
                    }
                }
            })
        })
        .await
    }
}

/// As [`lock_model`], for a version that must be there.
pub(super) async fn lock_version(
    session: &mut Session,
    name: &str,
    version: i64,
) -> Result<ModelVersionRow, MetastoreError> {
    match lock_model(session, name).await {
        Err(MetastoreError::Registry(RegistryRefusal::NoModel { name })) => {
            return Err(RegistryRefusal::NoVersion { name, version }.into());
        }
        locked => locked?,
    }
    read_version(session, name, version).await
}

/// Points an alias at a version, and tells of it if it did not point there.
///
/// # Errors
/// [`RegistryRefusal::Protected`] if it is to move and only an approved request moves it.
pub(super) async fn point_alias(
    session: &mut Session,
    (name, version): (&str, i64),
    alias: &str,
    now: i64,
) -> Result<(), MetastoreError> {
    if is_protected(session, name, alias).await? {
        let there = VersionSelector::Alias(alias.to_owned());
        let points = assets::find(session, MODEL, name, &there).await?.map(|row| row.version);
        if points == Some(version) {
            return Ok(());
        }
        return Err(RegistryRefusal::Protected { name: name.to_owned(), alias: alias.to_owned() }.into());
    }
    move_alias(session, (name, version), alias, now).await
}

/// As [`point_alias`], for who has asked already whether it may move.
pub(super) async fn move_alias(
    session: &mut Session,
    (name, version): (&str, i64),
    alias: &str,
    now: i64,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO asset_alias AS known (kind, name, alias, version) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, name, alias) DO UPDATE SET version = excluded.version WHERE known.version <> excluded.version";
    let args = [MODEL.into(), name.into(), alias.into(), version.into()];
    if session.execute(sql, &args).await? > 0 {
        events::alias_moved(session, (name, alias), Some(version), now).await?;
    }
    Ok(())
}

pub(super) async fn set_tags(
    session: &mut Session,
    name: &str,
    version: i64,
    tags: &[(String, String)],
) -> Result<(), MetastoreError> {
    for (key, value) in tags {
        set_tag(session, name, version, key, value).await?;
    }
    Ok(())
}

/// Sets a tag; `false` if it was so already.
async fn set_tag(
    session: &mut Session,
    name: &str,
    version: i64,
    key: &str,
    value: &str,
) -> Result<bool, MetastoreError> {
    let sql = "INSERT INTO model_tag AS known (name, version, key, content) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name, version, key) DO UPDATE SET content = excluded.content WHERE known.content <> excluded.content";
    Ok(session.execute(sql, &[name.into(), version.into(), key.into(), value.into()]).await? > 0)
}

async fn delete_tag(
    session: &mut Session,
    name: &str,
    version: i64,
    key: &str,
) -> Result<bool, MetastoreError> {
    let sql = "DELETE FROM model_tag WHERE name = $1 AND version = $2 AND key = $3";
    Ok(session.execute(sql, &[name.into(), version.into(), key.into()]).await? > 0)
}
