//! A NATS server of a test's own.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait::DEADLINE;

/// What is published to some subjects.
pub(crate) struct Watch(Subscriber);

/// The server, and a client of it.
pub(crate) struct Nats {
    port: u16,
    process: Process,
    runtime: Runtime,
    client: Client,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let port = ports::free();
        let process = spawn(port);
        let runtime = Runtime::new().unwrap();
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let connecting = options.connect(format!("127.0.0.1:{port}"));
        let client = runtime.block_on(connecting).unwrap();
        Self {
            port,
            process,
            runtime,
            client,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The configuration of an instance that has others beside it.
    pub(crate) fn cluster(&self) -> String {
        format!("[cluster]\nservers = [\"{}\"]", self.url())
    }

    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.reap();
    }

    pub(crate) fn start_again(&mut self) {
        self.process = spawn(self.port);
    }

    /// Asks, and waits for the reply in the background.
    pub(crate) fn ask(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> JoinHandle<Result<Message, String>> {
        self.ask_within(DEADLINE, subject, headers, payload)
    }

    fn ask_within(
        &self,
        patience: Duration,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> JoinHandle<Result<Message, String>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let request = Request::new()
            .headers(map)
            .payload(payload.to_vec().into())
            .timeout(Some(patience));
        let (client, subject) = (self.client.clone(), subject.to_owned());
        self.runtime.spawn(async move {
            let reply = client.send_request(subject, request).await;
            reply.map_err(|error| error.to_string())
        })
    }

    /// What came of a request.
    pub(crate) fn reply(&self, asked: JoinHandle<Result<Message, String>>) -> Message {
        let reply = self.runtime.block_on(asked).expect("no panic");
        reply.expect("a reply")
    }

    /// Whether anybody replies to a request.
    pub(crate) fn try_reply(&self, subject: &str) -> bool {
        // One that was on its way when the server died has no reply.
        let asked = self.ask_within(Duration::from_secs(2), subject, &[], b"");
        self.runtime.block_on(asked).expect("no panic").is_ok()
    }

    /// Watches subjects, which may have wildcards.
    pub(crate) fn watch(&self, subjects: &str) -> Watch {
        let watching = async {
            let subscriber = self.client.subscribe(subjects.to_owned()).await.unwrap();
            self.client.flush().await.unwrap();
            subscriber
        };
        Watch(self.runtime.block_on(watching))
    }

    /// How many messages have come since the last call.
    pub(crate) fn seen(&self, watch: &mut Watch) -> usize {
        let look = async {
            // What the server has passed on before comes before this.
            let inbox = self.client.new_inbox();
            let mut last = self.client.subscribe(inbox.clone()).await.unwrap();
            self.client.publish(inbox, "".into()).await.unwrap();
            last.next().await.unwrap();
            let mut count = 0;
            while let Some(Some(_)) = watch.0.next().now_or_never() {
                count += 1;
            }
            count
        };
        self.runtime.block_on(look)
    }

    /// Publishes without asking for a reply.
    pub(crate) fn publish(&self, subject: &str, payload: &'static [u8]) {
        let publishing = async {
            let subject = subject.to_owned();
            self.client.publish(subject, payload.into()).await.unwrap();
            self.client.flush().await.unwrap();
        };
        self.runtime.block_on(publishing);
    }
}

fn spawn(port: u16) -> Process {
    Process::spawn(
        Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}
