use super::*;

#[test]
fn every_kind_has_a_sentence_an_example_that_parses_and_an_object_schema() {
    for entry in ALL {
        let doc = (entry.doc)();
        assert!(doc.summary.ends_with('.') && doc.summary.contains(" "), "{}: {}", entry.name, doc.summary);
        let document = millrace_spec::yaml::parse("example", doc.example).unwrap().to_json();
        let config =
            document.get(entry.name).unwrap_or_else(|| panic!("{}: the example lacks its key", entry.name));
        (entry.parse)(config).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!(doc.family, KindFamily::Transform);
        let says_shape = ["type", "anyOf", "$ref"].iter().any(|key| doc.schema.get(*key).is_some());
        assert!(says_shape, "{}", entry.name);
    }
}

#[test]
fn a_word_names_one_kind() {
    let mut names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}
