use millrace_spec::problem::{Place, Problem};
use millrace_spec::yaml::Node;

use crate::yaml_out::Map;

/// Code of everything that has no counterpart.
const CODE: &str = "not-converted";

/// What has no counterpart so far.
#[derive(Default)]
pub(crate) struct Gaps(pub(crate) Vec<Problem>);

impl Gaps {
    /// Notes a gap, and leaves a comment where it is missing. `message` says what and why, `hint` what to write instead.
    pub(crate) fn add(&mut self, place: &Place, comments: &mut Map, message: &str, hint: Option<&str>) {
        comments.comment(&format!("not converted ({}:{}): {message}", place.file, place.line));
        let problem = Problem::error(CODE, message).as_warning().at(place.clone());
        self.0.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// A gap for each key of a mapping that is not among those that were read.
    pub(crate) fn others(&mut self, node: &Node, read: &[&str], what: &str, comments: &mut Map) {
        for (key, _) in node.as_map().unwrap_or_default() {
            if !read.contains(&key.name.as_str()) {
                let message = format!("`{}` of {what} has no counterpart", key.name);
                self.add(&key.place, comments, &message, None);
            }
        }
    }
}

/// A file that is not what it was taken for.
pub(crate) fn not_a(what: &str, node: &Node) -> Box<Problem> {
    Box::new(Problem::error("import-format", format!("this is not {what}")).at(node.place.clone()))
}
