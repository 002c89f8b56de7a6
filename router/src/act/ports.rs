//! The ports to the outside world. Each says what is durable, or done, when it returns, and has an in-memory twin in
//! [`super::memory`] that replay and the tests use.
use crate::{
    decide::remediation::{Said, Sight},
    values::{
        action::{Later, Notify, Outcome, Publish},
        entry::{Entry, Tally},
        remediation::Job,
    },
};
use findings_formatters::Message;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// The longest that sending one message may take, waiting for its turn included.
pub const SEND_MAX: SignedDuration = SignedDuration::from_secs(30);

/// The ledger could not be read or written for now; nothing is known of what became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is durable; the stored version is one higher.
    Written,
    /// Somebody else wrote since it was read; nothing was changed.
    Conflict,
}

/// The durable memory. Writes are compare-and-set on the version that was read, and durable when they return.
pub trait Ledger {
    /// The entry as last written.
    fn entry(&self, fingerprint: &str) -> impl Future<Output = Result<Option<Entry>, Trouble>> + Send;
    /// Writes an entry if nobody else did since it was read (its `version` is the one read, 0 for a first).
    fn put_entry(&self, entry: &Entry) -> impl Future<Output = Result<Put, Trouble>> + Send;
    /// The tally as last written; an empty one where there is none.
    fn tally(&self, key: &str) -> impl Future<Output = Result<Tally, Trouble>> + Send;
    /// Writes a tally if nobody else did since it was read.
    fn put_tally(&self, tally: &Tally) -> impl Future<Output = Result<Put, Trouble>> + Send;
    /// The fingerprint of the entry that was written with this name, once.
    fn find(&self, name: &str) -> impl Future<Output = Result<Option<String>, Trouble>> + Send;
    /// The entries last written in this time (until exclusive), newest first.
    fn recent(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, Trouble>> + Send;
    /// The entries whose [`Entry::due_at`] has come, longest due first.
    fn due(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<Vec<Entry>, Trouble>> + Send;
    /// Forgets what was last written before: entries (open ones too, as nobody spoke of them for so long), their names, and
    /// tallies. Says how many; where the store forgets by itself, none.
    fn forget(&self, before: Timestamp) -> impl Future<Output = Result<usize, Trouble>> + Send;
}

/// What lets a messenger recognise what it sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The same for every attempt to send the same message, and for no other.
    pub key: &'a str,
    /// An attempt before may have reached the channel: look before sending again.
    pub unsure: bool,
    /// No attempt was made before.
    pub since: Timestamp,
}

/// Sends and edits messages.
pub trait Messenger {
    /// When it returns `Done`, the message is in the channel; the name it gives lets it be edited and replied to. An edit
    /// that names a message was posted anew, because the old one could not be edited any more. It returns within
    /// [`SEND_MAX`]: longer waits are `Later`.
    fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> impl Future<Output = Outcome> + Send;
}

/// Tells other programs.
pub trait Publisher {
    /// When it returns `Done`, the bus has accepted the event. `detail` is a JSON object.
    fn publish(
        &self,
        publish: &Publish,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> impl Future<Output = Outcome> + Send;

    /// A remediation came so far, and everybody was told.
    fn remediated(&self, _state: &str) {}
}

/// Why SSM did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It passes.
    Later(Later),
    /// It stays until somebody mends it.
    Failed(String),
}

/// Starts runbooks, and looks how they are doing; in the account and Region of the job.
pub trait Remediator {
    /// When it returns `Ok`, the execution was accepted; the same client token twice is one execution. Gives its id, where SSM
    /// tells it. `problem` is what the execution is tagged with.
    fn start(
        &self,
        job: &Job,
        client_token: &str,
        problem: &str,
    ) -> impl Future<Output = Result<Option<String>, Miss>> + Send;
    /// The execution that was started with this client token.
    fn find(&self, job: &Job, client_token: &str) -> impl Future<Output = Result<Option<String>, Miss>> + Send;
    /// How an execution is doing; `said` is what an event says.
    fn look(&self, job: &Job, execution: &str, said: Option<&Said>)
    -> impl Future<Output = Result<Sight, Miss>> + Send;
    /// Ends an execution.
    fn stop(&self, job: &Job, execution: &str) -> impl Future<Output = Result<(), Miss>> + Send;
    /// Whether all these change calendars are open; else says which is not, or could not be read.
    fn calendars(&self, job: &Job, names: &[String], now: Timestamp)
    -> impl Future<Output = Result<(), String>> + Send;
}
