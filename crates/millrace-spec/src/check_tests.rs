use serde_json::json;

use super::*;
use crate::frame;

struct Kinds;

impl Surroundings for Kinds {
    fn kind(&self, step: &Step) -> Option<StepKindFacts> {
        let facts = |schema: Value, outputs: &[(&str, &str)], files: Vec<String>| {
            let outputs =
                outputs.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
            Some(StepKindFacts { schema, outputs, files, problems: Vec::new() })
        };
        match step.kind.as_str() {
            "copy" => facts(
                json!({"type": "object", "additionalProperties": false, "required": ["from", "to"], "properties": {
                    "from": {"type": "string"}, "to": {"type": "string"}, "max_rejects": {"type": ["integer", "null"], "minimum": 0},
                    "format": {"$ref": "#/$defs/Format"}},
                    "$defs": {"Format": {"enum": ["csv", "parquet"]}}}),
                &[("data", "table"), ("rows", "integer")],
                vec![],
            ),
            "sql" => facts(
                json!({"anyOf": [{"type": "string"}, {"type": "object"}]}),
                &[("data", "table")],
                vec![],
            ),
            "python" => facts(
                json!({"type": "string"}),
                &[],
                vec![step.config.as_str().unwrap_or_default().to_owned()],
            ),
            "run" => facts(json!({"type": "string"}), &[], vec![]),
            _ => None,
        }
    }

    fn exists(&self, path: &str) -> bool {
        path == "train.py"
    }

    fn secrets(&self) -> Option<Vec<String>> {
        Some(vec!["api".to_owned()])
    }
}

fn report(text: &str) -> String {
    let problems = match crate::load::pipeline("p.yaml", text, &["copy", "sql", "python", "run"]) {
        Ok(loaded) => check(&loaded, &Kinds),
        Err(problems) => problems,
    };
    problems.iter().map(|problem| frame::render(problem, Some(text), false)).collect()
}

#[test]
fn a_sound_pipeline_has_no_problems() {
    let text = "inputs: {month: 7}\nsteps:\n  raw:\n    copy: {from: a.csv, to: 'data:a'}\n  clean:\n    sql: select * from raw where m = ${{ inputs.month }}\n    inputs: {raw: '${{ steps.raw.data }}'}\n  train:\n    python: train.py\n    if: steps.raw.rows > 10 and succeeded()\n";
    assert_eq!(report(text), "");
}

#[test]
fn the_shape_of_the_file_is_checked_all_at_once() {
    insta::assert_snapshot!(report("stepz: {}\nsteps:\n  a:\n    copi: {}\n  b: {timeout: 5 min, run: x}\n  C: {run: x}\n  d: {run: x, sql: y}\n  e: {}\n"), @r"
    error[unknown-key]: a pipeline has no key `stepz`
     --> p.yaml:1:1
      |
    1 | stepz: {}
      | ^^^^^
    hint: did you mean `steps`?
    error[unknown-kind]: `copi` is neither a kind of step nor a key of one
     --> p.yaml:4:5
      |
    4 |     copi: {}
      |     ^^^^
    hint: did you mean `copy`?
    error[not-a-duration]: `5 min` is not a duration
     --> p.yaml:5:16
      |
    5 |   b: {timeout: 5 min, run: x}
      |                ^^^^^
    hint: write a number and a unit: `90s`, `15m`, `1h30m`, `7d`
    error[invalid-name]: `C` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters
     --> p.yaml:6:3
      |
    6 |   C: {run: x}
      |   ^
    error[two-kinds]: the step `d` is both `run` and `sql`
     --> p.yaml:7:15
      |
    7 |   d: {run: x, sql: y}
      |               ^^^
    hint: make it two steps
    error[no-kind]: the step `e` does not say what it does
     --> p.yaml:8:3
      |
    8 |   e: {}
      |   ^
      = one key names the kind: copy, sql, python, run
    ");
}

#[test]
fn references_configs_and_files_are_checked_where_they_stand() {
    let text = "inputs: {month: 7, unused: 1}\nsteps:\n  raw:\n    copy: {from: a.csv, too: x, max_rejects: -1, format: cvs}\n  clean:\n    sql: select ${{ inputs.mont }} from ${{ steps.raw.dat }}\n  train:\n    python: trian.py\n    needs: [claen]\n";
    insta::assert_snapshot!(report(text), @r"
    warning[unused-input]: the input `month` is never used
     --> p.yaml:1:10
      |
    1 | inputs: {month: 7, unused: 1}
      |          ^^^^^
    warning[unused-input]: the input `unused` is never used
     --> p.yaml:1:20
      |
    1 | inputs: {month: 7, unused: 1}
      |                    ^^^^^^
    error[missing-key]: copy: the key `to` is missing
     --> p.yaml:4:11
      |
    4 |     copy: {from: a.csv, too: x, max_rejects: -1, format: cvs}
      |           ^
    error[unknown-key]: copy: there is no key `too`
     --> p.yaml:4:25
      |
    4 |     copy: {from: a.csv, too: x, max_rejects: -1, format: cvs}
      |                         ^^^
    hint: did you mean `to`?
    error[out-of-range]: copy: `-1` is out of range: at least 0
     --> p.yaml:4:46
      |
    4 |     copy: {from: a.csv, too: x, max_rejects: -1, format: cvs}
      |                                              ^^
    error[not-allowed]: copy: `cvs` is not allowed here
     --> p.yaml:4:58
      |
    4 |     copy: {from: a.csv, too: x, max_rejects: -1, format: cvs}
      |                                                          ^^^
    hint: did you mean `csv`?
    error[unknown-input]: the pipeline has no input `mont`
     --> p.yaml:6:10
      |
    6 |     sql: select ${{ inputs.mont }} from ${{ steps.raw.dat }}
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `month`?
    error[unknown-output]: the step `raw` has no output `dat`
     --> p.yaml:6:10
      |
    6 |     sql: select ${{ inputs.mont }} from ${{ steps.raw.dat }}
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `data`?
    error[missing-file]: there is no file `trian.py` in the workspace
     --> p.yaml:8:13
      |
    8 |     python: trian.py
      |             ^^^^^^^^
    error[unknown-step]: there is no step `claen`
     --> p.yaml:9:13
      |
    9 |     needs: [claen]
      |             ^^^^^
    hint: did you mean `clean`?
    ");
}

#[test]
fn a_secret_that_is_set_nowhere_is_a_warning() {
    let text = "steps:\n  a: {run: x, env: {A: '${{ secrets.api }}', B: '${{ secrets.apo }}', C: '${{ secrets.Nothere }}'}}\n";
    insta::assert_snapshot!(report(text), @r"
    warning[secret-missing]: the step `a` uses `secrets.apo`, which is not set here
     --> p.yaml:2:49
      |
    2 |   a: {run: x, env: {A: '${{ secrets.api }}', B: '${{ secrets.apo }}', C: '${{ secrets.Nothere }}'}}
      |                                                 ^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `secrets.api`?
    hint: `millrace secrets set apo`, or `export MILLRACE_SECRET_APO=…`
    warning[secret-missing]: the step `a` uses `secrets.Nothere`, which is not set here
     --> p.yaml:2:74
      |
    2 |  env: {A: '${{ secrets.api }}', B: '${{ secrets.apo }}', C: '${{ secrets.Nothere }}'}}
      |                                                             ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: `Nothere` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters
    ");
}

#[test]
fn a_cycle_is_shown_step_by_step() {
    let text = "steps:\n  a: {run: x, needs: c}\n  b: {run: x, needs: a}\n  c: {run: x, needs: b}\n  d: {run: x, needs: d}\n";
    insta::assert_snapshot!(report(text), @r"
    error[cycle]: these steps wait for each other: a → c → b → a
     --> p.yaml:2:3
      |
    2 |   a: {run: x, needs: c}
      |   ^
    hint: take one of the references or `needs` away
    error[needs-itself]: the step `d` needs itself
     --> p.yaml:5:22
      |
    5 |   d: {run: x, needs: d}
      |                      ^
    ");
}

#[test]
fn the_keys_of_items_are_checked_where_they_stand() {
    let text = "steps:\n  a: {run: x, foreach: 3}\n  b: {run: x, parallel: 2}\n  c: {run: x, foreach: [1], matrix: {m: [1]}}\n  d: {run: x, matrix: {m: [1], exclude: [{n: 1}]}, parallel: 0}\n  e: {run: x, foreach: [1], max_failures: many}\n  f: {run: x, retry: {on: [timeout]}}\n  g: {run: x, retry: {errors: [timout], jitter: 2}}\n";
    insta::assert_snapshot!(report(text), @r"
    error[wrong-type]: `foreach` is a list, this is a number
     --> p.yaml:2:24
      |
    2 |   a: {run: x, foreach: 3}
      |                        ^
    hint: write `[a, b]`, or `${{ steps.NAME.OUTPUT }}`
    error[no-items]: `parallel` needs `foreach` or `matrix` beside it
     --> p.yaml:3:15
      |
    3 |   b: {run: x, parallel: 2}
      |               ^^^^^^^^
    error[two-mappings]: the step `c` has both `foreach` and `matrix`
     --> p.yaml:4:37
      |
    4 |   c: {run: x, foreach: [1], matrix: {m: [1]}}
      |                                     ^
    hint: make one of them an axis of the matrix
    error[unknown-axis]: the matrix has no axis `n`
     --> p.yaml:5:43
      |
    5 |   d: {run: x, matrix: {m: [1], exclude: [{n: 1}]}, parallel: 0}
      |                                           ^
    hint: did you mean `m`?
    error[out-of-range]: `parallel` is at least 1
     --> p.yaml:5:62
      |
    5 |  d: {run: x, matrix: {m: [1], exclude: [{n: 1}]}, parallel: 0}
      |                                                             ^
    error[wrong-type]: `max_failures` is a whole number, this is text
     --> p.yaml:6:43
      |
    6 |   e: {run: x, foreach: [1], max_failures: many}
      |                                           ^^^^
    error[unknown-key]: `retry` has no key `on`, which many YAML tools read as true
     --> p.yaml:7:23
      |
    7 |   f: {run: x, retry: {on: [timeout]}}
      |                       ^^
    hint: write `errors: [transient, timeout, exit:137]`
    error[wrong-type]: `jitter` is a number from 0 to 1
     --> p.yaml:8:49
      |
    8 |   g: {run: x, retry: {errors: [timout], jitter: 2}}
      |                                                 ^
    error[unknown-error]: `timout` is not an error to try again after
     --> p.yaml:8:32
      |
    8 |   g: {run: x, retry: {errors: [timout], jitter: 2}}
      |                                ^^^^^^
    hint: did you mean `timeout`?
    ");
}

#[test]
fn items_are_named_only_where_there_are_some() {
    let text = "outputs: {rows: '${{ steps.raws.rows }}', all: '${{ steps.each.items }}'}\nsteps:\n  raw: {copy: {from: '${{ item }}', to: 'data:a'}}\n  each:\n    copy: {from: '${{ matrix.fil }}', to: 'data:a'}\n    matrix: {file: [a, b]}\n    if: item == 'a'\n  after: {run: 'echo ${{ steps.each.rows[0] }} ${{ steps.each.ro }}'}\n";
    insta::assert_snapshot!(report(text), @r"
    error[unknown-step]: there is no step `raws`
     --> p.yaml:1:17
      |
    1 | outputs: {rows: '${{ steps.raws.rows }}', all: '${{ steps.each.items }}'}
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `raw`?
    error[no-items]: `raw` names an item, but is done once
     --> p.yaml:3:22
      |
    3 |   raw: {copy: {from: '${{ item }}', to: 'data:a'}}
      |                      ^^^^^^^^^^^^^
    hint: add `foreach: ${{ LIST }}` or `matrix: {…}` to the step
    error[unknown-axis]: the matrix has no axis `fil`
     --> p.yaml:5:18
      |
    5 |     copy: {from: '${{ matrix.fil }}', to: 'data:a'}
      |                  ^^^^^^^^^^^^^^^^^^^
    hint: did you mean `file`?
    error[no-items]: `if` is asked once for the step, before it has items
     --> p.yaml:7:9
      |
    7 |     if: item == 'a'
      |         ^^^^^^^^^^^
    hint: leave combinations out: `exclude:` in the `matrix`
    error[unknown-output]: the step `each` has no output `ro`
     --> p.yaml:8:16
      |
    8 |   after: {run: 'echo ${{ steps.each.rows[0] }} ${{ steps.each.ro }}'}
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `rows`?
    ");
}

#[test]
fn shared_steps_come_from_included_files() {
    struct Files;
    impl crate::load::Includes for Files {
        fn read(&self, path: &str) -> Result<String, String> {
            match path {
                "shared.yaml" => {
                    Ok("defaults: {retry: 3, timeout: 1h}\nsteps:\n  raw: {run: fetch}\n".to_owned())
                }
                "wrong.yaml" => Ok("inputs: {}\nsteps:\n  bad: {rum: x}\n".to_owned()),
                "loop.yaml" => Ok("include: loop.yaml\n".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }
    }
    let read = |text: &str| crate::load::pipeline_with("p.yaml", text, &["run"], &Files);
    let loaded =
        read("include: shared.yaml\ndefaults: {timeout: 5m}\nsteps:\n  own: {run: x, needs: raw}\n").unwrap();
    let names: Vec<&str> = loaded.pipeline.steps.keys().map(StepId::as_str).collect();
    assert_eq!(names, ["raw", "own"]);
    let raw = &loaded.pipeline.steps[0];
    assert_eq!((raw.retry.max, raw.timeout_ms, raw.place.file.as_str()), (3, Some(300_000), "shared.yaml"));
    let problems =
        read("include: [shared.yaml, wrong.yaml, nowhere.yaml, loop.yaml]\nsteps: {raw: {run: x}}\n")
            .unwrap_err();
    let told: String = problems.iter().map(|problem| frame::render(problem, None, false)).collect();
    insta::assert_snapshot!(told, @r"
    error[include-cycle]: these files include each other: p.yaml → loop.yaml → loop.yaml
     --> loop.yaml:1:10
    error[missing-file]: cannot include `nowhere.yaml`: no such file
     --> p.yaml:1:36
    error[unknown-key]: an included file has no key `inputs`
     --> wrong.yaml:1:1
      = its keys are include, defaults, steps, finally
    error[unknown-kind]: `rum` is neither a kind of step nor a key of one
     --> wrong.yaml:3:9
    hint: did you mean `run`?
    error[repeated-step]: `raw` is a step already; name this one otherwise
     --> p.yaml:2:9
      = it is also in shared.yaml:3
    ");
}
