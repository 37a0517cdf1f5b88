//! Who is who: approvers, and the groups and roles of `access.yaml`.
//!
//! They stand in a file of their own, beside the pipelines and not in them: whoever writes a pipeline says which role decides, and
//! somebody else says who has that role. The roles of a server's accounts count beside them. Both are read when somebody decides, so that
//! who has left a role since cannot.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::suggest::nearest;
use crate::validate::{Violation, violations};
use crate::yaml;

/// Made once: a server reads the file again and again.
static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(Access::schema);

/// The role that administrators have without a file: the operator, and accounts that are administrators.
pub const ADMIN: &str = "admin";

/// Somebody who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account's name, or the user's of the system.
    pub name: String,
    /// Whether it is an administrator.
    pub is_admin: bool,
}

/// Who may decide: one person, a group or a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Approver {
    /// An account, or a user of the system where nobody logs in.
    User(String),
    /// A group of `access.yaml`.
    Group(String),
    /// A role of `access.yaml`, or `admin`.
    Role(String),
}

/// Text that names no approver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is nobody who can be asked: write `user:anna`, `group:risk` or `role:ml_owner`")]
pub struct InvalidApprover {
    /// The refused text.
    pub text: String,
}

impl FromStr for Approver {
    type Err = InvalidApprover;

    fn from_str(text: &str) -> Result<Self, InvalidApprover> {
        match text.split_once(':').map(|(kind, name)| (kind, name.trim())) {
            Some(("user", name)) if !name.is_empty() => Ok(Self::User(name.to_owned())),
            Some(("group", name)) if !name.is_empty() => Ok(Self::Group(name.to_owned())),
            Some(("role", name)) if !name.is_empty() => Ok(Self::Role(name.to_owned())),
            _ => Err(InvalidApprover { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for Approver {
    type Error = InvalidApprover;

    fn try_from(text: String) -> Result<Self, InvalidApprover> {
        text.parse()
    }
}

impl From<Approver> for String {
    fn from(approver: Approver) -> Self {
        approver.to_string()
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
        }
    }
}

impl JsonSchema for Approver {
    fn schema_name() -> Cow<'static, str> {
        "Approver".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(user|group|role):.+$",
            "description": "Who may decide: `user:NAME`, `group:NAME` or `role:NAME`."
        })
    }
}

/// How many must say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Quorum {
    /// So many people, whichever of `by` they are.
    Count(#[schemars(range(min = 1, max = 100))] u32),
    /// Somebody for each entry of `by`, each a different person.
    Each(EachWord),
}

/// The word `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EachWord {
    /// One of each.
    Each,
}

impl Default for Quorum {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// What happens when nobody decides in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It is rejected.
    #[default]
    Reject,
    /// It is approved.
    Approve,
    /// These are asked too, for as long again: one of them is enough. Then it is rejected.
    Escalate(Approver),
}

/// Groups and roles of a workspace, `access.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Names of the people in each group.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who has each role: `user:NAME` and `group:NAME`.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Approver>>,
}

impl Access {
    /// Reads the file; `file` is the path shown in problems.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let node = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        if matches!(node.value, yaml::NodeValue::Null) {
            return Ok(Self::default());
        }
        let value = node.to_json();
        let found = violations(&SCHEMA, &value);
        if !found.is_empty() {
            let problem = |violation: &Violation| {
                let problem =
                    Problem::error("access-file", violation.message.clone()).at(violation.place_in(&node));
                violation.hints.iter().fold(problem, |problem, hint| problem.hint(hint.clone()))
            };
            return Err(found.iter().map(problem).collect());
        }
        let at = |pointer: &str| node.nearest(pointer).place.clone();
        let mut problems = Vec::new();
        // Each approver is read on its own, so that each mistake has its place.
        for (role, members) in value.get("roles").and_then(serde_json::Value::as_object).into_iter().flatten()
        {
            for (index, member) in members.as_array().into_iter().flatten().enumerate() {
                let place = at(&format!("/roles/{role}/{index}"));
                if let Err(error) = member.as_str().unwrap_or_default().parse::<Approver>() {
                    problems.push(Problem::error("access-file", error.to_string()).at(place));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let access: Self = serde_json::from_value(value)
            .map_err(|error| vec![Problem::error("access-file", error.to_string()).at(node.place.clone())])?;
        for (role, members) in &access.roles {
            if role == ADMIN {
                let problem = Problem::error("access-file", "administrators have the role `admin` already");
                problems.push(problem.at(at("/roles/admin")).hint("give this role another name"));
            }
            for (index, member) in members.iter().enumerate() {
                let place = at(&format!("/roles/{role}/{index}"));
                match member {
                    Approver::Role(_) => problems.push(
                        Problem::error(
                            "access-file",
                            format!("`{member}` stands in a role: roles have people and groups"),
                        )
                        .at(place),
                    ),
                    other => problems.extend(access.unknown(other).map(|problem| problem.at(place))),
                }
            }
        }
        if problems.is_empty() { Ok(access) } else { Err(problems) }
    }

    /// The JSON Schema of the file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The same with the roles of a server's accounts, by their names: whoever has a role here or there has it. Administrators are those
    /// that the login knows as such, whatever a role is called.
    #[must_use]
    pub fn with_account_roles(mut self, roles: &BTreeMap<String, BTreeSet<String>>) -> Self {
        for (role, accounts) in roles.iter().filter(|(role, _)| *role != ADMIN) {
            let members = self.roles.entry(role.clone()).or_default();
            for account in accounts.iter().map(|name| Approver::User(name.clone())) {
                if !members.contains(&account) {
                    members.push(account);
                }
            }
        }
        self
    }

    /// Whether an approver is or has this person among them.
    pub fn includes(&self, approver: &Approver, person: &Person) -> bool {
        match approver {
            Approver::User(name) => *name == person.name,
            Approver::Group(name) => {
                self.groups.get(name).is_some_and(|members| members.contains(&person.name))
            }
            Approver::Role(name) if name == ADMIN => person.is_admin,
            Approver::Role(name) => {
                let members = self.roles.get(name).into_iter().flatten();
                // A role has no roles in it, so that this ends.
                members
                    .filter(|member| !matches!(member, Approver::Role(_)))
                    .any(|member| self.includes(member, person))
            }
        }
    }

    /// Names of the people that an approver stands for; `None` if the file does not say, as of administrators.
    pub fn people(&self, approver: &Approver) -> Option<BTreeSet<String>> {
        match approver {
            Approver::User(name) => Some(BTreeSet::from([name.clone()])),
            Approver::Group(name) => Some(self.groups.get(name).into_iter().flatten().cloned().collect()),
            Approver::Role(name) if name == ADMIN => None,
            Approver::Role(name) => {
                let mut people = BTreeSet::new();
                for member in self.roles.get(name).into_iter().flatten() {
                    if !matches!(member, Approver::Role(_)) {
                        people.extend(self.people(member)?);
                    }
                }
                Some(people)
            }
        }
    }

    /// What is wrong with an approver that the file does not know, or that is empty.
    pub fn unknown(&self, approver: &Approver) -> Option<Problem> {
        let (what, name, known): (&str, &String, Vec<&str>) = match approver {
            Approver::User(_) => return None,
            Approver::Role(name) if name == ADMIN => return None,
            Approver::Group(name) => ("group", name, self.groups.keys().map(String::as_str).collect()),
            Approver::Role(name) => ("role", name, self.roles.keys().map(String::as_str).collect()),
        };
        if known.contains(&name.as_str()) {
            let empty = self.people(approver).is_some_and(|people| people.is_empty());
            return empty.then(|| {
                Problem::error(format!("empty-{what}"), format!("nobody is in the {what} `{name}`")).hint(
                    format!(
                        "add somebody to it in `access.yaml`: {name}: [{}anna]",
                        if what == "role" { "user:" } else { "" }
                    ),
                )
            });
        }
        let problem = Problem::error(format!("unknown-{what}"), format!("there is no {what} `{name}`"));
        Some(match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{what}:{near}`?")),
            None if what == "role" => {
                problem.hint(format!("add it to `access.yaml`: roles: {{{name}: [user:anna]}}"))
            }
            None => problem.hint(format!("add it to `access.yaml`: groups: {{{name}: [anna]}}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "groups:\n  risk: [bert, cleo]\nroles:\n  ml_owner: [user:anna, group:risk]\n  head: [user:dora]\n";

    fn person(name: &str) -> Person {
        Person { name: name.to_owned(), is_admin: name == "root" }
    }

    #[test]
    fn a_role_has_people_and_groups() {
        let access = Access::parse("access.yaml", FILE).unwrap();
        let includes =
            |approver: &str, name: &str| access.includes(&approver.parse().unwrap(), &person(name));
        for (approver, name) in [
            ("user:anna", "anna"),
            ("group:risk", "cleo"),
            ("role:ml_owner", "anna"),
            ("role:ml_owner", "bert"),
            ("role:admin", "root"),
        ] {
            assert!(includes(approver, name), "{approver} {name}");
        }
        for (approver, name) in [
            ("user:anna", "Anna"),
            ("group:risk", "anna"),
            ("role:head", "anna"),
            ("role:admin", "anna"),
            ("role:gone", "anna"),
        ] {
            assert!(!includes(approver, name), "{approver} {name}");
        }
        let people = access.people(&"role:ml_owner".parse().unwrap()).unwrap();
        assert_eq!(people.into_iter().collect::<Vec<_>>(), ["anna", "bert", "cleo"]);
    }

    #[test]
    fn roles_of_accounts_count_beside_those_of_the_file() {
        let accounts =
            [("ml_owner", vec!["anna", "emil"]), ("auditor", vec!["emil"]), ("admin", vec!["emil"])];
        let accounts = accounts.into_iter().map(|(role, names)| {
            (role.to_owned(), names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
        });
        let access = Access::parse("access.yaml", FILE).unwrap().with_account_roles(&accounts.collect());
        let includes =
            |approver: &str, name: &str| access.includes(&approver.parse().unwrap(), &person(name));
        assert!(includes("role:ml_owner", "emil") && includes("role:auditor", "emil"));
        assert!(includes("role:ml_owner", "bert"), "the file's own stay");
        assert!(!includes("role:admin", "emil"), "a role that is called so makes nobody an administrator");
        let people = access.people(&"role:ml_owner".parse().unwrap()).unwrap();
        assert_eq!(people.into_iter().collect::<Vec<_>>(), ["anna", "bert", "cleo", "emil"]);
    }

    #[test]
    fn a_wrong_file_is_refused_at_its_place() {
        let refused = |from: &str, to: &str| {
            let problems = Access::parse("access.yaml", &FILE.replace(from, to)).unwrap_err();
            let place = problems[0].place.clone().unwrap();
            (problems[0].message.clone(), place.line, place.column)
        };
        assert_eq!(refused("group:risk", "group:rsik"), ("there is no group `rsik`".to_owned(), 4, 25));
        assert_eq!(refused("user:anna", "anna").1, 4);
        assert_eq!(refused("user:dora", "role:ml_owner").1, 5);
        assert_eq!(refused("head:", "admin:").1, 5);
        assert_eq!(refused("roles:", "rolles:").1, 3);
    }
}
