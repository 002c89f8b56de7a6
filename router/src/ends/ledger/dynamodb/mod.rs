//! The ledger in one DynamoDB table, for Lambda and for several consumers.
//!
//! Entries and tallies are read consistently. Indexes follow a moment later, so what they list is read again by key, and
//! left out where it does not fit any more. DynamoDB deletes late, so what is past its time counts as gone.
mod item;
mod table;
mod trouble;

use crate::{
    act::ports::{Ledger, Put, Trouble},
    values::entry::{Entry, Tally},
};
use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, KeysAndAttributes, Put as PutOne, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use item::{EXPIRES, Item, KEY, VERSION, instant, number, text};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::{
    collections::{BTreeSet, HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use table::{BY_DUE, BY_TIME, Index};
use trouble::because;

/// Names of one write: a transaction takes a hundred items, and the entry is one.
const NAMES_MAX: usize = 99;
/// Items that one request gets.
const GET_MAX: usize = 100;
/// Requests for what DynamoDB did not get round to.
const GET_TRIES: u32 = 8;
/// The wait before the second of them; it doubles.
const GET_PAUSE: Duration = Duration::from_millis(20);
/// How far clocks of consumers may be apart.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// The ledger in a table: see [`DynamoDb::create_table`] for how it is made.
#[derive(Debug)]
pub struct DynamoDb {
    client: Client,
    table: String,
    retention: SignedDuration,
    /// Tells the writes of this consumer from those of all others.
    writer: u64,
    writes: AtomicU64,
}

impl DynamoDb {
    /// The ledger in this table; what nobody wrote for `retention` is forgotten.
    pub fn new(client: Client, table: String, retention: SignedDuration) -> Self {
        // The seeds of a hash are the standard library's only random numbers.
        let writer = RandomState::new().hash_one(&table);
        Self { client, table, retention, writer, writes: AtomicU64::new(0) }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired is a matter of the store's clock, not of a decision"
    )]
    fn now() -> Timestamp {
        Timestamp::now()
    }

    /// Writes an item, with others beside it, if the version is the one that was read.
    async fn put(&self, mut item: Item, read: u64, names: Vec<Item>) -> Result<Put, Trouble> {
        let mark = format!("{:016x}-{}", self.writer, self.writes.fetch_add(1, Ordering::Relaxed));
        item.insert("by".to_owned(), text(&mark));
        let (condition, field, value) = match read {
            0 => ("attribute_not_exists(#key) OR #field <= :value", EXPIRES, number(&Self::now().as_second())),
            _ => ("#field = :value", VERSION, number(&read)),
        };
        let mut fields = HashMap::from([("#field".to_owned(), field.to_owned())]);
        if read == 0 {
            fields.insert("#key".to_owned(), KEY.to_owned());
        }
        let values = HashMap::from([(":value".to_owned(), value)]);
        if !names.is_empty() {
            return self.put_named(item, names, condition, fields, values).await;
        }
        let request =
            self.client.put_item().table_name(&self.table).set_item(Some(item)).condition_expression(condition);
        let request =
            request.set_expression_attribute_names(Some(fields)).set_expression_attribute_values(Some(values));
        let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = request.send().await else { return Ok(Put::Written) };
        match error.as_service_error() {
            // A request that is sent again, because its answer was lost, meets what it wrote itself.
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let by = failed.item.as_ref().and_then(|item| item.get("by")?.as_s().ok());
                Ok(if by == Some(&mark) { Put::Written } else { Put::Conflict })
            }
            Some(PutItemError::TransactionConflictException(_)) => Ok(Put::Conflict),
            _ => Err(because(&self.table, &error)),
        }
    }

    /// All or none. The SDK names the transaction, so that it is one however often it is sent.
    async fn put_named(
        &self,
        item: Item,
        names: Vec<Item>,
        condition: &str,
        fields: HashMap<String, String>,
        values: Item,
    ) -> Result<Put, Trouble> {
        let one = |item| PutOne::builder().table_name(&self.table).set_item(Some(item));
        let entry = one(item).condition_expression(condition).set_expression_attribute_names(Some(fields));
        let entry = entry.set_expression_attribute_values(Some(values));
        let puts = std::iter::once(entry).chain(names.into_iter().map(one)).map(|put| {
            let put = put.build().map_err(|e| Trouble(format!("the ledger {}: {e}", self.table)))?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        let request =
            self.client.transact_write_items().set_transact_items(Some(puts.collect::<Result<_, Trouble>>()?));
        let Err(error) = request.send().await else { return Ok(Put::Written) };
        if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() {
            let codes = || canceled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            // Somebody else's write, before or at this moment, is what makes a transaction lose.
            if codes().any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict")) {
                return Ok(Put::Conflict);
            }
            let codes: BTreeSet<&str> = codes().filter(|code| *code != "None").collect();
            return Err(trouble::canceled(&self.table, &codes));
        }
        Err(because(&self.table, &error))
    }

    /// The item, as last written, unless its time is over.
    async fn item(&self, key: &str) -> Result<Option<Item>, Trouble> {
        let request = self.client.get_item().table_name(&self.table).key(KEY, text(key)).consistent_read(true);
        let found = request.send().await.map_err(|e| because(&self.table, &e))?.item;
        Ok(found.filter(|item| item::is_there(item, Self::now())))
    }

    /// The entries that an index lists within these bounds, in its order.
    async fn listed(
        &self,
        index: &Index,
        (partition, from, to): (&str, &str, &str),
        limit: usize,
        fits: impl Fn(&Entry) -> bool + Send,
    ) -> Result<Vec<Entry>, Trouble> {
        let mut found = Vec::new();
        let mut next = None;
        while found.len() < limit {
            let page = i32::try_from((limit - found.len()).min(GET_MAX)).unwrap_or(i32::MAX);
            let request = self.client.query().table_name(&self.table).index_name(index.name).limit(page);
            let request = request.key_condition_expression("#partition = :partition AND #sort BETWEEN :from AND :to");
            let request = request.expression_attribute_names("#partition", index.partition);
            let request = request.expression_attribute_names("#sort", index.sort);
            let request = request.expression_attribute_values(":partition", text(partition));
            let request = request.expression_attribute_values(":from", text(from));
            let request = request.expression_attribute_values(":to", text(to));
            let request = request.scan_index_forward(index.oldest_first).set_exclusive_start_key(next);
            let answer = request.send().await.map_err(|e| because(&self.table, &e))?;
            let keys = answer.items.unwrap_or_default().into_iter().filter_map(|mut item| item.remove(KEY));
            found.extend(self.entries(keys.collect()).await?.into_iter().filter(&fits));
            next = answer.last_evaluated_key;
            if next.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The entries with these keys, in their order; those that are gone are left out.
    async fn entries(&self, keys: Vec<AttributeValue>) -> Result<Vec<Entry>, Trouble> {
        let mut items: HashMap<String, Item> = HashMap::new();
        let mut missing: Vec<Item> = keys.iter().map(|key| Item::from([(KEY.to_owned(), key.clone())])).collect();
        let mut pause = GET_PAUSE;
        for attempt in 0..GET_TRIES {
            if missing.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let wanted = KeysAndAttributes::builder().set_keys(Some(missing)).consistent_read(true).build();
            let wanted = wanted.map_err(|e| Trouble(format!("the ledger {}: {e}", self.table)))?;
            let answer = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let answer = answer.map_err(|e| because(&self.table, &e))?;
            for item in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                if let Some(Ok(key)) = item.get(KEY).map(AttributeValue::as_s) {
                    items.insert(key.clone(), item);
                }
            }
            missing = answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values).flat_map(|k| k.keys).collect();
        }
        if !missing.is_empty() {
            return Err(Trouble(format!("the ledger {}: DynamoDB does not get round to reading it", self.table)));
        }
        let now = Self::now();
        let found =
            keys.iter().filter_map(|key| items.remove(key.as_s().ok()?)).filter(|item| item::is_there(item, now));
        found.map(|item| item::entry(&self.table, &item)).collect()
    }
}

impl Ledger for DynamoDb {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        let found = self.item(&item::entry_key(fingerprint)).await?;
        found.map(|found| item::entry(&self.table, &found)).transpose()
    }

    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        let names: BTreeSet<&str> = entry.names.iter().map(String::as_str).collect();
        if names.len() > NAMES_MAX {
            return Err(Trouble(format!("the ledger {}: more than {NAMES_MAX} names in one write", self.table)));
        }
        let beside = names.into_iter().map(|name| item::of_name(name, entry, self.retention));
        self.put(item::of_entry(&self.table, entry, self.retention)?, entry.version, beside.collect()).await
    }

    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        let found = self.item(&item::tally_key(key)).await?;
        found.map_or_else(|| Ok(Tally::new(key)), |found| item::tally(&self.table, &found))
    }

    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        self.put(item::of_tally(&self.table, tally, self.retention)?, tally.version, Vec::new()).await
    }

    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        let found = self.item(&item::name_key(name)).await?;
        Ok(found.and_then(|mut item| item.remove(item::FINGERPRINT)?.as_s().ok().cloned()))
    }

    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        let now = Self::now();
        // What was written before is forgotten, and nothing is written much later than now: no day is asked in vain.
        let bound = |sign: SignedDuration| now.checked_add(sign);
        let since = bound(-(self.retention + SKEW)).map_or(since, |first| since.max(first));
        let until = bound(SKEW).map_or(until, |last| until.min(last));
        let mut found = Vec::new();
        if since >= until {
            return Ok(found);
        }
        let last = until - SignedDuration::from_nanos(1);
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        let (mut today, first) = (day(last), day(since));
        let fits = |entry: &Entry| (since..until).contains(&entry.updated_at);
        while found.len() < limit && today >= first {
            let bounds = (&*today.to_string(), &*instant(since), &*instant(last));
            let of_day = self.listed(&BY_TIME, bounds, limit - found.len(), fits).await?;
            found.extend(of_day);
            let Ok(yesterday) = today.yesterday() else { break };
            today = yesterday;
        }
        Ok(found)
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        let fits = |entry: &Entry| entry.due_at().is_some_and(|at| at <= now);
        let bounds = (item::DUE, &*instant(Timestamp::MIN), &*instant(now));
        self.listed(&BY_DUE, bounds, limit, fits).await
    }

    async fn forget(&self, _: Timestamp) -> Result<usize, Trouble> {
        Ok(0)
    }
}
