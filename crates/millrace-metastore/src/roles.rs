//! Roles: permissions under a name, and which accounts have them.
//!
//! What a permission's word means, and which words there are, is for the caller.

use std::collections::{BTreeMap, BTreeSet};

use crate::accounts::GrantRow;
use crate::{Metastore, MetastoreError, Row, Session};

/// A role with what it grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRow {
    /// From 1; never given twice.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// In the order in which they were added.
    pub grants: Vec<RoleGrantRow>,
}

/// One permission of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrantRow {
    /// From 1.
    pub id: i64,
    /// The role.
    pub role: i64,
    /// On what, and which.
    pub grant: GrantRow,
}

/// That an account has a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleMemberRow {
    /// From 1.
    pub id: i64,
    /// The role.
    pub role: i64,
    /// The account.
    pub account: i64,
}

/// Which roles to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolesOf {
    /// All.
    Everybody,
    /// Those of one account.
    Account(i64),
}

const GRANT_COLUMNS: &str = "g.id, g.role_id, g.kind, g.object, g.permission";

fn grant_row(row: &Row) -> Result<RoleGrantRow, MetastoreError> {
    Ok(RoleGrantRow {
        id: row.int("id")?,
        role: row.int("role_id")?,
        grant: GrantRow {
            kind: row.text("kind")?,
            object: row.text("object")?,
            permission: row.text("permission")?,
        },
    })
}

fn member_row(row: &Row) -> Result<RoleMemberRow, MetastoreError> {
    Ok(RoleMemberRow { id: row.int("id")?, role: row.int("role_id")?, account: row.int("account_id")? })
}

impl Metastore {
    /// Makes a role that grants nothing yet; `None` if the name is taken.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn create_role(
        &self,
        name: String,
        description: Option<String>,
    ) -> Result<Option<RoleRow>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO account_role (name, description) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id";
                let made = session.fetch_optional(sql, &[(&name).into(), description.as_deref().into()]).await?;
                let Some(made) = made else { return Ok(None) };
                Ok(Some(RoleRow { id: made.int("id")?, name, description, grants: Vec::new() }))
            })
        })
        .await
    }

    /// A role by its number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_role(&self, id: i64) -> Result<Option<RoleRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let found = roles(session, "WHERE r.id = $1", "WHERE g.role_id = $1", Some(id)).await?;
                Ok(found.into_iter().next())
            })
        })
        .await
    }

    /// Roles, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_roles(&self, of: RolesOf) -> Result<Vec<RoleRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                match of {
                    RolesOf::Everybody => roles(session, "", "", None).await,
                    RolesOf::Account(account) => {
                        let of = "JOIN role_member m ON m.role_id = r.id WHERE m.account_id = $1";
                        let theirs = "JOIN role_member m ON m.role_id = g.role_id WHERE m.account_id = $1";
                        roles(session, of, theirs, Some(account)).await
                    }
                }
            })
        })
        .await
    }

    /// Renames or describes a role anew; `Some(false)` if the name is another role's, `None` if there is no such role.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn update_role(
        &self,
        id: i64,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Option<bool>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let taken = "SELECT id FROM account_role WHERE name = $1 AND id <> $2";
                if let Some(name) = &name
                    && session.fetch_optional(taken, &[name.into(), id.into()]).await?.is_some()
                {
                    return Ok(Some(false));
                }
                let sql = "UPDATE account_role SET name = COALESCE($2, name), description = COALESCE($3, description) \
                           WHERE id = $1";
                let args = [id.into(), name.as_deref().into(), description.as_deref().into()];
                Ok((session.execute(sql, &args).await? > 0).then_some(true))
            })
        })
        .await
    }

    /// Deletes a role, which nobody has then any more; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_role(&self, id: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                Ok(session.execute("DELETE FROM account_role WHERE id = $1", &[id.into()]).await? > 0)
            })
        })
        .await
    }

    /// Adds a permission to a role; `None` if it has one on that already.
    ///
    /// # Errors
    /// If there is no such role or the database fails.
    pub async fn add_role_grant(
        &self,
        role: i64,
        grant: GrantRow,
    ) -> Result<Option<RoleGrantRow>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO role_grant (role_id, kind, object, permission) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (role_id, kind, object) DO NOTHING RETURNING id";
                let args =
                    [role.into(), (&grant.kind).into(), (&grant.object).into(), (&grant.permission).into()];
                let made = session.fetch_optional(sql, &args).await?;
                made.map(|row| Ok(RoleGrantRow { id: row.int("id")?, role, grant })).transpose()
            })
        })
        .await
    }

    /// A permission of a role by its own number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_role_grant(&self, id: i64) -> Result<Option<RoleGrantRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!("SELECT {GRANT_COLUMNS} FROM role_grant g WHERE g.id = $1");
                session.fetch_optional(&sql, &[id.into()]).await?.as_ref().map(grant_row).transpose()
            })
        })
        .await
    }

    /// Changes the word of a permission of a role; whether there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn update_role_grant(&self, id: i64, permission: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE role_grant SET permission = $2 WHERE id = $1";
                Ok(session.execute(sql, &[id.into(), permission.into()]).await? > 0)
            })
        })
        .await
    }

    /// Takes a permission from a role; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn remove_role_grant(&self, id: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                Ok(session.execute("DELETE FROM role_grant WHERE id = $1", &[id.into()]).await? > 0)
            })
        })
        .await
    }

    /// Gives an account a role; `None` if it has it.
    ///
    /// # Errors
    /// If one of them is absent or the database fails.
    pub async fn assign_role(
        &self,
        account: i64,
        role: i64,
    ) -> Result<Option<RoleMemberRow>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO role_member (role_id, account_id) VALUES ($1, $2) \
                           ON CONFLICT (account_id, role_id) DO NOTHING RETURNING id, role_id, account_id";
                let made = session.fetch_optional(sql, &[role.into(), account.into()]).await?;
                made.as_ref().map(member_row).transpose()
            })
        })
        .await
    }

    /// Takes a role from an account; whether it had it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unassign_role(&self, account: i64, role: i64) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM role_member WHERE role_id = $1 AND account_id = $2";
                Ok(session.execute(sql, &[role.into(), account.into()]).await? > 0)
            })
        })
        .await
    }

    /// Who has which role, of one role or of all.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_role_members(&self, role: Option<i64>) -> Result<Vec<RoleMemberRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let select = "SELECT id, role_id, account_id FROM role_member";
                let found = match role {
                    Some(role) => {
                        session
                            .fetch_all(&format!("{select} WHERE role_id = $1 ORDER BY id"), &[role.into()])
                            .await?
                    }
                    None => session.fetch_all(&format!("{select} ORDER BY id"), &[]).await?,
                };
                found.iter().map(member_row).collect()
            })
        })
        .await
    }

    /// Each role by its name, with the names of the accounts that have it; roles that nobody has are among them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_role_people(&self) -> Result<BTreeMap<String, BTreeSet<String>>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT r.name AS role, a.name AS account FROM account_role r \
                           LEFT JOIN role_member m ON m.role_id = r.id LEFT JOIN account a ON a.id = m.account_id";
                let mut people: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
                for row in session.fetch_all(sql, &[]).await? {
                    people.entry(row.text("role")?).or_default().extend(row.opt_text("account")?);
                }
                Ok(people)
            })
        })
        .await
    }

    /// What an account holds: what it was granted itself, and what its roles grant. One object may appear more than once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_held_grants(&self, account: i64) -> Result<Vec<GrantRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT kind, object, permission FROM account_grant WHERE account_id = $1 \
                           UNION ALL SELECT g.kind, g.object, g.permission FROM role_grant g \
                           JOIN role_member m ON m.role_id = g.role_id WHERE m.account_id = $1";
                let held = |row: &Row| {
                    let (kind, object) = (row.text("kind")?, row.text("object")?);
                    Ok(GrantRow { kind, object, permission: row.text("permission")? })
                };
                session.fetch_all(sql, &[account.into()]).await?.iter().map(held).collect()
            })
        })
        .await
    }
}

/// Roles and their grants by two conditions on the same bound value.
async fn roles(
    session: &mut Session,
    which: &str,
    whose_grants: &str,
    value: Option<i64>,
) -> Result<Vec<RoleRow>, MetastoreError> {
    let args = value.map(crate::Value::from);
    let args = args.as_slice();
    let sql = format!("SELECT r.id, r.name, r.description FROM account_role r {which} ORDER BY r.id");
    let found = session.fetch_all(&sql, args).await?;
    let sql = format!("SELECT {GRANT_COLUMNS} FROM role_grant g {whose_grants} ORDER BY g.id");
    let grants = session.fetch_all(&sql, args).await?;
    let grants: Vec<RoleGrantRow> = grants.iter().map(grant_row).collect::<Result<_, _>>()?;
    let role = |row: &Row| {
        let id = row.int("id")?;
        let grants = grants.iter().filter(|grant| grant.role == id).cloned().collect();
        Ok(RoleRow { id, name: row.text("name")?, description: row.opt_text("description")?, grants })
    };
    found.iter().map(role).collect()
}
