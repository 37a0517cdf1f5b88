//! Files of a workspace beside its pipelines: endpoints, alert rules and calendars. Read anew each time, since people edit them.

use std::path::Path;

use millrace_contract::Explain as _;
use millrace_deployment::EndpointFile;
use millrace_monitoring::notifications::Channels;
use millrace_monitoring::rule::AlertRule;
use millrace_spec::access::Access;
use millrace_spec::environment::Environments;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::Calendar;
use millrace_tracking::openlineage::LineageFile;

use crate::workspace::{Workspace, read};

/// Folder of endpoint files.
const ENDPOINTS: &str = "endpoints";
/// Folder of calendars.
pub(crate) const CALENDARS: &str = "calendars";
/// Folder of alert rules.
const MONITORS: &str = "monitors";

/// Groups and roles, in the workspace's root.
pub(crate) const ACCESS: &str = "access.yaml";

/// Environments that are deployed into, in the workspace's root.
pub(crate) const ENVIRONMENTS: &str = "environments.yaml";

/// Channels through which people are told, in the workspace's root.
pub(crate) const CHANNELS: &str = "channels.yaml";

/// Who is told of what runs do, in the workspace's root.
pub(crate) const LINEAGE: &str = "lineage.yaml";

/// A file, what it says, and what is wrong with it.
pub(crate) struct Declared<T> {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) content: Result<T, Vec<Problem>>,
}

impl<T> Declared<T> {
    /// What it says, or the first thing that is wrong with it.
    pub(crate) fn usable(self) -> Result<T, Box<Problem>> {
        self.content.map_err(|problems| {
            let unreadable = || Problem::error("unreadable-file", format!("cannot read `{}`", self.file));
            Box::new(problems.into_iter().next().unwrap_or_else(unreadable))
        })
    }
}

/// What `access.yaml` says now. No file, no groups and roles.
pub(crate) fn access(root: &Path) -> Declared<Access> {
    in_root(root, ACCESS, |text| Access::parse(ACCESS, text))
}

/// What `environments.yaml` says now; `access` are the groups and roles that it may name, `zone` is the workspace's. No file, no
/// environments.
pub(crate) fn environments(root: &Path, access: &Access, zone: &str) -> Declared<Environments> {
    in_root(root, ENVIRONMENTS, |text| Environments::parse(ENVIRONMENTS, text, access, zone))
}

/// What `channels.yaml` says now, its secrets not in place. No file, no channels.
pub(crate) fn channels(root: &Path) -> Declared<Channels> {
    in_root(root, CHANNELS, |text| Channels::parse(CHANNELS, text))
}

/// What `lineage.yaml` says now, its secrets not in place. No file, nobody is told.
pub(crate) fn lineage(root: &Path) -> Declared<LineageFile> {
    in_root(root, LINEAGE, |text| LineageFile::parse(LINEAGE, text))
}

fn in_root<T: Default>(
    root: &Path,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Declared<T> {
    let file = name.to_owned();
    if !root.join(name).exists() {
        return Declared { file, text: String::new(), content: Ok(T::default()) };
    }
    match read(root, name) {
        Ok(text) => Declared { content: parse(&text), file, text },
        Err(error) => Declared { file, text: String::new(), content: Err(vec![error.problem()]) },
    }
}

impl Workspace {
    /// Every file in `endpoints/`, by name.
    pub(crate) fn endpoint_files(&self) -> Vec<Declared<EndpointFile>> {
        self.declared(ENDPOINTS, EndpointFile::parse)
    }

    /// Every file in `monitors/`, by name.
    pub(crate) fn alert_rules(&self) -> Vec<Declared<AlertRule>> {
        self.declared(MONITORS, AlertRule::parse)
    }

    /// Every file in `calendars/`, by name.
    pub(crate) fn calendar_files(&self) -> Vec<Declared<Calendar>> {
        self.declared(CALENDARS, Calendar::parse)
    }

    fn declared<T>(
        &self,
        folder: &str,
        parse: impl Fn(&str, &str) -> Result<T, Vec<Problem>>,
    ) -> Vec<Declared<T>> {
        let declare = |file: String| match read(&self.root, &file) {
            Ok(text) => Declared { content: parse(&file, &text), file, text },
            Err(error) => Declared { file, text: String::new(), content: Err(vec![error.problem()]) },
        };
        self.yaml_files(folder).into_iter().map(declare).collect()
    }
}

/// Those that are sound; the others are reported to the log, so that one mistake does not take down the rest.
pub(crate) fn sound<T>(files: Vec<Declared<T>>) -> Vec<T> {
    let content = |file: Declared<T>| match file.content {
        Ok(content) => Some(content),
        Err(problems) => {
            for problem in problems {
                tracing::warn!(file = file.file, "left out: {}", problem.message);
            }
            None
        }
    };
    files.into_iter().filter_map(content).collect()
}
