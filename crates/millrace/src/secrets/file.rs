//! The file `secrets.enc.yaml`: names in the clear, values sealed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use millrace_spec::ids::SecretName;
use millrace_spec::problem::{Place, Problem};
use millrace_spec::secret::SecretText;
use millrace_spec::suggest::nearest;
use millrace_spec::yaml::{self, Node, NodeValue};
use serde_json::json;

use super::key::{Damage, Key, KeyId};
use super::{FILE, SecretsError};

/// What this program reads and writes.
const VERSION: u64 = 1;
const KEYS: &[&str] = &["version", "key", "secrets"];
const HEADER: &str = "# The workspace's secrets, encrypted, to be committed. Written by `millrace secrets set` and `remove`.\n";

/// What stands in the file. The values are opened one by one, so that a damaged one takes down no other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SecretsFile {
    /// The key that all values are sealed with.
    pub(crate) key: KeyId,
    /// By name, sorted.
    values: BTreeMap<SecretName, Sealed>,
}

/// A value as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
struct Sealed {
    text: String,
    /// Where; `None` for one that is not written yet.
    place: Option<Place>,
}

impl SecretsFile {
    /// A file without secrets.
    pub(crate) fn new(key: KeyId) -> Self {
        Self { key, values: BTreeMap::new() }
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>, SecretsError> {
        let failed = SecretsError::io("read", FILE);
        match fs_err::read_to_string(root.join(FILE)) {
            Ok(text) => Self::parse(&text).map(Some).map_err(SecretsError::Wrong),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes it beside the old one and puts it in its place.
    pub(crate) fn write(&self, root: &Path) -> Result<(), SecretsError> {
        let staged = root.join(format!(".{FILE}.{}.staged", std::process::id()));
        let write = || {
            let mut file = fs_err::File::create(&staged)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs_err::rename(&staged, root.join(FILE))?;
            fs_err::File::open(root)?.sync_all()
        };
        write().map_err(|error| {
            // What is left of it is of no use to anyone.
            let _ = fs_err::remove_file(&staged);
            SecretsError::io("write", FILE)(error)
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.values.keys()
    }

    /// Decrypts a value.
    pub(crate) fn open(&self, key: &Key, name: &SecretName) -> Result<SecretText, SecretsError> {
        let Some(sealed) = self.values.get(name) else { return Err(self.unknown(name)) };
        key.open(name, &sealed.text).map_err(|damage| damaged(name, sealed, damage))
    }

    /// Puts a value into the file, in place of the old one if there is one.
    pub(crate) fn set(
        &mut self,
        key: &Key,
        name: &SecretName,
        text: &SecretText,
    ) -> Result<(), SecretsError> {
        let sealed = Sealed { text: key.seal(name, text)?, place: None };
        self.values.insert(name.clone(), sealed);
        Ok(())
    }

    /// Takes a value out; it need not be readable.
    pub(crate) fn remove(&mut self, name: &SecretName) -> Result<(), SecretsError> {
        self.values.remove(name).map(drop).ok_or_else(|| self.unknown(name))
    }

    /// The same values, sealed with another key.
    pub(crate) fn resealed(&self, old: &Key, new: &Key) -> Result<Self, SecretsError> {
        let mut file = Self::new(new.id());
        for name in self.names() {
            file.set(new, name, &self.open(old, name)?)?;
        }
        Ok(file)
    }

    fn unknown(&self, name: &SecretName) -> SecretsError {
        let known: Vec<&str> = self.names().map(SecretName::as_str).collect();
        let near = nearest(name.as_str(), &known).map(str::to_owned);
        SecretsError::Unknown { name: name.clone(), near, variable: None }
    }

    /// One name a line, sorted, so that a change is a small diff. The id is in quotes, since it may look like a number.
    fn text(&self) -> String {
        let mut text = format!("{HEADER}version: {VERSION}\nkey: \"{}\"\n", self.key);
        text.push_str(if self.values.is_empty() { "secrets: {}\n" } else { "secrets:\n" });
        for (name, sealed) in &self.values {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name}: {}", sealed.text);
        }
        text
    }

    fn parse(text: &str) -> Result<Self, Box<Problem>> {
        let tree = yaml::parse(FILE, text)?;
        // Another version may have other keys, so this comes first.
        check_version(&tree)?;
        for (key, _) in tree.as_map().unwrap_or_default() {
            if !KEYS.contains(&key.name.as_str()) {
                let problem = Problem::error("unknown-key", format!("`{FILE}` has no key `{}`", key.name));
                let problem = problem.at(key.place.clone());
                return Err(Box::new(match nearest(&key.name, KEYS) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.note(format!("its keys are {}", KEYS.join(", "))),
                }));
            }
        }
        let key = tree.get("key");
        let id = key.and_then(Node::as_text).and_then(KeyId::parse).ok_or_else(|| {
            let place = key.unwrap_or(&tree).place.clone();
            wrong("`key` is not the id of a key: 16 hex digits in quotes are expected", place)
        })?;
        let mut file = Self::new(id);
        match tree.get("secrets").map(|node| (node, &node.value)) {
            None | Some((_, NodeValue::Null)) => {}
            Some((_, NodeValue::Map(fields))) => {
                for (key, node) in fields {
                    let name = key.name.parse::<SecretName>();
                    let name = name.map_err(|error| wrong(error.to_string(), key.place.clone()))?;
                    let text = node.as_text().ok_or_else(|| {
                        let found = node.type_word();
                        wrong(format!("the value of `{name}` is {found}, not text"), node.place.clone())
                    })?;
                    let sealed = Sealed { text: text.to_owned(), place: Some(node.place.clone()) };
                    file.values.insert(name, sealed);
                }
            }
            Some((node, _)) => {
                let found = node.type_word();
                return Err(wrong(format!("`secrets` is {found}, not a mapping"), node.place.clone()));
            }
        }
        Ok(file)
    }
}

fn check_version(tree: &Node) -> Result<(), Box<Problem>> {
    let Some(version) = tree.get("version") else {
        return Err(wrong(format!("`{FILE}` does not say its `version`"), tree.place.clone()));
    };
    if version.to_json() == json!(VERSION) {
        return Ok(());
    }
    let found = version.to_json();
    let message = format!("`{FILE}` is of version {found}; this program reads version {VERSION}");
    let problem = Problem::error("secrets-version", message).at(version.place.clone());
    Err(Box::new(problem.hint("use the newer Millrace that wrote it")))
}

fn wrong(message: impl Into<String>, place: Place) -> Box<Problem> {
    let problem = Problem::error("secrets-file", message).at(place);
    Box::new(problem.hint(format!("bring it back: `git checkout -- {FILE}`")))
}

fn damaged(name: &SecretName, sealed: &Sealed, damage: Damage) -> SecretsError {
    let mut problem =
        Problem::error("secret-damaged", format!("the value of `{name}` cannot be decrypted: {damage}"));
    problem.place.clone_from(&sealed.place);
    let problem =
        problem.hint(format!("`millrace secrets set {name}`, or bring it back: `git checkout -- {FILE}`"));
    SecretsError::Wrong(Box::new(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_contract::Explain as _;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn key() -> Key {
        Key::from_hex(HEX).unwrap()
    }

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    fn file(values: &[(&str, &str)]) -> SecretsFile {
        let mut file = SecretsFile::new(key().id());
        for (text, value) in values {
            file.set(&key(), &name(text), &SecretText::new(*value)).unwrap();
        }
        file
    }

    fn shown(problem: &Problem, text: &str) -> String {
        millrace_spec::frame::render(problem, Some(text), false)
    }

    #[test]
    fn what_is_written_is_read_and_opens() {
        let root = tempfile::tempdir().unwrap();
        assert!(SecretsFile::read(root.path()).unwrap().is_none());
        for values in [vec![], vec![("shop", "two\nlines"), ("api", "hunter22")]] {
            file(&values).write(root.path()).unwrap();
            let read = SecretsFile::read(root.path()).unwrap().unwrap();
            assert_eq!(read.names().count(), values.len());
            for (text, value) in values {
                assert_eq!(read.open(&key(), &name(text)).unwrap().reveal(), value);
            }
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn names_are_sorted_one_a_line_and_a_change_is_one_line() {
        let mut file = file(&[("shop", "secret of the shop"), ("api", "hunter22"), ("lake", "x")]);
        let before = file.text();
        let keys: Vec<&str> = before.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(keys[1..], ["version", "key", "secrets", "  api", "  lake", "  shop"]);
        file.set(&key(), &name("lake"), &SecretText::new("y")).unwrap();
        let after = file.text();
        let changed = before.lines().zip(after.lines()).filter(|(before, after)| before != after).count();
        assert_eq!((changed, before.lines().count()), (1, after.lines().count()));
    }

    #[test]
    fn another_key_opens_nothing_and_resealing_changes_every_value() {
        let file = file(&[("api", "hunter22"), ("shop", "secret")]);
        let other = Key::generate().unwrap();
        assert!(file.open(&other, &name("api")).is_err());
        let resealed = file.resealed(&key(), &other).unwrap();
        assert_eq!(resealed.open(&other, &name("shop")).unwrap().reveal(), "secret");
        assert!(resealed.open(&key(), &name("shop")).is_err() && resealed.key == other.id());
        assert!(file.resealed(&other, &key()).is_err());
    }

    #[test]
    fn values_that_were_swapped_or_damaged_say_where_and_leave_the_others_alone() {
        let good = file(&[("api", "hunter22"), ("lake", "water"), ("shop", "secret")]);
        let value = |text: &str| good.values[&name(text)].text.clone();
        let text = good.text().replace(&value("shop"), &value("lake")).replace(&value("api"), "aGFuZCE=x");
        let read = SecretsFile::parse(&text).unwrap();
        assert_eq!(read.open(&key(), &name("lake")).unwrap().reveal(), "water");
        let said = |wanted: &str| {
            let problem = read.open(&key(), &name(wanted)).unwrap_err().problem();
            shown(&problem, &text.replace(&value("lake"), "(of lake)"))
        };
        insta::assert_snapshot!(said("api"), @r"
        error[secret-damaged]: the value of `api` cannot be decrypted: it is not base64
         --> secrets.enc.yaml:5:8
          |
        5 |   api: aGFuZCE=x
          |        ^^^^^^^^^
        hint: `millrace secrets set api`, or bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said("shop").replace('^', "").trim(), @r"
        error[secret-damaged]: the value of `shop` cannot be decrypted: it was changed, or stood under another name
         --> secrets.enc.yaml:7:9
          |
        7 |   shop: (of lake)
          |         
        hint: `millrace secrets set shop`, or bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said("lakes"), @r"
        error[secret-unknown]: there is no secret `lakes` in `secrets.enc.yaml`
        hint: did you mean `lake`?
        hint: list them with `millrace secrets list`
        ");
    }

    #[test]
    fn what_is_no_such_file_is_refused_in_words() {
        let said = |text: &str| shown(&SecretsFile::parse(text).unwrap_err(), text);
        insta::assert_snapshot!(said("version: 2\nkeys: []\n"), @r"
        error[secrets-version]: `secrets.enc.yaml` is of version 2; this program reads version 1
         --> secrets.enc.yaml:1:10
          |
        1 | version: 2
          |          ^
        hint: use the newer Millrace that wrote it
        ");
        insta::assert_snapshot!(said("secrets: {}\n"), @r"
        error[secrets-file]: `secrets.enc.yaml` does not say its `version`
         --> secrets.enc.yaml:1:1
          |
        1 | secrets: {}
          | ^
        hint: bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said("version: 1\nkey: 1234567890123456\n"), @r"
        error[secrets-file]: `key` is not the id of a key: 16 hex digits in quotes are expected
         --> secrets.enc.yaml:2:6
          |
        2 | key: 1234567890123456
          |      ^^^^^^^^^^^^^^^^
        hint: bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said("version: 1\nsecret: {}\n"), @r"
        error[unknown-key]: `secrets.enc.yaml` has no key `secret`
         --> secrets.enc.yaml:2:1
          |
        2 | secret: {}
          | ^^^^^^
        hint: did you mean `secrets`?
        ");
        let file = |secrets: &str| format!("version: 1\nkey: \"ed1ae5de87ffe43f\"\nsecrets: {secrets}\n");
        insta::assert_snapshot!(said(&file("{Api: x}")), @r"
        error[secrets-file]: `Api` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters
         --> secrets.enc.yaml:3:11
          |
        3 | secrets: {Api: x}
          |           ^^^
        hint: bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said(&file("{api: 4711}")), @r"
        error[secrets-file]: the value of `api` is a number, not text
         --> secrets.enc.yaml:3:16
          |
        3 | secrets: {api: 4711}
          |                ^^^^
        hint: bring it back: `git checkout -- secrets.enc.yaml`
        ");
        insta::assert_snapshot!(said(&file("[]")), @r"
        error[secrets-file]: `secrets` is a list, not a mapping
         --> secrets.enc.yaml:3:10
          |
        3 | secrets: []
          |          ^
        hint: bring it back: `git checkout -- secrets.enc.yaml`
        ");
        assert_eq!(SecretsFile::parse(&file("")).unwrap().names().count(), 0);
    }
}
