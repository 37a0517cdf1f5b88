//! Brings the tables up to date: forward only, each migration in one transaction together with its record.
//!
//! A migration is named for what it does and never edited after a release; a newer database than the program is refused.

use crate::{Metastore, MetastoreError, Session};

struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// Every migration, in the order in which they are applied.
const ALL: &[Migration] = &[
    migration!("0101_pipeline_runs"),
    migration!("0201_assets"),
    migration!("0202_experiments"),
    migration!("0301_deployments"),
    migration!("0401_monitoring"),
    migration!("0020_model_registry"),
    migration!("0030_traces"),
    migration!("0031_eval_datasets"),
    migration!("0040_purge"),
    migration!("0041_retention"),
    migration!("0042_storage_use"),
    migration!("0045_imports"),
    migration!("0050_dataset_tags"),
    migration!("0051_what_runs_read"),
    migration!("0052_model_cards"),
    migration!("0060_accounts"),
    migration!("0110_schedules"),
    migration!("0111_windows"),
    migration!("0130_approvals"),
    migration!("0131_environments"),
    migration!("0140_items_and_sub_runs"),
    migration!("0141_queue_is_asked"),
    migration!("0170_roles"),
    migration!("0171_servers"),
    migration!("0150_attempt_cost"),
    migration!("0151_runs_by_end"),
    migration!("0120_event_inbox"),
    migration!("0121_event_sources_that_fail"),
    migration!("0190_run_notices"),
    migration!("0185_openlineage"),
    migration!("0210_log_in_one_statement"),
    migration!("0211_clock_of_what_is_logged"),
];

/// Locks out a second program that migrates the same PostgreSQL database at the same time.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(5283642190)";

pub(crate) async fn apply(store: &Metastore) -> Result<(), MetastoreError> {
    let postgres = store.is_postgres();
    if applied(store).await?.len() == ALL.len() {
        return Ok(());
    }
    store
        .write(move |session| {
            Box::pin(async move {
                if postgres {
                    session.control(POSTGRES_LOCK).await?;
                }
                session
                    .execute("CREATE TABLE IF NOT EXISTS schema_migration (name TEXT PRIMARY KEY, digest TEXT NOT NULL)", &[])
                    .await?;
                let known = read_applied(session).await?;
                for migration in ALL.iter().filter(|migration| known.iter().all(|name| name != migration.name)) {
                    apply_one(session, migration, postgres).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn apply_one(
    session: &mut Session,
    migration: &Migration,
    postgres: bool,
) -> Result<(), MetastoreError> {
    let script = if postgres { migration.postgres } else { migration.sqlite };
    let failed = |error| MetastoreError::Migration { name: migration.name, error };
    session.execute_script(script).await.map_err(failed)?;
    session
        .execute(
            "INSERT INTO schema_migration (name, digest) VALUES ($1, $2)",
            &[migration.name.into(), fingerprint(script).into()],
        )
        .await?;
    Ok(())
}

/// Names of the applied migrations, checked against those that we know. None for a new database.
async fn applied(store: &Metastore) -> Result<Vec<String>, MetastoreError> {
    let postgres = store.is_postgres();
    store
        .read(move |session| {
            Box::pin(async move {
                let exists = if postgres {
                    "SELECT 1 AS found FROM pg_tables WHERE tablename = 'schema_migration' AND schemaname = current_schema()"
                } else {
                    "SELECT 1 AS found FROM sqlite_master WHERE name = 'schema_migration'"
                };
                if session.fetch_optional(exists, &[]).await?.is_none() {
                    return Ok(Vec::new());
                }
                let rows = session.fetch_all("SELECT name, digest FROM schema_migration", &[]).await?;
                for row in &rows {
                    check(&row.text("name")?, &row.text("digest")?, postgres)?;
                }
                rows.iter().map(|row| row.text("name")).collect()
            })
        })
        .await
}

async fn read_applied(session: &mut Session) -> Result<Vec<String>, MetastoreError> {
    session
        .fetch_all("SELECT name FROM schema_migration", &[])
        .await?
        .iter()
        .map(|row| row.text("name"))
        .collect()
}

fn check(name: &str, digest: &str, postgres: bool) -> Result<(), MetastoreError> {
    let Some(migration) = ALL.iter().find(|migration| migration.name == name) else {
        return Err(MetastoreError::TooNew { name: name.to_owned() });
    };
    if fingerprint(if postgres { migration.postgres } else { migration.sqlite }) != digest {
        return Err(MetastoreError::Changed { name: name.to_owned() });
    }
    Ok(())
}

/// FNV-1a, 64 bits, over the script: enough to notice an edit.
fn fingerprint(script: &str) -> String {
    let hash = script.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
