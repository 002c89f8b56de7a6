//! SQS on loopback, played by fakecloud, for as long as standard input is open. Prints its URL. Messages are kept in memory.
use axum::{Extension, Router};
use fakecloud_core::{
    dispatch::{DispatchConfig, dispatch},
    multi_account::MultiRegionState,
    registry::ServiceRegistry,
};
use fakecloud_sqs::{SharedSqsState, SqsService};
use parking_lot::RwLock;
use std::{
    collections::HashSet,
    io::{self, Read},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, time::sleep};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "ap-northeast-1";
const FORGET_EVERY: Duration = Duration::from_millis(100);

/// One thread: with more it is slower, because all of them wait for one lock.
#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    // Whoever started this holds the other end; when they end, however they end, this does too.
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let queues = Arc::new(RwLock::new(MultiRegionState::new(ACCOUNT, REGION, &url)));
    let mut services = ServiceRegistry::new();
    tokio::spawn(forget(queues.clone()));
    services.register(Arc::new(SqsService::new(queues).with_region(REGION)));
    let app = Router::new()
        .fallback(dispatch)
        .layer(Extension(Arc::new(services)))
        .layer(Extension(Arc::new(DispatchConfig::new(REGION, ACCOUNT))));
    println!("{url}");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// fakecloud keeps the handles of all messages that it ever handed out, and every deletion looks through them. Those of
/// deleted messages are of no use.
async fn forget(queues: SharedSqsState) {
    loop {
        sleep(FORGET_EVERY).await;
        let mut state = queues.write();
        for queue in state.regional_mut(ACCOUNT, REGION).queues.values_mut() {
            let there: HashSet<&str> = queue.inflight.iter().map(|m| m.message_id.as_str()).collect();
            queue.receipt_handle_map.retain(|id, _| there.contains(id.as_str()));
        }
    }
}
