//! What clients change, told to pages: that something of a kind is stale, not what.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::Stream;
use tokio::sync::watch;

use crate::app::App;
use crate::mlflow::changed_by;

/// How often a page is told of the same noun; a trainer logs hundreds of times in a second.
pub(crate) const GATHER: Duration = Duration::from_secs(2);

/// What pages show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    /// Experiments, runs, logged models.
    Tracking,
    /// Traces and assessments.
    Trace,
    /// Registered models and prompts.
    Model,
    /// Webhooks.
    Webhook,
    /// Evaluation datasets.
    Evaluation,
}

impl Noun {
    const ALL: [Self; 5] = [Self::Tracking, Self::Trace, Self::Model, Self::Webhook, Self::Evaluation];

    /// The word of the event.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Trace => "trace",
            Self::Model => "model",
            Self::Webhook => "webhook",
            Self::Evaluation => "evaluation",
        }
    }
}

/// Counts of changes, one a noun.
#[derive(Debug)]
pub(crate) struct Changes([watch::Sender<u64>; 5]);

impl Default for Changes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| watch::channel(0).0))
    }
}

impl Changes {
    /// Says that something of a kind has changed; costs nothing if nobody listens.
    pub(crate) fn tell(&self, noun: Noun) {
        if let Some(sender) = self.of(noun) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn of(&self, noun: Noun) -> Option<&watch::Sender<u64>> {
        Noun::ALL.iter().position(|other| *other == noun).and_then(|place| self.0.get(place))
    }

    /// Nouns as they change, each at once and then every `gather` at most.
    pub(crate) fn follow(&self, gather: Duration) -> impl Stream<Item = Noun> + Send + use<> {
        let follow = move |noun: Noun| {
            let receiver = self.of(noun).map(watch::Sender::subscribe);
            futures::stream::unfold((receiver, false), move |(receiver, told)| async move {
                let mut receiver = receiver?;
                if told {
                    tokio::time::sleep(gather).await;
                }
                receiver.changed().await.ok()?;
                Some((noun, (Some(receiver), true)))
            })
        };
        futures::stream::select_all(Noun::ALL.map(|noun| Box::pin(follow(noun))))
    }
}

/// Tells pages of what a request has changed.
pub(crate) async fn announce(State(app): State<App>, request: Request, next: Next) -> Response {
    let noun = changed_by(request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(noun) = noun.filter(|_| response.status().is_success()) {
        app.changes().tell(noun);
    }
    response
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn many_changes_are_told_as_few() {
        let changes = Changes::default();
        let mut followed = changes.follow(Duration::from_millis(1));
        for _ in 0..100 {
            changes.tell(Noun::Tracking);
        }
        changes.tell(Noun::Trace);
        let first = [followed.next().await, followed.next().await];
        assert!(first.contains(&Some(Noun::Tracking)) && first.contains(&Some(Noun::Trace)), "{first:?}");
        changes.tell(Noun::Tracking);
        assert_eq!(followed.next().await, Some(Noun::Tracking));
    }
}
