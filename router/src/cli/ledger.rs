//! `ledger`: makes the table that several consumers share; and how the other commands read whichever ledger there is.
use super::{DONE, USAGE, WRONG, serve};
use crate::{
    act::{
        memory::MemoryLedger,
        ports::{Ledger, Put, Trouble},
    },
    decide::config::{Live, Store as Named},
    ends::{
        connect::Aws,
        ledger::{DynamoDb, Embedded, Store},
    },
    values::entry::{Entry, Tally},
};
use jiff::Timestamp;
use std::path::Path;

/// What to do with the ledger.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the DynamoDB table that the configuration names; where it is there, turn on the forgetting that it lacks.
    #[command(
        after_help = "The table is [ledger] table = \"NAME\", or FINDINGS_ROUTER_TABLE. It is paid by request, and costs nothing \
while nothing happens. The embedded ledger, a file, is made by `serve` itself."
    )]
    Create,
}

/// Runs the command.
pub fn run(command: &Command, config: Option<&Path>) -> u8 {
    let Some(setup) = serve::load(config, None) else { return USAGE };
    let Command::Create = command;
    let live = &setup.policy.config.live;
    let Named::Table(table) = live.store() else {
        let why = "the ledger is a file, which `serve` makes itself; for a table, set [ledger] table or FINDINGS_ROUTER_TABLE";
        return serve::refuse(&[why.to_owned()]);
    };
    serve::block_on(async {
        match dynamodb(live, table.clone(), &Aws::default()).await.create_table().await {
            Ok(()) => {
                anstream::println!("ok: the ledger's table {table} is there");
                DONE
            }
            Err(Trouble(why)) => {
                serve::refuse(&[why]);
                WRONG
            }
        }
    })
}

/// The ledger in a table, without a question to it.
pub async fn dynamodb(live: &Live, table: String, aws: &Aws) -> DynamoDb {
    DynamoDb::new(aws_sdk_dynamodb::Client::new(&aws.quick().await), table, live.retention)
}

/// Opens the ledger to read it, beside whoever writes it. (`connect` would note in a new table which router wrote it.)
pub async fn open_to_read(live: &Live, aws: &Aws) -> Result<Store, String> {
    match live.store() {
        Named::File(path) => Embedded::open_to_read(Path::new(&path)).map(Store::Embedded),
        Named::Table(table) => Ok(Store::DynamoDb(dynamodb(live, table, aws).await)),
    }
}

/// What a ledger holds, and what would be written into it: writes stay in memory.
pub struct Overlay {
    below: Store,
    above: MemoryLedger,
}

impl Overlay {
    /// Over a ledger that is only read.
    pub fn over(below: Store) -> Self {
        Self { below, above: MemoryLedger::default() }
    }
}

impl Ledger for Overlay {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        if let Some(entry) = self.above.entry(fingerprint).await? {
            return Ok(Some(entry));
        }
        let Some(entry) = self.below.entry(fingerprint).await? else { return Ok(None) };
        self.above.put_entry(&Entry { version: 0, ..entry }).await?;
        self.above.entry(fingerprint).await
    }

    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        self.above.put_entry(entry).await
    }

    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        let known = self.above.tally(key).await?;
        if known.version > 0 {
            return Ok(known);
        }
        self.above.put_tally(&Tally { version: 0, ..self.below.tally(key).await? }).await?;
        self.above.tally(key).await
    }

    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        self.above.put_tally(tally).await
    }

    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        match self.above.find(name).await? {
            None => self.below.find(name).await,
            found => Ok(found),
        }
    }

    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        self.below.recent(since, until, limit).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        self.below.due(now, limit).await
    }

    /// Nothing is forgotten by looking.
    async fn forget(&self, _: Timestamp) -> Result<usize, Trouble> {
        Ok(0)
    }
}
