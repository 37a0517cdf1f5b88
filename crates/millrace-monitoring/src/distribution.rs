//! Tail probabilities of the chi-square and Kolmogorov distributions.

/// P(X ≥ `statistic`) for a chi-square variable with `freedom` degrees of freedom.
///
/// 1 for a statistic of 0 or less, and without degrees of freedom.
pub fn chi_square_tail(statistic: f64, freedom: f64) -> f64 {
    if statistic <= 0.0 || freedom <= 0.0 || statistic.is_nan() {
        return 1.0;
    }
    upper_gamma(freedom / 2.0, statistic / 2.0)
}

/// The two-sided p-value of a Kolmogorov-Smirnov distance `d` between samples of `n` and `m` rows.
///
/// Exact while `n · m` is at most 1,000,000 and nothing overflows, else Kolmogorov's limit at √(nm/(n+m)) · d. Ties make it conservative.
pub fn kolmogorov_smirnov_tail(d: f64, n: usize, m: usize) -> f64 {
    if n == 0 || m == 0 || d <= 0.0 || d.is_nan() {
        return 1.0;
    }
    if n.saturating_mul(m) <= 1_000_000 {
        return exact_tail(d, n, m);
    }
    let (n, m) = (n as f64, m as f64);
    limit_tail((n * m / (n + m)).sqrt() * d)
}

/// Kolmogorov's limit distribution: 2 Σ (−1)^(k−1) exp(−2 k² x²).
fn limit_tail(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut sign = 1.0;
    for k in 1..=100_u32 {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += sign * term;
        if term < 1e-17 {
            break;
        }
        sign = -sign;
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Share of the lattice paths from (0,0) to (n,m) that leave the band |i/n − j/m| < d.
///
/// Each cell holds the probability that a random path through it has left the band before; a path reaches (i,j) from (i−1,j) with
/// probability i/(i+j), so nothing grows beyond 1.
fn exact_tail(d: f64, n: usize, m: usize) -> f64 {
    let outside = |i: usize, j: usize| (i as f64 / n as f64 - j as f64 / m as f64).abs() >= d - 1e-12;
    let mut row: Vec<f64> = Vec::with_capacity(m + 1);
    let mut left = 0.0;
    for j in 0..=m {
        left = if outside(0, j) { 1.0 } else { left };
        row.push(left);
    }
    for i in 1..=n {
        let mut before = 0.0;
        for (j, cell) in row.iter_mut().enumerate() {
            let share = i as f64 / (i + j) as f64;
            let left = share * *cell + (1.0 - share) * before;
            *cell = if outside(i, j) { 1.0 } else { left };
            before = *cell;
        }
    }
    row.last().copied().unwrap_or(1.0).clamp(0.0, 1.0)
}

/// Q(a, x), the regularised upper incomplete gamma function: a series below a + 1, Lentz's continued fraction above
/// (*Numerical Recipes*, 6.2).
fn upper_gamma(a: f64, x: f64) -> f64 {
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        let mut step = a;
        for _ in 0..10_000 {
            step += 1.0;
            term *= x / step;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (1.0 - sum * scale).clamp(0.0, 1.0);
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut h = d;
    for k in 1..10_000_u32 {
        let k = f64::from(k);
        let an = -k * (k - a);
        b += 2.0;
        d = an * d + b;
        d = if d.abs() < tiny { tiny } else { d };
        c = b + an / c;
        c = if c.abs() < tiny { tiny } else { c };
        d = 1.0 / d;
        let change = d * c;
        h *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (scale * h).clamp(0.0, 1.0)
}

/// ln Γ(x) for x > 0 (Lanczos, g = 7, n = 9).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (k, term) in TERMS.iter().enumerate() {
        sum += term / (x + k as f64 + 1.0);
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} is not {expected}");
    }

    #[test]
    fn chi_square_has_its_closed_forms() {
        // With 2 degrees of freedom the tail is exp(−x/2), with 4 it is exp(−x/2)(1 + x/2).
        for x in [0.5, 2.0, 5.991_464_547, 30.0] {
            close(chi_square_tail(x, 2.0), (-x / 2.0_f64).exp());
            close(chi_square_tail(x, 4.0), (-x / 2.0_f64).exp() * (1.0 + x / 2.0));
        }
        close(chi_square_tail(3.841_458_820_694_124, 1.0), 0.05);
        close(chi_square_tail(0.0, 3.0), 1.0);
    }

    #[test]
    fn tails_agree_with_scipy() {
        // scipy.stats.chi2.sf and ks_2samp(method="exact"), SciPy 1.
        close(chi_square_tail(25.0, 10.0), 0.005_345_505_487_134_069);
        close(chi_square_tail(3.0, 7.0), 0.885_002_231_643_150_6);
        close(chi_square_tail(120.0, 104.0), 0.135_055_758_067_01);
        close(kolmogorov_smirnov_tail(0.4, 7, 5), 0.638_888_888_888_888_8);
    }

    #[test]
    fn small_kolmogorov_smirnov_is_counted() {
        // All of 2 below all of 2: 2 of the 6 orders. All of 3 below all of 3: 2 of 20.
        close(kolmogorov_smirnov_tail(1.0, 2, 2), 2.0 / 6.0);
        close(kolmogorov_smirnov_tail(1.0, 3, 3), 2.0 / 20.0);
        close(kolmogorov_smirnov_tail(0.5, 2, 2), 1.0);
    }

    #[test]
    fn the_limit_meets_its_table() {
        // Smirnov's table: 1.3581 at 5 %, 1.6276 at 1 %.
        assert!((limit_tail(1.358_1) - 0.05).abs() < 1e-5);
        assert!((limit_tail(1.627_6) - 0.01).abs() < 1e-5);
    }
}
