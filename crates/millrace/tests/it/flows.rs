//! Flows as their users run, check and test them; what they learn is compared with scikit-learn.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::clients::interpreter;
use crate::project::Project;

const PREPARE: &str = r#"flow: prepare
nodes:
  rows: {source: {name: rows, columns: {id: integer, a: float, b: float, c: float, k: string}}}
  impute: {fill_missing: {a: mean, b: median}, from: rows}
  scale: {normalize: {a: z_score, b: min_max}, from: impute}
  bins: {bin: {c: {quantiles: 4}}, from: scale}
  codes: {encode: {k: one_hot}, from: bins}
output: codes
"#;

const PIPELINE: &str = r#"
steps:
  a: {copy: {from: a.csv, to: "data:a"}}
  b: {copy: {from: b.csv, to: "data:b"}}
  first:
    flow: {file: flows/prepare.yaml, to: "data:first"}
    inputs: {rows: "${{ steps.a.data }}"}
  second:
    flow: {file: flows/prepare.yaml, learned: "${{ steps.first.learned }}", to: "data:second"}
    inputs: {rows: "${{ steps.b.data }}"}
  third:
    flow:
      nodes:
        rows: {source: rows}
        again: {apply: {learned: prepared, nodes: [impute, scale]}, from: rows}
      output: again
      to: "data:third"
    inputs: {rows: "${{ steps.b.data }}", prepared: "${{ steps.first.learned }}"}
"#;

/// Rows with nulls; `shift` makes others of the same columns, with a category that the first ones lack.
fn table(rows: i64, shift: i64) -> String {
    let row = |id: i64| {
        let a = if id % 5 == 0 {
            String::new()
        } else {
            format!("{:.2}", (id * 37 % 101) as f64 / 7.0 + shift as f64)
        };
        let b =
            if id % 7 == 3 { String::new() } else { format!("{:.1}", (id * 13 % 53) as f64 - shift as f64) };
        let c = (id * 29 % 97) as f64 / 3.0;
        let k = ["x", "y", "z", if shift > 0 { "new" } else { "x" }][usize::try_from(id % 4).unwrap()];
        format!("{id},{a},{b},{c:.3},{k}\n")
    };
    std::iter::once("id,a,b,c,k\n".to_owned()).chain((0..rows).map(row)).collect()
}

fn project() -> Project {
    Project::new(&[
        ("pipelines/p.yaml", PIPELINE),
        ("flows/prepare.yaml", PREPARE),
        ("a.csv", &table(200, 0)),
        ("b.csv", &table(60, 4)),
    ])
}

fn rows(project: &Project, sql: &str) -> Vec<Value> {
    let output = project.output(&["sql", sql, "-n", "1000", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_was_learned_is_kept_with_versions_and_applied_without_learning_anew() {
    let project = project();
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    // The same numbers make the same document, whichever step applied it.
    let show = project.json(&["runs", "show", "latest", "--json"]);
    assert_eq!(show["state"], "succeeded", "{show}");
    let kept = String::from_utf8(project.output(&["data", "--json"]).stdout).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = kept.iter().map(|version| version["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "first", "first_learned", "second", "second_learned", "third"]);
    // Means of the first rows, not of these.
    let of_first = rows(&project, "select avg(a) as a, count(*) as n, min(b) as b, max(c) as c from first");
    let of_second = rows(&project, "select avg(a) as a, count(*) as n, max(c) as c from second");
    let close = |value: &Value, to: f64| (value.as_f64().unwrap() - to).abs() < 1e-9;
    assert!(close(&of_first[0]["a"], 0.0) && of_first[0]["b"] == json!(0.0), "{of_first:?}");
    assert!(of_second[0]["a"].as_f64().unwrap() > 0.5 && of_second[0]["n"] == 60, "{of_second:?}");
    assert_eq!((&of_first[0]["c"], &of_second[0]["c"]), (&json!(3), &json!(3)));
    let unknown =
        rows(&project, "select k_x + k_y + k_z as known, count(*) as n from second group by 1 order by 1");
    assert_eq!(unknown, [json!({"known": 0, "n": 15}), json!({"known": 1, "n": 45})]);
    let same = rows(
        &project,
        "select count(*) as n from second s join third t on s.id = t.id and s.a = t.a and s.b = t.b",
    );
    assert_eq!(same, [json!({"n": 60})]);
}

const CLIENT: &str = r#"
import json, sys
import numpy as np, pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler, MinMaxScaler, OneHotEncoder
a, b = pd.read_csv("a.csv"), pd.read_csv("b.csv")
mean = SimpleImputer(strategy="mean").fit(a[["a"]])
median = SimpleImputer(strategy="median").fit(a[["b"]])
z = StandardScaler().fit(mean.transform(a[["a"]]))
m = MinMaxScaler().fit(median.transform(a[["b"]]))
hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(a[["k"]])
cuts = np.quantile(a["c"], [0.25, 0.5, 0.75])
def rows(frame):
    out = pd.DataFrame({"id": frame["id"]})
    out["a"] = z.transform(mean.transform(frame[["a"]]))[:, 0]
    out["b"] = m.transform(median.transform(frame[["b"]]))[:, 0]
    out["c"] = np.digitize(frame["c"], cuts)
    for name, column in zip(hot.get_feature_names_out(["k"]), hot.transform(frame[["k"]]).T):
        out[name] = column.astype(int)
    return out
worst = 0.0
for name, frame in [("first", a), ("second", b)]:
    ours = pd.read_csv(name + ".csv").sort_values("id").reset_index(drop=True)
    theirs = rows(frame).sort_values("id").reset_index(drop=True)
    assert list(ours.columns) == list(theirs.columns), (list(ours.columns), list(theirs.columns))
    worst = max(worst, float((ours - theirs).abs().max().max()))
from sklearn.feature_selection import mutual_info_classif, f_regression, r_regression
from scipy.stats import chi2_contingency, spearmanr
s = pd.read_csv("scores.csv")
t = s["t"]
cats = [s["u"], s["w"]]
scores = {
    "pearson": [abs(r_regression(s[["x", "y"]], t)[i]) for i in range(2)],
    "spearman": [abs(spearmanr(s[c], t)[0]) for c in ["x", "y"]],
    "chi_squared": [float(chi2_contingency(pd.crosstab(c, s["g"]), correction=False)[0]) for c in cats],
    "mutual_information": list(mutual_info_classif(np.array(cats).T, s["g"], discrete_features=True)),
}
print(json.dumps({"worst": worst, "scores": scores}))
"#;

const SELECTION: &str = r#"
steps:
  scores: {copy: {from: scores.csv, to: "data:scores"}}
  numbers:
    foreach: [pearson, spearman]
    flow:
      nodes:
        s: {source: s}
        f: {select_features: {target: t, method: "${{ item }}", keep: 1, columns: [x, y]}, from: s}
      to: "data:numbers"
    inputs: {s: "${{ steps.scores.data }}"}
  classes:
    foreach: [chi_squared, mutual_information]
    flow:
      nodes:
        s: {source: s}
        f: {select_features: {target: g, method: "${{ item }}", keep: 1, columns: [u, w]}, from: s}
      to: "data:classes"
    inputs: {s: "${{ steps.scores.data }}"}
"#;

#[test]
fn scikit_learn_gives_the_same() {
    let Some(python) = interpreter() else { return };
    let project = project();
    let row = |id: i64| {
        format!(
            "{},{},{},{},{},{}\n",
            id * 7 % 31,
            (id * id) % 23,
            id * 5 % 4,
            id * 3 % 5,
            id * 7 % 31 + id % 6,
            id * 5 % 4 / 2
        )
    };
    let scores: String = std::iter::once("x,y,u,w,t,g\n".to_owned()).chain((0..150).map(row)).collect();
    project.write("scores.csv", scores);
    project.write("pipelines/s.yaml", SELECTION);
    for pipeline in ["p", "s"] {
        let ended = project.json(&["run", pipeline, "--json"]);
        assert_eq!(ended["state"], "succeeded", "{ended}");
    }
    for name in ["first", "second"] {
        let copied = project.output(&["copy", &format!("data:{name}"), &format!("{name}.csv")]);
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }
    project.write("client.py", CLIENT);
    let output =
        std::process::Command::new(python).arg("client.py").current_dir(project.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let found: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    // Sums in another order: a few units in the last place of numbers near 1.
    assert!(found["worst"].as_f64().unwrap() < 1e-9, "{found}");
    for (method, dataset, columns) in [
        ("pearson", "numbers", ["x", "y"]),
        ("spearman", "numbers", ["x", "y"]),
        ("chi_squared", "classes", ["u", "w"]),
        ("mutual_information", "classes", ["u", "w"]),
    ] {
        let ours = learned(&project, dataset, method);
        for (at, column) in columns.iter().enumerate() {
            let theirs = found["scores"][method][at].as_f64().unwrap();
            let score = ours[column].as_f64().unwrap();
            assert!(
                (score - theirs).abs() < 1e-9 * theirs.max(1.0),
                "{method} of {column}: {score} and {theirs}"
            );
        }
    }
}

/// The scores in the document of that method, whichever version it is.
fn learned(project: &Project, dataset: &str, method: &str) -> Value {
    let folder = project.path().join(".millrace/storage/datasets").join(format!("{dataset}_learned"));
    for entry in std::fs::read_dir(&folder).unwrap() {
        let document: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let node = &document["nodes"]["f"];
        if node["method"] == method {
            return node["scores"].clone();
        }
    }
    panic!("no document of {method} in {}", folder.display());
}

const CASES: &str = r#"flow: flows/prepare.yaml
cases:
  - name: nulls become the mean
    node: impute
    inputs:
      rows:
        - {id: 1, a: 2, b: 1, c: 0, k: x}
        - {id: 2, a: 4, b: 3, c: 0, k: x}
        - {id: 3, a: null, b: null, c: 0, k: x}
    expect:
      - {id: 1, a: 2, b: 1, c: 0, k: x}
      - {id: 3, a: 3, b: 2, c: 0, k: x}
      - {id: 2, a: 4, b: 3, c: 0, k: x}
  - name: a column that is missing is told
    inputs: {rows: [{id: 1}]}
    expect_error: there is no column `a` here
  - name: this one is wrong
    node: impute
    inputs: {rows: {csv: "id,a,b,c,k\n1,2,1,0,x\n"}}
    expect: [{id: 1, a: 5, b: 1, c: 0, k: x}]
"#;

#[test]
fn cases_of_a_flow_pass_or_say_what_differs() {
    let project = project();
    project.write("tests/prepare.flow-test.yaml", CASES);
    assert_snapshot!(project.millrace(&["test"]), @r#"
    exit 1
    ✓ tests/prepare.flow-test.yaml:3: nulls become the mean
    ✓ tests/prepare.flow-test.yaml:14: a column that is missing is told
    ✗ tests/prepare.flow-test.yaml:17: this one is wrong
        ~ a: expected 5, got 2.0  (id=1 b=1 c=0 k="x")
    ----
    2 passed, 1 failed
    "#);
    let good = CASES.replace("a: 5", "a: 2");
    project.write("tests/prepare.flow-test.yaml", good);
    assert_snapshot!(project.millrace(&["test", "tests/prepare.flow-test.yaml", "--json"]), @r#"
    exit 0
    {"case":"nulls become the mean","passed":true,"file":"tests/prepare.flow-test.yaml","line":3}
    {"case":"a column that is missing is told","passed":true,"file":"tests/prepare.flow-test.yaml","line":14}
    {"case":"this one is wrong","passed":true,"file":"tests/prepare.flow-test.yaml","line":17}
    ----
    "#);
    project.write("tests/prepare.flow-test.yaml", "flow: flows/prepare.yaml\ncase: []\n");
    assert_snapshot!(project.millrace(&["test", "tests"]), @r#"
    exit 1
    ----
    error[flow-test]: this is no file of cases: unknown field `case`, expected `flow` or `cases`
     --> tests/prepare.flow-test.yaml:1:1
      |
    1 | flow: flows/prepare.yaml
      | ^
    hint: flow: flows/clean.yaml, then `cases:` with `name`, `inputs` and `expect`
    0 passed, 1 failed
    "#);
    assert_snapshot!(project.millrace(&["test", "pipelines"]), @r#"
    exit 1
    ----
    error[failed]: there is no file that ends with `.flow-test.yaml` at `pipelines`
    "#);
}

#[test]
fn check_finds_mistakes_in_flows_with_their_columns() {
    let project = project();
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 0
    ----
    1 pipeline with 5 steps, 1 flow: sound
    "#);
    project.write(
        "flows/prepare.yaml",
        PREPARE.replace("output: codes", "  late: {filter: sqrt(k) > id, from: scale}\noutput: codes"),
    );
    assert_snapshot!(project.millrace(&["check", "flows/prepare.yaml"]), @r#"
    exit 1
    ----
    error[flow-node]: node `late`: the condition is not an expression that can be used here: there is no `sqrt(Utf8)`
     --> flows/prepare.yaml:8:18
      |
    8 |   late: {filter: sqrt(k) > id, from: scale}
      |                  ^^^^^^
    hint: it is called as sqrt(Float64/Float32)
    1 of 1 files have errors
    "#);
    project.write("pipelines/inline.yaml", "steps:\n  few:\n    flow:\n      nodes:\n        rows: {source: rows}\n        few: {fliter: id < 10, from: rows}\n    inputs: {rows: \"data:a\"}\n");
    assert_snapshot!(project.millrace(&["check", "pipelines/inline.yaml"]), @r#"
    exit 1
    ----
    error[flow-node]: node `few`: there is no transform `fliter`
     --> pipelines/inline.yaml:6:14
      |
    6 |         few: {fliter: id < 10, from: rows}
      |              ^
    hint: did you mean `filter`?
    1 of 1 files have errors
    "#);
    assert_snapshot!(project.millrace(&["functions", "sqrt"]), @r#"
    exit 0
    FAMILY  FUNCTION              EXAMPLE   RESULT
    math    sqrt(number) → float  sqrt(16)  4.0
    ----
    "#);
    assert_snapshot!(project.millrace(&["functions", "sqroot"]), @r#"
    exit 1
    ----
    error[failed]: there is no function `sqroot`; did you mean `sqrt`?
    "#);
}

#[test]
fn a_flowlet_that_was_changed_is_no_longer_what_was_kept() {
    let inner = "nodes:\n  any: {source: any}\n  few: {filter: id < 10, from: any}\noutput: few\n";
    let outer = "nodes:\n  rows: {source: rows}\n  part: {flowlet: {file: flows/few.yaml}, from: rows}\noutput: part\n";
    let pipeline = "steps:\n  a: {copy: {from: a.csv, to: \"data:a\"}}\n  few:\n    flow: flows/outer.yaml\n    inputs: {rows: \"${{ steps.a.data }}\"}\n";
    let project = Project::new(&[
        ("pipelines/p.yaml", pipeline),
        ("flows/few.yaml", inner),
        ("flows/outer.yaml", outer),
        ("a.csv", &table(200, 0)),
    ]);
    let count = || rows(&project, "select count(*) as n from p_few")[0]["n"].clone();
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    assert_eq!(count(), 10);
    assert_snapshot!(project.millrace(&["why", "latest", "few"]), @r#"
    exit 0
    STEP  STATE        WHY
    few   ✓ succeeded  ran because no earlier result of this step is kept
    ----
    "#);
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    assert_snapshot!(project.millrace(&["why", "latest", "few"]), @r#"
    exit 0
    STEP  STATE     WHY
    few   = cached  reused the result of run [id]: nothing it depends on changed
    ----
    "#);
    project.write("flows/few.yaml", inner.replace("10", "20"));
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    assert_eq!(count(), 20);
}
