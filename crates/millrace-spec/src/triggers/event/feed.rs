use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};
use crate::duration::Elapsed;
use crate::problem::Problem;

/// New entries of an RSS or Atom feed.
///
/// `event.entry` has the `id`, `title`, `link`, `published` and `summary`. What the feed has when the trigger is written starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedEntries {
    /// Address of the feed.
    pub feed: String,
    /// How often it is read; `15m` if absent.
    #[serde(default = "a_quarter")]
    pub every: Elapsed,
}

impl EventKind for FeedEntries {
    const WORD: &'static str = "feed";
    const EXAMPLE: &'static str =
        "{feed: \"https://example.org/releases.atom\", every: 15m, if: \"'stable' in event.entry.title\"}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Feed(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        if self.feed.starts_with("https://") || self.feed.starts_with("http://") {
            return Vec::new();
        }
        let problem = Problem::error("not-a-feed", format!("`{}` is no address of a feed", self.feed));
        vec![("feed", problem.hint("begin it with `https://` or `http://`"))]
    }
}

fn a_quarter() -> Elapsed {
    Elapsed::from_ms(900_000)
}
