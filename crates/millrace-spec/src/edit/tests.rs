use proptest::prelude::*;
use serde_json::json;

use super::*;

const FLOW: &str = "flow: clean   # what it is called

nodes:
  # Where it begins.
  orders: {source: orders}   # the table

  # Without those that were cancelled.
  kept:
    filter: status <> 'cancelled'  # as the shop says
    from: orders
  by_day:
    aggregate:
      by: [day, shop]          # a row each
      values:
        # In euros.
        revenue: sum(amount)
        orders: count(*)
    from: kept

output: by_day
";

fn set(path: &[&str], value: Value) -> Change {
    Change::Set { path: path.iter().map(|key| (*key).to_owned()).collect(), value }
}

fn remove(path: &[&str]) -> Change {
    Change::Remove { path: path.iter().map(|key| (*key).to_owned()).collect() }
}

/// The lines that differ, as a diff prints them.
fn check(text: &str, changes: &[Change]) -> String {
    let after = match edit("flows/clean.yaml", text, changes) {
        Ok(after) => after,
        Err(problem) => return problem.message,
    };
    let (old, new): (Vec<&str>, Vec<&str>) = (text.lines().collect(), after.lines().collect());
    let first = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old.len().min(new.len()) - first;
    let last =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let mut said = String::new();
    for line in &old[first..old.len() - last] {
        said += &format!("-{line}\n");
    }
    for line in &new[first..new.len() - last] {
        said += &format!("+{line}\n");
    }
    said
}

#[test]
fn a_value_changes_in_its_place() {
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "kept", "filter"], json!("amount > 0"))]), @r###"
-    filter: status <> 'cancelled'  # as the shop says
+    filter: amount > 0  # as the shop says
"###);
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "by_day", "aggregate", "by"], json!(["day", "shop", "city"]))]), @r###"
    -      by: [day, shop]          # a row each
    +      by: [day, shop, city]          # a row each
    "###);
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "by_day", "aggregate", "by"], json!(["day"]))]), @r###"
    -      by: [day, shop]          # a row each
    +      by: [day]          # a row each
    "###);
    let aggregate = json!({"by": ["day", "shop"], "values": {"revenue": "sum(amount) / 100", "orders": "count(*)", "mean": "avg(amount)"}});
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "by_day", "aggregate"], aggregate)]), @r###"
    -        revenue: sum(amount)
    -        orders: count(*)
    +        revenue: sum(amount) / 100
    +        orders: count(*)
    +        mean: avg(amount)
    "###);
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "orders", "source"], json!("orders, old: 1"))]), @r###"
    -  orders: {source: orders}   # the table
    +  orders: {source: "orders, old: 1"}   # the table
    "###);
}

#[test]
fn nodes_come_and_go() {
    let node = json!({"join": {"how": "left", "on": ["shop"]}, "from": ["by_day", "shops"]});
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "with_shop"], node)]), @r###"
    +  with_shop:
    +    join: {how: left, on: [shop]}
    +    from: [by_day, shops]
    "###);
    insta::assert_snapshot!(check(FLOW, &[set(&["nodes", "shops"], json!({"source": "shops"}))]), @r###"+  shops: {source: shops}"###);
    insta::assert_snapshot!(check(FLOW, &[remove(&["nodes", "kept"])]), @r###"
    -  kept:
    -    filter: status <> 'cancelled'  # as the shop says
    -    from: orders
    "###);
    insta::assert_snapshot!(check(FLOW, &[remove(&["nodes", "by_day"])]), @r###"
    -  by_day:
    -    aggregate:
    -      by: [day, shop]          # a row each
    -      values:
    -        # In euros.
    -        revenue: sum(amount)
    -        orders: count(*)
    -    from: kept
    "###);
    insta::assert_snapshot!(check(FLOW, &[remove(&["output"]), set(&["description"], json!("Orders: by day"))]), @r###"
    -output: by_day
    +description: "Orders: by day"
    "###);
    let rename = Change::Rename { path: vec!["nodes".to_owned(), "kept".to_owned()], to: "paid".to_owned() };
    insta::assert_snapshot!(check(FLOW, &[rename]), @r###"
    -  kept:
    +  paid:
    "###);
}

#[test]
fn an_empty_file_gets_its_first_node() {
    let node = set(&["nodes", "orders"], json!({"source": "orders"}));
    insta::assert_snapshot!(check("", std::slice::from_ref(&node)), @r###"
    +nodes:
    +  orders: {source: orders}
    "###);
    insta::assert_snapshot!(check("# nothing yet\n", std::slice::from_ref(&node)), @r###"
    +nodes:
    +  orders: {source: orders}
    "###);
    insta::assert_snapshot!(check("flow: a\nnodes:\n", std::slice::from_ref(&node)), @r###"+  orders: {source: orders}"###);
    insta::assert_snapshot!(check("flow: a\nnodes: {}\n", std::slice::from_ref(&node)), @r###"
    -nodes: {}
    +nodes:
    +  orders: {source: orders}
    "###);
}

#[test]
fn texts_are_quoted_where_they_would_be_read_as_something_else() {
    let odd = json!({"a": "yes", "b": "12", "c": "x: y", "d": "# no comment", "e": "", "f": "a\nb\n", "g": "- a", "h": " b", "i": "${{ secrets.a }}"});
    let after = edit("a.yaml", "k: 1\n", &[set(&["odd"], odd)]).unwrap();
    insta::assert_snapshot!(after, @r###"
    k: 1
    odd:
      a: "yes"
      b: "12"
      c: "x: y"
      d: "# no comment"
      e: ""
      f: |
        a
        b
      g: "- a"
      h: " b"
      i: ${{ secrets.a }}
    "###);
}

#[test]
fn what_other_places_share_is_not_changed_behind_their_back() {
    let shared = "a: &x {n: 1}\nb: *x\n";
    insta::assert_snapshot!(check(shared, &[set(&["a", "n"], json!(2))]), @r###"`flows/clean.yaml` cannot be changed there by itself: the result would mean something else"###);
    insta::assert_snapshot!(check(FLOW, &[Change::Rename { path: vec!["none".to_owned()], to: "a".to_owned() }]), @r###"`flows/clean.yaml` cannot be changed there by itself: there is no `none`"###);
    insta::assert_snapshot!(check("- a\n- b\n", &[set(&["a"], json!(1))]), @r###"`flows/clean.yaml` cannot be changed there by itself: `a` is in no mapping"###);
}

#[test]
fn lines_keep_their_ends() {
    let windows = FLOW.replace('\n', "\r\n");
    let after = edit("a.yaml", &windows, &[set(&["nodes", "kept", "filter"], json!("amount > 0"))]).unwrap();
    assert_eq!(after, windows.replace("status <> 'cancelled'", "amount > 0"));
}

/// A value of the kind that flows and connections have.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-1000i64..1000).prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[a-z_]{1,8}(\\n[a-z]{1,5}){0,2}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    /// Whatever is set anywhere: it is there afterwards, and no comment is lost whose line was not replaced.
    #[test]
    fn what_is_set_is_there_and_comments_stay(value in value(), at in 0usize..6) {
        let path: &[&str] = [
            &["nodes", "kept", "filter"][..], &["nodes", "new"], &["nodes", "by_day", "aggregate", "values", "mean"],
            &["description"], &["nodes", "orders", "source"], &["nodes", "by_day", "from"],
        ][at];
        // What is refused is told, not written wrongly.
        if let Ok(after) = edit("a.yaml", FLOW, &[set(path, value.clone())]) {
            let found = yaml::parse("a.yaml", &after).unwrap().to_json();
            let pointer: String = path.iter().map(|key| format!("/{key}")).collect();
            prop_assert_eq!(found.pointer(&pointer), Some(&value));
            for comment in ["# what it is called", "# Where it begins.", "# Without those that were cancelled.", "# a row each", "# In euros."] {
                prop_assert!(after.contains(comment), "{}\nlost {}", after, comment);
            }
        }
    }

    /// A set value can be taken away again, and every line is as it was, but for a blank one that a text of several lines had taken in.
    #[test]
    fn a_new_key_that_goes_again_leaves_nothing(value in value()) {
        let path = &["nodes", "new"];
        if let Ok(with) = edit("a.yaml", FLOW, &[set(path, value)]) {
            let without = edit("a.yaml", &with, &[remove(path)]).unwrap();
            let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(lines(&without), lines(FLOW));
        }
    }
}
