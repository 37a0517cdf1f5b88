//! Searching models and versions: filters, orders and pages, compiled to one statement with bound values.

use super::models::{add_everything, model_row};
use super::{
    ModelVersionRow, PROMPT_TAG, RegisteredModelRow, RegistryRefusal, SELECT_VERSION, add_labels, version_row,
};
use crate::experiments::{Condition, Cursor, Key, in_sql};
use crate::{Metastore, MetastoreError, Row, Value};

/// What a clause compares or an order sorts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryField {
    /// Name.
    Name,
    /// Number of the version.
    Version,
    /// The run that made a version.
    RunId,
    /// Where a version came from.
    Source,
    /// When it was made.
    CreatedAt,
    /// When it was changed.
    UpdatedAt,
    /// A tag.
    Tag(String),
}

/// A part of a filter; all must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryClause {
    /// What is compared.
    pub field: RegistryField,
    /// With what.
    pub condition: Condition,
}

/// A sort key; tags are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOrder {
    /// By what.
    pub field: RegistryField,
    /// Smallest first.
    pub ascending: bool,
}

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct RegistryQuery {
    /// All must hold.
    pub clauses: Vec<RegistryClause>,
    /// Whether prompts are found too; else only models are.
    pub prompts: bool,
    /// The first decides first.
    pub order: Vec<RegistryOrder>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Rows at most.
    pub limit: i64,
}

impl Metastore {
    /// Models, and where the next page begins if there is one.
    ///
    /// # Errors
    /// [`RegistryRefusal::ForeignToken`], or if the database fails.
    pub async fn search_registered_models(
        &self,
        mut query: RegistryQuery,
    ) -> Result<(Vec<RegisteredModelRow>, Option<Cursor>), MetastoreError> {
        order_by_default(&mut query.order, &[(RegistryField::Name, true)]);
        let (rows, next) = self.search_registry(&MODELS, query).await?;
        let mut found = rows.iter().map(model_row).collect::<Result<Vec<_>, _>>()?;
        let found = self
            .read(move |session| {
                Box::pin(async move {
                    add_everything(session, &mut found).await?;
                    Ok(found)
                })
            })
            .await?;
        Ok((found, next))
    }

    /// Versions, and where the next page begins if there is one.
    ///
    /// # Errors
    /// [`RegistryRefusal::ForeignToken`], or if the database fails.
    pub async fn search_model_versions(
        &self,
        mut query: RegistryQuery,
    ) -> Result<(Vec<ModelVersionRow>, Option<Cursor>), MetastoreError> {
        if query.order.is_empty() {
            query.order.push(RegistryOrder { field: RegistryField::UpdatedAt, ascending: false });
        }
        order_by_default(&mut query.order, &[(RegistryField::Name, true), (RegistryField::Version, false)]);
        let (rows, next) = self.search_registry(&VERSIONS, query).await?;
        let mut found = rows.iter().map(version_row).collect::<Result<Vec<_>, _>>()?;
        let found = self
            .read(move |session| {
                Box::pin(async move {
                    add_labels(session, &mut found).await?;
                    Ok(found)
                })
            })
            .await?;
        Ok((found, next))
    }

    async fn search_registry(
        &self,
        entity: &'static Entity,
        query: RegistryQuery,
    ) -> Result<(Vec<Row>, Option<Cursor>), MetastoreError> {
        let limit = usize::try_from(query.limit.max(1)).unwrap_or(1);
        let mut statement = Statement { entity, postgres: self.is_postgres(), args: Vec::new() };
        let sql = statement.compile(&query)?;
        let args = statement.args;
        let mut rows =
            self.read(move |session| Box::pin(async move { session.fetch_all(&sql, &args).await })).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some(row) if more => Some(cursor_at(row, &query.order)?),
            _ => None,
        };
        Ok((rows, next))
    }
}

/// Adds the fields that decide ties.
fn order_by_default(order: &mut Vec<RegistryOrder>, ties: &[(RegistryField, bool)]) {
    for (field, ascending) in ties {
        if order.iter().all(|other| other.field != *field) {
            order.push(RegistryOrder { field: field.clone(), ascending: *ascending });
        }
    }
}

struct Entity {
    select: &'static str,
    from: &'static str,
    only: &'static str,
    /// How a row of `model_tag AS tag` belongs to it.
    tagged: &'static str,
    /// How a tag makes it one of a prompt.
    of_prompt: &'static str,
}

const MODELS: Entity = Entity {
    select: "SELECT this.name, this.description, this.created_at, this.updated_at",
    from: "registered_model AS this",
    only: "1 = 1",
    tagged: "tag.name = this.name AND tag.version = 0",
    of_prompt: "tag.name = this.name AND tag.version = 0",
};

const VERSIONS: Entity = Entity {
    select: SELECT_VERSION,
    from: "model_version AS this",
    only: "this.stage <> 'Deleted_Internal'",
    tagged: "tag.name = this.name AND tag.version = this.version",
    of_prompt: "tag.name = this.name",
};

struct Statement {
    entity: &'static Entity,
    postgres: bool,
    args: Vec<Value<'static>>,
}

impl Statement {
    /// Binds a value and gives its placeholder.
    fn bind(&mut self, value: impl Into<Value<'static>>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    fn compile(&mut self, query: &RegistryQuery) -> Result<String, MetastoreError> {
        let mut conditions = vec![self.entity.only.to_owned()];
        if !query.prompts {
            let key = self.bind(PROMPT_TAG);
            conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM model_tag AS tag WHERE {} AND tag.key = {key} AND tag.content = 'true')",
                self.entity.of_prompt
            ));
        }
        for clause in &query.clauses {
            conditions.push(self.clause(clause));
        }
        if let Some(cursor) = &query.after {
            conditions.push(self.beyond(&query.order, cursor)?);
        }
        let direction = |order: &RegistryOrder| if order.ascending { "ASC" } else { "DESC" };
        let order: Vec<String> = query
            .order
            .iter()
            .map(|order| format!("{} {}", self.sorted(&order.field), direction(order)))
            .collect();
        let (select, from) = (self.entity.select, self.entity.from);
        let (filter, order, limit) = (conditions.join(" AND "), order.join(", "), query.limit.max(1) + 1);
        Ok(format!("{select} FROM {from} WHERE {filter} ORDER BY {order} LIMIT {limit}"))
    }

    /// A column as it is sorted: texts by their bytes on both databases.
    fn sorted(&self, field: &RegistryField) -> String {
        let text =
            !matches!(field, RegistryField::Version | RegistryField::CreatedAt | RegistryField::UpdatedAt);
        let collation = if self.postgres && text { " COLLATE \"C\"" } else { "" };
        format!("{}{collation}", column(field))
    }

    fn clause(&mut self, clause: &RegistryClause) -> String {
        match &clause.field {
            RegistryField::Tag(key) => {
                let key = self.bind(key.clone());
                let tagged = self.entity.tagged;
                let condition = in_sql(self.postgres, "tag.content", &clause.condition, &mut self.args);
                format!(
                    "EXISTS (SELECT 1 FROM model_tag AS tag WHERE {tagged} AND tag.key = {key} AND {condition})"
                )
            }
            field => in_sql(self.postgres, column(field), &clause.condition, &mut self.args),
        }
    }

    /// Rows after the cursor: the first key is beyond, or it is the same and the second is beyond, and so on.
    fn beyond(&mut self, order: &[RegistryOrder], cursor: &Cursor) -> Result<String, MetastoreError> {
        let foreign = || MetastoreError::from(RegistryRefusal::ForeignToken);
        if cursor.len() != order.len() {
            return Err(foreign());
        }
        let (mut alternatives, mut same) = (Vec::new(), String::new());
        for (key, order) in cursor.iter().zip(order) {
            let value = match (key, &order.field) {
                (Key::Text(text), RegistryField::Name) => self.bind(text.clone()),
                (Key::Int(number), field) if *field != RegistryField::Name => self.bind(*number),
                _ => return Err(foreign()),
            };
            let side = if order.ascending { ">" } else { "<" };
            let sorted = self.sorted(&order.field);
            alternatives.push(format!("({same}{sorted} {side} {value})"));
            same += &format!("{} = {value} AND ", column(&order.field));
        }
        Ok(format!("({})", alternatives.join(" OR ")))
    }
}

fn column(field: &RegistryField) -> &'static str {
    match field {
        RegistryField::Name => "this.name",
        RegistryField::Version => "this.version",
        RegistryField::RunId => "this.run_id",
        RegistryField::Source => "this.source",
        RegistryField::CreatedAt => "this.created_at",
        RegistryField::UpdatedAt => "this.updated_at",
        RegistryField::Tag(_) => "tag.content",
    }
}

fn cursor_at(row: &Row, order: &[RegistryOrder]) -> Result<Cursor, MetastoreError> {
    order
        .iter()
        .map(|order| {
            Ok(match order.field {
                RegistryField::Name => Key::Text(row.text("name")?),
                RegistryField::Version => Key::Int(row.int("version")?),
                RegistryField::CreatedAt => Key::Int(row.int("created_at")?),
                _ => Key::Int(row.int("updated_at")?),
            })
        })
        .collect()
}
