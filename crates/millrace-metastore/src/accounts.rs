//! Accounts: who may log in, their tokens, and what they were granted.
//!
//! Passwords and tokens come hashed; what a permission's word means is for the caller. Times are microseconds since 1970.

use crate::{Metastore, MetastoreError, Row};

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// From 1.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// In the format of the Password Hashing Competition.
    pub password_hash: String,
    /// Whether everything is allowed.
    pub is_admin: bool,
}

/// A permission on something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// MLflow's word: `experiment`, `registered_model`, `prompt`.
    pub kind: String,
    /// An id or a name, `*` for all of the kind.
    pub object: String,
    /// MLflow's word.
    pub permission: String,
}

/// A token, without what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Unique.
    pub id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
}

const SELECT: &str = "SELECT a.id, a.name, a.password_hash, a.is_admin FROM account a";

fn account(row: &Row) -> Result<AccountRow, MetastoreError> {
    Ok(AccountRow {
        id: row.int("id")?,
        name: row.text("name")?,
        password_hash: row.text("password_hash")?,
        is_admin: row.int("is_admin")? != 0,
    })
}

impl Metastore {
    /// Makes an account; `None` if the name is taken.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn create_account(
        &self,
        name: String,
        password_hash: String,
        now: i64,
    ) -> Result<Option<AccountRow>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO account (name, password_hash, is_admin, created_at) VALUES ($1, $2, 0, $3) \
                           ON CONFLICT (name) DO NOTHING";
                let args = [(&name).into(), (&password_hash).into(), now.into()];
                if session.execute(sql, &args).await? == 0 {
                    return Ok(None);
                }
                let found = session.fetch_all(&format!("{SELECT} WHERE a.name = $1"), &[(&name).into()]).await?;
                found.first().map(account).transpose()
            })
        })
        .await
    }

    /// The account of a name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_account(&self, name: String) -> Result<Option<AccountRow>, MetastoreError> {
        self.read_account("WHERE a.name = $1", name).await
    }

    /// The account that a token belongs to, by the token's digest.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_account_of_token(&self, digest: String) -> Result<Option<AccountRow>, MetastoreError> {
        self.read_account("JOIN account_token t ON t.account_id = a.id WHERE t.digest = $1", digest).await
    }

    async fn read_account(
        &self,
        condition: &'static str,
        value: String,
    ) -> Result<Option<AccountRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let found = session.fetch_all(&format!("{SELECT} {condition}"), &[value.into()]).await?;
                found.first().map(account).transpose()
            })
        })
        .await
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_accounts(&self) -> Result<Vec<AccountRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let found = session.fetch_all(&format!("{SELECT} ORDER BY a.name"), &[]).await?;
                found.iter().map(account).collect()
            })
        })
        .await
    }

    /// Gives an account another password; whether there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_account_password(&self, name: String, hash: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE account SET password_hash = $2 WHERE name = $1";
                Ok(session.execute(sql, &[name.into(), hash.into()]).await? > 0)
            })
        })
        .await
    }

    /// Makes an account an administrator's or not; whether there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_account_admin(&self, name: String, is_admin: bool) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE account SET is_admin = $2 WHERE name = $1";
                Ok(session.execute(sql, &[name.into(), is_admin.into()]).await? > 0)
            })
        })
        .await
    }

    /// Deletes an account with its tokens and grants; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_account(&self, name: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                Ok(session.execute("DELETE FROM account WHERE name = $1", &[name.into()]).await? > 0)
            })
        })
        .await
    }

    /// What an account was granted itself, by kind and object; [`Metastore::list_held_grants`] adds what its roles grant.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_grants(&self, account: i64) -> Result<Vec<GrantRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT kind, object, permission FROM account_grant WHERE account_id = $1 ORDER BY kind, object";
                let grant = |row: &Row| {
                    let (kind, object) = (row.text("kind")?, row.text("object")?);
                    Ok(GrantRow { kind, object, permission: row.text("permission")? })
                };
                session.fetch_all(sql, &[account.into()]).await?.iter().map(grant).collect()
            })
        })
        .await
    }

    /// Grants something, in the place of what was granted before.
    ///
    /// # Errors
    /// If there is no such account or the database fails.
    pub async fn set_grant(&self, account: i64, grant: GrantRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO account_grant (account_id, kind, object, permission) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (account_id, kind, object) DO UPDATE SET permission = excluded.permission";
                let GrantRow { kind, object, permission } = grant;
                session.execute(sql, &[account.into(), kind.into(), object.into(), permission.into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes back what was granted; whether there was something.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn remove_grant(
        &self,
        account: i64,
        kind: String,
        object: String,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM account_grant WHERE account_id = $1 AND kind = $2 AND object = $3";
                Ok(session.execute(sql, &[account.into(), kind.into(), object.into()]).await? > 0)
            })
        })
        .await
    }

    /// Forgets what anybody was granted on something that is gone, or lets it hold under its new name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn move_grants(
        &self,
        kind: String,
        object: String,
        to: Option<String>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // A name that is free again must not bring somebody else's permissions with it.
                let gone = to.as_ref().unwrap_or(&object);
                for table in ["account_grant", "role_grant"] {
                    let sql = format!("DELETE FROM {table} WHERE kind = $1 AND object = $2");
                    session.execute(&sql, &[(&kind).into(), gone.into()]).await?;
                    if let Some(to) = &to {
                        let sql = format!("UPDATE {table} SET object = $3 WHERE kind = $1 AND object = $2");
                        session.execute(&sql, &[(&kind).into(), (&object).into(), to.into()]).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Keeps a token of an account by its digest.
    ///
    /// # Errors
    /// If there is no such account or the database fails.
    pub async fn create_token(
        &self,
        account: i64,
        token: TokenRow,
        digest: String,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO account_token (id, account_id, name, digest, created_at) VALUES ($1, $2, $3, $4, $5)";
                let TokenRow { id, name, created_at } = token;
                let args = [id.into(), account.into(), name.into(), digest.into(), created_at.into()];
                session.execute(sql, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Tokens of an account, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_tokens(&self, account: i64) -> Result<Vec<TokenRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT id, name, created_at FROM account_token WHERE account_id = $1 ORDER BY created_at, id";
                let token = |row: &Row| {
                    Ok(TokenRow { id: row.text("id")?, name: row.text("name")?, created_at: row.int("created_at")? })
                };
                session.fetch_all(sql, &[account.into()]).await?.iter().map(token).collect()
            })
        })
        .await
    }

    /// Deletes a token of an account; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_token(&self, account: i64, id: String) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM account_token WHERE account_id = $1 AND id = $2";
                Ok(session.execute(sql, &[account.into(), id.into()]).await? > 0)
            })
        })
        .await
    }
}
