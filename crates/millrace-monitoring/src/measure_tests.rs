//! Numbers computed by hand, or by SciPy where the comment says so.

use proptest::prelude::*;

use crate::measure::*;

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn distances_between_histograms() {
    close(jensen_shannon(&[10, 10], &[10, 10]).unwrap(), 0.0);
    close(jensen_shannon(&[5, 0], &[0, 5]).unwrap(), 1.0);
    // r = (½, ½), c = (1, 0): ½·(½·log2(2/3) + ½·log2 2) + ½·log2(4/3) = 0.311278…
    close(jensen_shannon(&[1, 1], &[2, 0]).unwrap(), 0.311_278_124_459_132_8_f64.sqrt());
    // (0.25 − 0.5)·ln ½ + (0.75 − 0.5)·ln 1.5
    close(psi(&[50, 50], &[25, 75]).unwrap(), 0.25 * 3.0_f64.ln());
    close(hellinger(&[1, 1], &[2, 0]).unwrap(), (1.0 - 0.5_f64.sqrt()).sqrt());
    assert_eq!(psi(&[1], &[1, 2]), Err(DriftError::BinMismatch { reference: 1, current: 2 }));
    assert_eq!(jensen_shannon(&[0, 0], &[1, 2]), Err(DriftError::Empty));
}

#[test]
fn distances_between_values() {
    // W1 of {0, 1, 3} and {5, 6, 8} is 5, the classic of SciPy's manual; the reference's deviation is √(14/9).
    close(wasserstein(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]).unwrap(), 5.0 / (14.0_f64 / 9.0).sqrt());
    let test = kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
    close(test.statistic, 1.0);
    close(test.p_value, 0.1);
}

#[test]
fn chi_square_takes_both_sides_as_samples() {
    // The table ((30, 10), (20, 20)): 80·(30·20 − 10·20)²/(40·40·50·30) = 16/3.
    let result = chi_square(&[30, 10], &[20, 20]).unwrap();
    close(result.test.statistic, 16.0 / 3.0);
    close(result.cramers_v, (16.0_f64 / 240.0).sqrt());
    assert!((result.test.p_value - 0.020_921_335_337_794).abs() < 1e-9, "{}", result.test.p_value);
}

#[test]
fn rare_levels_are_pooled() {
    let result = chi_square(&[100, 1, 1, 1], &[100, 1, 1, 2]).unwrap();
    assert_eq!(result.freedom, 1);
}

#[test]
fn many_tests_are_adjusted() {
    let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
    for (found, expected) in adjusted.into_iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
        close(found, expected);
    }
}

proptest! {
    #[test]
    fn measures_stay_in_their_range(pairs in prop::collection::vec((0_u64..1000, 0_u64..1000), 1..30)) {
        let (r, c): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        if let Ok(js) = jensen_shannon(&r, &c) {
            prop_assert!((0.0..=1.0).contains(&js));
            prop_assert!((js - jensen_shannon(&c, &r).unwrap()).abs() < 1e-9);
            prop_assert!(psi(&r, &c).unwrap() >= 0.0);
            prop_assert!((0.0..=1.0).contains(&hellinger(&r, &c).unwrap()));
            let test = chi_square(&r, &c).unwrap();
            prop_assert!((0.0..=1.0).contains(&test.test.p_value));
        }
    }

    #[test]
    fn a_shift_moves_wasserstein_by_itself(mut values in prop::collection::vec(-1e3_f64..1e3, 2..50), shift in 0.0_f64..100.0) {
        values.sort_by(f64::total_cmp);
        let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt().max(0.001);
        prop_assert!((wasserstein(&values, &moved).unwrap() * deviation - shift).abs() < 1e-6);
    }
}
