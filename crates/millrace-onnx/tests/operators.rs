//! What the exports do not reach: every comparison of trees, missing values, and refusals.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use millrace_onnx::{AttributeValue, ElementType, GraphBuilder, ML_DOMAIN, OnnxError, Session, Tensor};

fn strings(values: &[&str]) -> AttributeValue {
    values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>().into()
}

/// One split of `x` at 1: 10 if the comparison holds, else 20, and 0.5 as base.
fn stump(mode: &str, missing: i64, yes: i64) -> GraphBuilder {
    let mut graph = GraphBuilder::new("stump");
    graph.input_column("x", ElementType::Float).output("y", ElementType::Float, &[None, Some(1)]).node(
        "TreeEnsembleRegressor",
        ML_DOMAIN,
        &["x"],
        &["y"],
        [
            ("nodes_treeids", vec![0_i64, 0, 0].into()),
            ("nodes_nodeids", vec![0_i64, 1, 2].into()),
            ("nodes_featureids", vec![0_i64, 0, 0].into()),
            ("nodes_modes", strings(&[mode, "LEAF", "LEAF"])),
            ("nodes_values", vec![1.0_f32, 0.0, 0.0].into()),
            ("nodes_truenodeids", vec![yes, 0, 0].into()),
            ("nodes_falsenodeids", vec![2_i64, 0, 0].into()),
            ("nodes_missing_value_tracks_true", vec![missing, 0, 0].into()),
            ("target_treeids", vec![0_i64, 0].into()),
            ("target_nodeids", vec![1_i64, 2].into()),
            ("target_ids", vec![0_i64, 0].into()),
            ("target_weights", vec![10.0_f32, 20.0].into()),
            ("base_values", vec![0.5_f32].into()),
        ],
    );
    graph
}

fn score(graph: &GraphBuilder, x: Vec<f32>) -> Tensor {
    let outputs = Session::load(&graph.encode()).unwrap().run(&[("x".into(), Tensor::column(x))]).unwrap();
    outputs.into_iter().next().unwrap().1
}

#[test]
fn trees_compare_as_they_say() {
    const Y: f32 = 10.5;
    const N: f32 = 20.5;
    let cases = [
        ("BRANCH_LEQ", [Y, Y, N]),
        ("BRANCH_LT", [Y, N, N]),
        ("BRANCH_GT", [N, N, Y]),
        ("BRANCH_GTE", [N, Y, Y]),
        ("BRANCH_EQ", [N, Y, N]),
        ("BRANCH_NEQ", [Y, N, Y]),
    ];
    for (mode, [below, at, above]) in cases {
        for missing in [0, 1] {
            let nan = if missing == 1 || mode == "BRANCH_NEQ" { Y } else { N };
            let got = score(&stump(mode, missing, 1), vec![0.999_999_94, 1.0, 1.000_000_1, f32::NAN]);
            assert_eq!(got, Tensor::column(vec![below, at, above, nan]), "{mode}, missing {missing}");
        }
    }
}

#[test]
fn trees_that_go_round_are_refused() {
    let error = Session::load(&stump("BRANCH_LEQ", 0, 0).encode()).unwrap_err();
    assert!(matches!(error, OnnxError::Malformed { .. }), "{error}");
}

#[test]
fn one_scored_class_gives_both_probabilities() {
    let mut graph = GraphBuilder::new("logistic");
    let attributes = [
        ("coefficients", AttributeValue::Floats(vec![2.0])),
        ("intercepts", vec![-2.0_f32].into()),
        ("classlabels_strings", strings(&["no", "yes"])),
        ("post_transform", "LOGISTIC".into()),
    ];
    graph
        .input_column("x", ElementType::Float)
        .node("LinearClassifier", ML_DOMAIN, &["x"], &["label", "scores"], attributes)
        .output("label", ElementType::String, &[None])
        .output("scores", ElementType::Float, &[None, Some(2)]);
    let session = Session::load(&graph.encode()).unwrap();
    let outputs = session.run(&[("x".into(), Tensor::column(vec![1.0_f32, 2.0, -200.0]))]).unwrap();
    assert_eq!(outputs[0].1, Tensor::vector(["no", "yes", "no"].map(str::to_owned).to_vec()));
    let scores = outputs[1].1.to_f32().unwrap().into_owned();
    let expected = [0.5, 0.5, 0.119_202_92, 0.880_797_1, 1.0, 0.0];
    assert!(scores.iter().zip(expected).all(|(got, wanted)| (got - wanted).abs() < 1e-6), "{scores:?}");
    assert_eq!(session.class_labels(), ["no", "yes"]);
}

#[test]
fn unknown_operators_and_wrong_inputs_are_named() {
    let mut graph = GraphBuilder::new("g");
    graph.input_column("x", ElementType::Float).output("y", ElementType::Float, &[]);
    graph.node("Convolve", "", &["x"], &["y"], []);
    let error = Session::load(&graph.encode()).unwrap_err();
    assert_eq!(error.to_string(), "the operator `Convolve` is not supported");

    let session = Session::load(&stump("BRANCH_LEQ", 0, 1).encode()).unwrap();
    let error = session.run(&[("x".into(), Tensor::column(vec![1_i64]))]).unwrap_err();
    assert_eq!(error.to_string(), "the input `x` wants float of shape [N, 1], not int64 of shape [1, 1]");
    assert_eq!(session.run(&[]).unwrap_err().to_string(), "the input `x` is missing");
}

#[test]
fn what_is_missing_or_unknown_is_encoded() {
    let mut graph = GraphBuilder::new("encode");
    graph
        .input_column("x", ElementType::String)
        .input_column("n", ElementType::Float)
        .node("OneHotEncoder", ML_DOMAIN, &["x"], &["hot3"], [("cats_strings", strings(&["a", "b"]))])
        .node("Flatten", "", &["hot3"], &["hot"], [])
        .node(
            "Imputer",
            ML_DOMAIN,
            &["n"],
            &["full"],
            [("imputed_value_floats", vec![7.0_f32].into()), ("replaced_value_float", f32::NAN.into())],
        )
        .node("Concat", "", &["hot", "full"], &["y"], [("axis", 1_i64.into())])
        .output("y", ElementType::Float, &[None, Some(3)]);
    let inputs = [
        ("x".into(), Tensor::column(["b", "?"].map(str::to_owned).to_vec())),
        ("n".into(), Tensor::column(vec![f32::NAN, 2.0])),
    ];
    let outputs = Session::load(&graph.encode()).unwrap().run(&inputs).unwrap();
    assert_eq!(outputs[0].1, Tensor::new(vec![2, 3], vec![0.0_f32, 1.0, 7.0, 0.0, 0.0, 2.0]).unwrap());
}
