//! A queue as a source of events: what is received is stored by the inbox before the queue may forget it.

use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{EventSource, Listener, Polled};
use millrace_spec::problem::Problem;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::message::Message;

/// How long a queue is listened to before it is looked whether the trigger is still there.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// Messages that come into the inbox together.
pub(crate) const AT_ONCE: usize = 500;
/// How long a server may take to let somebody in.
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// Who subscribes.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    /// Name of the trigger among all that may subscribe: letters, digits, `-` and `_`. All servers of the workspace have the same.
    pub(crate) name: String,
    /// Tells this server from the others.
    pub(crate) server: String,
}

impl Subscriber {
    pub(crate) fn new(workspace: &str, listener: &Listener, server: &str) -> Self {
        let plain = |text: &str| -> String {
            let sign = |sign: char| if sign.is_ascii_alphanumeric() || sign == '_' { sign } else { '-' };
            text.chars().map(sign).collect()
        };
        let parts = [workspace, &listener.pipeline, &listener.trigger].map(plain);
        Self { name: format!("millrace-{}", parts.join("-")), server: plain(server) }
    }
}

/// A subscription of one trigger. It is made anew after every failure.
#[async_trait]
pub(crate) trait Subscription: Send {
    /// Subscribes. `cursor` is what [`Subscription::cursor`] gave when the last messages were stored, also before a restart.
    async fn begin(&mut self, cursor: Option<&Value>) -> Result<(), Problem>;

    /// What came, oldest first; nothing if nothing comes within [`WAIT`].
    async fn receive(&mut self) -> Result<Vec<Message>, Problem>;

    /// What has to be known about all that was received; stored with it.
    fn cursor(&self) -> Value;

    /// What was received is stored: the queue may forget it.
    async fn settle(&mut self) -> Result<(), Problem>;
}

/// A subscription as a source of events.
pub(crate) struct QueueSource<S> {
    /// The word of its kind.
    family: &'static str,
    /// Where its messages come from, a URL.
    source: String,
    subscription: S,
    has_begun: bool,
}

impl<S: Subscription> QueueSource<S> {
    pub(crate) fn new(family: &'static str, source: String, subscription: S) -> Self {
        Self { family, source, subscription, has_begun: false }
    }
}

#[async_trait]
impl<S: Subscription> EventSource for QueueSource<S> {
    async fn poll(&mut self, cursor: Option<&Value>) -> Result<Polled, Problem> {
        let mut received = Vec::new();
        // The first answer comes at once: it says that the queue can be listened to.
        if self.has_begun {
            received = self.subscription.receive().await?;
        } else {
            self.subscription.begin(cursor).await?;
            self.has_begun = true;
        }
        let events = received.into_iter().map(|message| message.into_event(self.family, &self.source));
        Ok(Polled {
            events: events.collect(),
            cursor: self.subscription.cursor(),
            look_again: Duration::ZERO,
        })
    }

    async fn acknowledge(&mut self) -> Result<(), Problem> {
        self.subscription.settle().await
    }
}

/// Tells a subscription from every other one, also of the same trigger.
pub(crate) fn session() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// Tells the subscription what its task has heard; `false` once the task is over: nobody listens any more, or what it told is a failure.
pub(crate) async fn goes_on<T, E>(tell: &mpsc::Sender<Result<T, E>>, heard: Result<T, E>) -> bool {
    let failed = heard.is_err();
    tell.send(heard).await.is_ok() && !failed
}

/// A task that drives a connection, and ends with this.
pub(crate) struct Driven(tokio::task::JoinHandle<()>);

impl Driven {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}
