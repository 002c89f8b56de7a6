//! AWS, played by `MiniStack` on loopback. Every `Aws` is an account of its own, so tests do not meet.
use super::process::target;
use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{BillingMode, TableStatus},
};
use aws_sdk_sqs::{
    config::Credentials,
    types::{QueueAttributeName, SendMessageBatchRequestEntry},
};
use findings_router::ends::ledger::DynamoDb;
use jiff::SignedDuration;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpSocket, runtime::Runtime};

/// Names a server that runs already; else the first test of a process starts one.
const SERVER: &str = "FINDINGS_ROUTER_TEST_AWS";
pub(crate) const REGION: &str = "ap-northeast-1";
/// What SQS takes in one request: messages, and bytes.
const BATCH: (usize, usize) = (10, 900_000);

/// An account, and blocking helpers for what tests do in it.
pub(crate) struct Aws {
    endpoint: String,
    account: String,
    runtime: Runtime,
    config: SdkConfig,
    /// Keeps the port of a dead end, without listening.
    _unheard: Option<TcpSocket>,
}

/// A queue whose messages go to its dead-letter queue after so many receives.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) url: String,
    pub(crate) arn: String,
    pub(crate) dead_letters: String,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}

impl Aws {
    /// A new account.
    pub(crate) fn start() -> Self {
        Self::at(server().to_owned())
    }

    /// An account where nobody answers: connections are refused.
    pub(crate) fn dead() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { _unheard: Some(socket), ..Self::at(format!("http://{address}")) }
    }

    fn at(endpoint: String) -> Self {
        static ACCOUNTS: AtomicU32 = AtomicU32::new(0);
        let account = format!("{:07}{:05}", std::process::id(), ACCOUNTS.fetch_add(1, Ordering::SeqCst));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .region(Region::new(REGION))
            // MiniStack takes an access key of twelve digits for the account.
            .credentials_provider(Credentials::new(&account, "secret", None, None, "test"))
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(20)).build());
        let config = runtime.block_on(config.load());
        Self { endpoint, account, runtime, config, _unheard: None }
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// The environment in which a program meets this account.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let env = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", &self.account),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Waits for what a client does.
    pub(crate) fn wait<F: Future>(&self, what: F) -> F::Output {
        self.runtime.block_on(what)
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub(crate) fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// Makes a queue and its dead-letter queue, `NAME-dlq`.
    pub(crate) fn queue(&self, name: &str, visibility: Duration, receives_max: u32) -> Queue {
        let (dead_letters, dead_arn) = self.make_queue(&format!("{name}-dlq"), &[]);
        let redrive = serde_json::json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": receives_max });
        let attributes = [
            (QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ];
        let (url, arn) = self.make_queue(name, &attributes);
        Queue { url, arn, dead_letters }
    }

    /// The queue's URL and ARN.
    fn make_queue(&self, name: &str, attributes: &[(QueueAttributeName, String)]) -> (String, String) {
        let mut request = self.sqs().create_queue().queue_name(name);
        for (name, value) in attributes {
            request = request.attributes(name.clone(), value);
        }
        let url = self.wait(request.send()).expect("a queue").queue_url.expect("a queue has a URL");
        let arn = self.attribute(&url, &QueueAttributeName::QueueArn);
        (url, arn)
    }

    fn attribute(&self, url: &str, name: &QueueAttributeName) -> String {
        let request = self.sqs().get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let attributes = self.wait(request.send()).expect("attributes").attributes.unwrap_or_default();
        attributes.get(name).cloned().unwrap_or_default()
    }

    /// Sends bodies in their order, as few requests as SQS allows.
    pub(crate) fn send<S: AsRef<str>>(&self, queue: &Queue, bodies: &[S]) {
        let mut rest = bodies;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |body: &&S| {
                bytes += body.as_ref().len();
                bytes <= BATCH.1
            };
            let count = rest.iter().take(BATCH.0).take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(count);
            let entry = |(i, body): (usize, &S)| {
                let entry = SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body(body.as_ref());
                entry.build().expect("an entry with all its parts")
            };
            let entries = batch.iter().enumerate().map(entry).collect();
            let request = self.sqs().send_message_batch().queue_url(&queue.url).set_entries(Some(entries));
            let failed = self.wait(request.send()).expect("a batch is taken").failed;
            assert!(failed.is_empty(), "{failed:?}");
            rest = later;
        }
    }

    /// In one request: what is hidden in one would else be visible in the next, and be in neither.
    pub(crate) fn count(&self, queue_url: &str) -> Count {
        let request = self.sqs().get_queue_attributes().queue_url(queue_url).attribute_names(QueueAttributeName::All);
        let attributes = self.wait(request.send()).expect("attributes").attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|n: &String| n.parse().ok()).expect("a number");
        Count {
            visible: number(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        }
    }

    /// Waits until every message of the queue is deleted, or dead.
    #[track_caller]
    pub(crate) fn wait_until_empty(&self, queue: &Queue, timeout: Duration) {
        let end = Instant::now() + timeout;
        loop {
            let count = self.count(&queue.url);
            if count == (Count { visible: 0, in_flight: 0, delayed: 0 }) {
                return;
            }
            assert!(Instant::now() < end, "after {timeout:?} the queue still holds {count:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes all that can be seen out of a queue.
    pub(crate) fn drain(&self, queue_url: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let request = self.sqs().receive_message().queue_url(queue_url).max_number_of_messages(10);
            let messages = self.wait(request.send()).expect("messages").messages.unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            for message in messages {
                let handle = message.receipt_handle.unwrap_or_default();
                let delete = self.sqs().delete_message().queue_url(queue_url).receipt_handle(handle);
                self.wait(delete.send()).expect("deleted");
                bodies.push(message.body.unwrap_or_default());
            }
        }
    }

    /// Makes a table, paid by request; the function says its keys and indexes.
    pub(crate) fn table(&self, name: &str, keys: impl Fn(CreateTableFluentBuilder) -> CreateTableFluentBuilder) {
        let client = self.dynamodb();
        let request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        self.wait(keys(request).send()).expect("a table");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.wait(client.describe_table().table_name(name).send()).expect("a table").table;
            if found.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return;
            }
            assert!(Instant::now() < end, "the table {name} does not become active");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a ledger's table.
    pub(crate) fn ledger(&self, name: &str) {
        let ledger = DynamoDb::new(self.dynamodb(), name.to_owned(), SignedDuration::from_hours(24 * 90));
        self.wait(ledger.create_table()).expect("a table");
    }

    /// Makes an event bus, all of whose events of this account go to the queue.
    pub(crate) fn bus(&self, name: &str, queue: &Queue) {
        let client = self.eventbridge();
        self.wait(client.create_event_bus().name(name).send()).expect("a bus");
        let pattern = serde_json::json!({ "account": [self.account] }).to_string();
        let rule = client.put_rule().name("all").event_bus_name(name).event_pattern(pattern);
        self.wait(rule.send()).expect("a rule");
        let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&queue.arn).build();
        let targets = client.put_targets().rule("all").event_bus_name(name).targets(target.expect("a target"));
        assert_eq!(self.wait(targets.send()).expect("targets").failed_entry_count, 0);
    }
}

/// The server of this process.
fn server() -> &'static str {
    /// Its input stays open as long as this process lives, and it no longer.
    static SERVER_OF_THIS: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/live/emulator.py");
    &SERVER_OF_THIS.get_or_init(|| running(SERVER, script, "outside-python")).0
}

/// The server that the environment names, or one of this process: it is told where to install itself, and says its URL.
pub(crate) fn running(name: &str, script: &str, home: &str) -> (String, Option<Child>) {
    if let Ok(url) = std::env::var(name) {
        return (url, None);
    }
    let mut server = Command::new("python3");
    server.arg(script).arg(target().join(home)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = server.spawn().expect("python3 is there; as root on Debian: apt-get install python3-venv");
    let mut url = String::new();
    let said = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut url);
    let home = target().join(home);
    assert!(said.is_ok() && url.starts_with("http"), "{script} does not start; see above, and {}", home.display());
    (url.trim().to_owned(), Some(child))
}

#[cfg(test)]
mod tests {
    use super::{Aws, Count};
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;
    use std::time::Duration;

    /// Receives once; gives the bodies.
    fn receive(aws: &Aws, url: &str) -> Vec<String> {
        let request = aws.sqs().receive_message().queue_url(url).max_number_of_messages(10);
        let messages = aws.wait(request.send()).expect("messages").messages.unwrap_or_default();
        messages.into_iter().filter_map(|message| message.body).collect()
    }

    #[test]
    fn a_queue_gives_its_messages_and_buries_the_poisoned() {
        let aws = Aws::start();
        let queue = aws.queue("findings", Duration::from_secs(1), 1);
        let bodies: Vec<String> = (0..23).map(|i| format!("body {i}")).collect();
        aws.send(&queue, &bodies);
        assert_eq!(aws.count(&queue.url), Count { visible: 23, in_flight: 0, delayed: 0 });
        let mut drained = aws.drain(&queue.url);
        drained.sort();
        let mut sorted = bodies.clone();
        sorted.sort();
        assert_eq!(drained, sorted);
        aws.wait_until_empty(&queue, Duration::from_secs(1));
        aws.send(&queue, &["poison"]);
        assert_eq!(receive(&aws, &queue.url), ["poison"]);
        assert_eq!(aws.count(&queue.url).in_flight, 1);
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(receive(&aws, &queue.url), [""; 0], "received too often");
        aws.wait_until_empty(&queue, Duration::from_secs(5));
        assert_eq!(aws.drain(&queue.dead_letters), ["poison"]);
    }

    #[test]
    fn accounts_do_not_meet() {
        let (one, other) = (Aws::start(), Aws::start());
        let queue = one.queue("findings", Duration::from_secs(30), 3);
        let same_name = other.queue("findings", Duration::from_secs(30), 3);
        one.send(&queue, &["x"]);
        assert_eq!((one.count(&queue.url).visible, other.count(&same_name.url).visible), (1, 0));
        assert!(queue.arn.contains(one.account()), "{queue:?}");
    }

    #[test]
    fn what_is_published_reaches_the_queue() {
        let aws = Aws::start();
        let queue = aws.queue("published", Duration::from_secs(30), 3);
        aws.bus("findings", &queue);
        let entry = PutEventsRequestEntry::builder().event_bus_name("findings").source("router").detail_type("Told");
        let request = aws.eventbridge().put_events().entries(entry.detail(r#"{"a":1}"#).build());
        assert_eq!(aws.wait(request.send()).expect("taken").failed_entry_count, 0);
        let published = aws.drain(&queue.url);
        let event: serde_json::Value = serde_json::from_str(&published[0]).expect("an event");
        assert_eq!((published.len(), &event["detail-type"], &event["detail"]["a"]), (1, &"Told".into(), &1.into()));
    }

    #[test]
    fn a_table_refuses_what_its_condition_forbids() {
        let aws = Aws::start();
        aws.table("ledger", |table| {
            let key = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
            let schema = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
            table.attribute_definitions(key.build().expect("whole")).key_schema(schema.build().expect("whole"))
        });
        let put = || {
            let put = aws.dynamodb().put_item().table_name("ledger").item("pk", AttributeValue::S("a".to_owned()));
            aws.wait(put.condition_expression("attribute_not_exists(pk)").send()).err()
        };
        assert!(put().is_none(), "the first is taken");
        let refused = put().expect("the second is not").into_service_error();
        assert!(refused.is_conditional_check_failed_exception(), "{refused:?}");
    }

    #[test]
    fn nobody_answers_at_a_dead_end() {
        let aws = Aws::dead();
        let failed = aws.wait(aws.sqs().list_queues().send()).expect_err("nobody is there");
        assert!(failed.as_service_error().is_none(), "{failed:?}");
        assert!(aws.env().iter().any(|(name, value)| name == "AWS_ENDPOINT_URL" && value.contains("127.0.0.1")));
    }
}
