use std::ops::ControlFlow;

use serde_json::json;

use super::*;

fn two_columns() -> Matrix {
    let x: Vec<[f64; 2]> =
        (0..200_u32).map(|k| [f64::from((k * 37) % 101) / 101.0, f64::from((k * 53) % 97) / 97.0]).collect();
    let mut columns = [0, 1].map(|c| x.iter().map(|row| row[c]).collect::<Vec<f64>>());
    for column in &mut columns {
        let mean = column.iter().sum::<f64>() / 200.0;
        let deviation = (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 200.0).sqrt();
        column.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
    }
    let values = (0..200).flat_map(|k| [columns[0][k] as f32, columns[1][k] as f32]).collect();
    Matrix { values, rows: 200, columns: 2 }
}

fn raw(k: u32) -> (f64, f64) {
    (f64::from((k * 37) % 101) / 101.0, f64::from((k * 53) % 97) / 97.0)
}

fn fit(trainer: &Value, classes: usize, target: impl Fn(u32) -> f64) -> Fit {
    let targets = (0..200).map(|k| target(k) as f32).collect();
    let lesson =
        Lesson { classes, training: Examples { matrix: two_columns(), targets }, validation: None, seed: 0 };
    read(trainer).unwrap().1.fit(lesson, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// The exported weights, by way of a graph.
fn weights(fit: &Fit, classes: &[&str]) -> (Vec<f32>, Vec<f32>) {
    let mut graph = GraphBuilder::new("g");
    let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
    let outputs =
        if classes.is_empty() { vec!["y".to_owned()] } else { vec!["l".to_owned(), "p".to_owned()] };
    fit.predictor.export(&mut graph, "x", &outputs, &classes);
    let node = graph.build().graph.unwrap().node.remove(0);
    let find = |name: &str| node.attribute.iter().find(|a| a.name == name).unwrap().floats.clone();
    (find("coefficients"), find("intercepts"))
}

fn close(a: &[f32], b: &[f64], within: f64) {
    assert!(
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (f64::from(*a) - b).abs() < within),
        "{a:?} {b:?}"
    );
}

/// scikit-learn 1.9: `LogisticRegression(C=1.0, tol=1e-10)` on the same standardised rows.
#[test]
fn logistic_regression_has_the_weights_of_scikit_learn() {
    let learned = fit(&json!("logistic_regression"), 2, |k| {
        let (a, b) = raw(k);
        f64::from(u8::from(a * 2.0 - b + (f64::from((k * 29) % 83) / 83.0 - 0.5) > 0.5))
    });
    let (coefficients, intercepts) = weights(&learned, &["0", "1"]);
    close(&coefficients[2..], &[3.093_102_15, -1.586_587_6], 1e-3);
    close(&intercepts[1..], &[-0.218_477_25], 1e-3);
    let learned = fit(&json!("logistic_regression"), 3, |k| (raw(k).0 * 3.0).floor().min(2.0));
    let (coefficients, intercepts) = weights(&learned, &["0", "1", "2"]);
    close(
        &coefficients,
        &[-4.449_979_44, -0.058_616_216, -0.004_903_39, 0.057_861_112, 4.454_882_84, 0.000_755_1],
        5e-3,
    );
    close(&intercepts, &[-0.796_348_77, 1.708_111_32, -0.911_762_55], 5e-3);
}

/// scikit-learn 1.9: `Ridge(alpha=1.0)`.
#[test]
fn linear_regression_has_the_weights_of_scikit_learn() {
    let plane = |k| {
        let (a, b) = raw(k);
        3.0 * a - 2.0 * b + 0.5
    };
    let (coefficients, intercepts) = weights(&fit(&json!("linear_regression"), 0, plane), &[]);
    close(&coefficients, &[0.863_966_02, -0.575_555_22], 1e-6);
    close(&intercepts, &[1.004_526_385_6], 1e-6);
    let exact = fit(&json!({"linear_regression": {"l2": 0}}), 0, plane);
    assert!(exact.training.iter().zip(0..).all(|(y, k)| (f64::from(*y) - plane(k)).abs() < 1e-5));
}

#[test]
fn columns_that_repeat_each_other_share_their_weight() {
    let mut matrix = two_columns();
    matrix.values = matrix.values.chunks(2).flat_map(|row| [row[0], row[0]]).collect();
    let targets = matrix.values.chunks(2).map(|row| 4.0 * row[0]).collect();
    let lesson = Lesson { classes: 0, training: Examples { matrix, targets }, validation: None, seed: 0 };
    let trainer = read(&json!({"linear_regression": {"l2": 0}})).unwrap().1;
    let learned = trainer.fit(lesson, &mut |_| ControlFlow::Continue(())).unwrap();
    close(&weights(&learned, &[]).0, &[2.0, 2.0], 1e-3);
}

#[test]
fn boosting_stops_early_and_when_it_is_told_to() {
    let target = |k: u32| f64::from(u8::from(raw(k).0 > 0.5));
    let targets: Vec<f32> = (0..200).map(|k| target(k) as f32).collect();
    // The validation rows contradict, so the first round is the best.
    let wrong = targets.iter().map(|y| 1.0 - y).collect();
    let lesson = || Lesson {
        classes: 2,
        training: Examples { matrix: two_columns(), targets: targets.clone() },
        validation: Some(Examples { matrix: two_columns(), targets: Vec::clone(&wrong) }),
        seed: 0,
    };
    let trainer = read(&json!({"gradient_boosting": {"trees": 50, "early_stopping": 3}})).unwrap().1;
    let mut rounds = Vec::new();
    let learned = trainer
        .fit(lesson(), &mut |round| {
            rounds.push(round);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((rounds.len(), learned.facts.clone()), (4, vec![("rounds", 1.0)]));
    assert!(rounds[3].training < rounds[0].training && rounds[3].validation > rounds[0].validation);
    let mut count = 0;
    let trainer = read(&json!({"gradient_boosting": {"trees": 50}})).unwrap().1;
    let watch: Watch<'_> = &mut |_| {
        count += 1;
        ControlFlow::Break(())
    };
    trainer.fit(lesson(), watch).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn pages_are_complete_and_their_examples_are_right() {
    for doc in docs() {
        assert!(doc.summary.ends_with('.') && doc.example.starts_with(doc.name), "{}", doc.name);
        let tree = millrace_spec::yaml::parse("example", doc.example).unwrap().to_json();
        assert_eq!(check(&tree), [], "{}", doc.name);
        read(&tree).unwrap();
    }
}

#[test]
fn a_misspelt_trainer_or_parameter_is_explained() {
    let told = |value: Value| {
        let problem = check(&value).remove(0);
        format!("{}: {} ({})", problem.code, problem.message, problem.hints.join("; "))
    };
    insta::assert_snapshot!(told(json!("gradient_bosting")), @"unknown-trainer: there is no trainer `gradient_bosting` (did you mean `gradient_boosting`?)");
    insta::assert_snapshot!(told(json!({"gradient_boosting": {"tree": 5}})), @"unknown-key: `gradient_boosting`: there is no key `tree` (did you mean `trees`?)");
    insta::assert_snapshot!(told(json!({"gradient_boosting": {"subsample": 1.5}})), @"out-of-range: `gradient_boosting.subsample`: `1.5` is out of range: at most 1 ()");
    insta::assert_snapshot!(told(json!([1])), @"trainer: `trainer` is neither a name nor one name with its parameters (trainer: gradient_boosting; trainer: {gradient_boosting: {trees: 100}})");
    assert_eq!(check(&json!({"gradient_boosting": {"trees": "${{ inputs.trees }}"}})), []);
}
