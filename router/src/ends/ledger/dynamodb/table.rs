//! The table itself: how it is made, and what is wrong with one that somebody else made.
use super::{
    DynamoDb,
    item::{self, EXPIRES, KEY, SCHEMA_KEY, VERSION, number, text},
    trouble::because,
};
use crate::{act::ports::Trouble, values::entry::SCHEMA};
use aws_sdk_dynamodb::{
    error::BuildError,
    operation::{create_table::CreateTableError, put_item::PutItemError},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The command that makes the table.
pub(super) const CREATE: &str = "findings-router ledger create";
/// A table is made within seconds; longer means that something is wrong.
const MADE_WITHIN: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// An index: keys only, because what it lists is read again by key.
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) partition: &'static str,
    pub(super) sort: &'static str,
    pub(super) oldest_first: bool,
}

/// Entries by when they were last written, a day in a partition.
pub(super) const BY_TIME: Index = Index { name: "by-time", partition: "day", sort: "at", oldest_first: false };
/// Entries by when they are due; those that are not are not in it.
pub(super) const BY_DUE: Index = Index { name: "by-due", partition: item::DUE, sort: "due_at", oldest_first: true };

impl DynamoDb {
    /// Makes the table, paid by request, with its indexes and the forgetting of what is past its time; where it is there
    /// already, what it lacks of the latter. The error says what to do.
    pub async fn create_table(&self) -> Result<(), Trouble> {
        let shape = shape().map_err(|e| Trouble(format!("the table {}: {e}", self.table)))?;
        let request = self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        let request = request.set_attribute_definitions(Some(shape.attributes)).set_key_schema(Some(shape.keys));
        if let Err(error) = request.set_global_secondary_indexes(Some(shape.indexes)).send().await {
            let is_there = error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception);
            if !is_there {
                return Err(because(&self.table, &error));
            }
        }
        let end = Instant::now() + MADE_WITHIN;
        loop {
            let request = self.client.describe_table().table_name(&self.table);
            let table = request.send().await.map_err(|e| because(&self.table, &e))?.table;
            if table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                break;
            }
            if Instant::now() >= end {
                return Err(Trouble(format!(
                    "the table {} is still being made: look at it in the console",
                    self.table
                )));
            }
            sleep(LOOK_AGAIN).await;
        }
        if self.forgets().await? {
            return Ok(());
        }
        let forgetting = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
        let forgetting = forgetting.map_err(|e| Trouble(format!("the table {}: {e}", self.table)))?;
        let request = self.client.update_time_to_live().table_name(&self.table).time_to_live_specification(forgetting);
        request.send().await.map(|_| ()).map_err(|e| because(&self.table, &e))
    }

    /// Refuses a table that a newer router wrote; notes in a new one which router wrote it.
    pub async fn claim_schema(&self) -> Result<(), Trouble> {
        if self.schema().await?.is_some() {
            return Ok(());
        }
        let request = self.client.put_item().table_name(&self.table).item(KEY, text(SCHEMA_KEY));
        let request = request.item(VERSION, number(&SCHEMA)).condition_expression("attribute_not_exists(#key)");
        match request.expression_attribute_names("#key", KEY).send().await {
            Ok(_) => Ok(()),
            // Somebody else was first: then it is theirs that counts.
            Err(e) if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                self.schema().await.map(|_| ())
            }
            Err(e) => Err(because(&self.table, &e)),
        }
    }

    /// What is wrong with the table, a sentence each with what to do; nothing where all is well.
    pub async fn check(&self) -> Result<Vec<String>, Trouble> {
        let request = self.client.describe_table().table_name(&self.table);
        let answer = request.send().await.map_err(|e| because(&self.table, &e))?;
        let Some(table) = answer.table else {
            return Ok(vec![format!("the table {} is not there: {CREATE}", self.table)]);
        };
        let mut wrong = Vec::new();
        if table
            .table_status
            .as_ref()
            .is_some_and(|status| *status != TableStatus::Active && *status != TableStatus::Updating)
        {
            let status = table.table_status().map_or("?", TableStatus::as_str);
            wrong.push(format!("the table {} is {status}: wait until it is ACTIVE", self.table));
        }
        if named(table.key_schema()) != [(KEY, KeyType::Hash)] {
            wrong.push(format!("the table {} must have the one key `{KEY}` (S): make another ({CREATE})", self.table));
        }
        for index in [BY_TIME, BY_DUE] {
            let there = table.global_secondary_indexes().iter().find(|there| there.index_name() == Some(index.name));
            let keys = [(index.partition, KeyType::Hash), (index.sort, KeyType::Range)];
            if there.is_none_or(|there| named(there.key_schema()) != keys) {
                wrong.push(format!(
                    "the table {} must have the global secondary index `{}` with the keys `{}` and `{}` (S): add it, or make \
                     another table ({CREATE})",
                    self.table, index.name, index.partition, index.sort
                ));
            }
        }
        if !self.forgets().await? {
            wrong.push(format!(
                "the table {} grows for ever: turn on time to live for its attribute `{EXPIRES}`, or run {CREATE}",
                self.table
            ));
        }
        if wrong.is_empty()
            && let Err(Trouble(newer)) = self.schema().await
        {
            wrong.push(newer);
        }
        Ok(wrong)
    }

    /// The table's schema, where it has one; a newer one is refused.
    async fn schema(&self) -> Result<Option<u32>, Trouble> {
        match self.item(SCHEMA_KEY).await?.as_ref().and_then(item::schema) {
            Some(schema) if schema > SCHEMA => Err(item::newer(&self.table, schema)),
            schema => Ok(schema),
        }
    }

    /// Whether the table deletes what is past its time.
    async fn forgets(&self) -> Result<bool, Trouble> {
        let request = self.client.describe_time_to_live().table_name(&self.table);
        let answer = request.send().await.map_err(|e| because(&self.table, &e))?;
        Ok(answer.time_to_live_description.is_some_and(|d| {
            let is_on = matches!(d.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
            is_on && d.attribute_name.as_deref() == Some(EXPIRES)
        }))
    }
}

/// What DynamoDB has to be told of a table.
struct Shape {
    attributes: Vec<AttributeDefinition>,
    keys: Vec<KeySchemaElement>,
    indexes: Vec<GlobalSecondaryIndex>,
}

fn shape() -> Result<Shape, BuildError> {
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let index = |index: &Index| {
        let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let made = GlobalSecondaryIndex::builder().index_name(index.name).projection(projection);
        made.key_schema(key(index.partition, KeyType::Hash)?).key_schema(key(index.sort, KeyType::Range)?).build()
    };
    let keys = [KEY, BY_TIME.partition, BY_TIME.sort, BY_DUE.partition, BY_DUE.sort];
    Ok(Shape {
        attributes: keys.into_iter().map(attribute).collect::<Result<_, _>>()?,
        keys: vec![key(KEY, KeyType::Hash)?],
        indexes: vec![index(&BY_TIME)?, index(&BY_DUE)?],
    })
}

/// The keys of a schema by name, the partition first.
fn named(schema: &[KeySchemaElement]) -> Vec<(&str, KeyType)> {
    let mut keys: Vec<_> = schema.iter().map(|key| (key.attribute_name(), key.key_type().clone())).collect();
    keys.sort_by_key(|(_, kind)| *kind != KeyType::Hash);
    keys
}
