//! What a row of changes does to the row of a table that has its key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a row does to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowChange {
    /// It is added; none may have its key.
    Insert,
    /// It takes the place of the one with its key, if there is one.
    Update,
    /// It takes the place of the one with its key, or is added.
    Upsert,
    /// The one with its key goes.
    Delete,
}

impl RowChange {
    /// All of them. Their places here are their numbers in [`Self::number_sql`].
    pub const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Upsert, Self::Delete];

    /// The words for it in lower case, our own first. The letters are those of AWS DMS (`Op`) and Debezium (`op`; `r` is a row of its snapshot).
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Insert => &["insert", "i", "c"],
            Self::Update => &["update", "u"],
            Self::Upsert => &["upsert", "r"],
            Self::Delete => &["delete", "d"],
        }
    }

    /// The word that Millrace writes.
    pub fn word(self) -> &'static str {
        self.words().first().copied().unwrap_or_default()
    }

    /// An SQL expression: the number of the change that `text` names in any case, null if it names none.
    pub fn number_sql(text: &str) -> String {
        let named = Self::ALL.into_iter().zip(0..).map(|(change, number)| {
            let words: Vec<String> = change.words().iter().map(|word| format!("'{word}'")).collect();
            format!(" when lower({text}) in ({}) then {number}", words.join(", "))
        });
        format!("case{} end", named.collect::<String>())
    }

    /// An SQL expression: the number of what all rows of a key come to, in the last one of them. `number` is that row's own change, `rows` how
    /// many there are, `before` [`Self::before_sql`] over them.
    ///
    /// An update that follows an insert adds the row, one that follows a delete finds none. An insert that is not the only one of its key
    /// follows a delete, so it replaces.
    pub fn outcome_sql(number: &str, before: &str, rows: &str) -> String {
        format!(
            "case when {number} = 3 or ({number} = 1 and {before} % 4 = 3) then 3 when {number} = 1 and {before} is null then 1 \
             when {number} = 0 and {rows} = 1 then 0 else 2 end"
        )
    }

    /// An SQL aggregate: the last change of a key that is no update, as four times its `place` among the rows and its number.
    pub fn before_sql(number: &str, place: &str) -> String {
        format!("max(case when {number} <> 1 then {place} * 4 + {number} end)")
    }
}
