//! Aggregates that the engine lacks: skewness, kurtosis and the commonest value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, create_udaf,
};
use datafusion::scalar::ScalarValue;

/// `skewness(x)`: m₃ / m₂^1.5, the moments about the mean of all rows. Null for no rows, NaN for rows that are all equal.
pub(super) fn skewness() -> AggregateUDF {
    of_moments("skewness", |moments| {
        let [_, _, m2, m3, _] = moments.0;
        let count = moments.0[0];
        count.sqrt() * m3 / m2.powf(1.5)
    })
}

/// `kurtosis(x)`: m₄ / m₂² − 3, the moments about the mean of all rows. Null for no rows, NaN for rows that are all equal.
pub(super) fn kurtosis() -> AggregateUDF {
    of_moments("kurtosis", |moments| {
        let [count, _, m2, _, m4] = moments.0;
        count * m4 / (m2 * m2) - 3.0
    })
}

fn of_moments(name: &str, value: fn(&Moments) -> f64) -> AggregateUDF {
    let make = move |_: AccumulatorArgs<'_>| -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OfMoments { moments: Moments::default(), value }))
    };
    create_udaf(
        name,
        vec![DataType::Float64],
        Arc::new(DataType::Float64),
        Volatility::Immutable,
        Arc::new(make),
        Arc::new(vec![DataType::Float64; 5]),
    )
}

/// Count, mean, and the sums of the second to fourth powers of the distance from it.
#[derive(Debug, Clone, Copy, Default)]
struct Moments([f64; 5]);

impl Moments {
    fn one(value: f64) -> Self {
        Self([1.0, value, 0.0, 0.0, 0.0])
    }

    /// The moments of both together (Pébay, *Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
    /// Moments*, 2008, equations 1.5 and 2.1).
    fn with(self, other: Self) -> Self {
        let ([na, a1, a2, a3, a4], [nb, b1, b2, b3, b4]) = (self.0, other.0);
        if na == 0.0 {
            return other;
        }
        if nb == 0.0 {
            return self;
        }
        let n = na + nb;
        let delta = b1 - a1;
        let part = delta / n;
        let mean = a1 + nb * part;
        let m2 = a2 + b2 + na * nb * delta * part;
        let m3 = a3 + b3 + na * nb * (na - nb) * delta * part * part + 3.0 * part * (na * b2 - nb * a2);
        let m4 = a4
            + b4
            + na * nb * (na * na - na * nb + nb * nb) * delta * part * part * part
            + 6.0 * part * part * (na * na * b2 + nb * nb * a2)
            + 4.0 * part * (na * b3 - nb * a3);
        Self([n, mean, m2, m3, m4])
    }
}

#[derive(Debug)]
struct OfMoments {
    moments: Moments,
    value: fn(&Moments) -> f64,
}

impl Accumulator for OfMoments {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values.iter().flat_map(|column| column.as_primitive::<Float64Type>().iter().flatten()) {
            self.moments = self.moments.with(Moments::one(value));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = states.iter().map(|state| state.as_primitive::<Float64Type>()).collect();
        for row in 0..states.first().map_or(0, |state| state.len()) {
            let mut other = Moments::default();
            for (slot, column) in other.0.iter_mut().zip(&columns) {
                *slot = column.value(row);
            }
            self.moments = self.moments.with(other);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.moments.0.iter().map(|moment| ScalarValue::Float64(Some(*moment))).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let any = self.moments.0[0] > 0.0;
        Ok(ScalarValue::Float64(any.then(|| (self.value)(&self.moments))))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// `mode(x)`: the commonest value, the smallest of several; nulls do not count.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    signature: Signature,
}

impl Mode {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Plan("`mode` takes an argument".to_owned()))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counts { counts: HashMap::new(), data_type: args.return_field.data_type().clone() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let value = args.return_field.data_type().clone();
        let list = |name: &str, item: DataType| {
            let item = Field::new_list_field(item, true);
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::List(Arc::new(item)), true))
        };
        Ok(vec![list("values", value), list("counts", DataType::UInt64)])
    }
}

#[derive(Debug)]
struct Counts {
    counts: HashMap<ScalarValue, u64>,
    data_type: DataType,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, counts: impl Fn(usize) -> u64) -> Result<()> {
        for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
            let value = ScalarValue::try_from_array(values, row)?;
            *self.counts.entry(value).or_default() += counts(row);
        }
        Ok(())
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(values) => self.add(values, |_| 1),
            None => Ok(()),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return Err(DataFusionError::Internal("the state of `mode` has two columns".to_owned()));
        };
        let (values, counts) = (values.as_list::<i32>(), counts.as_list::<i32>());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let of = counts.value(row);
            let of = of.as_primitive::<UInt64Type>();
            self.add(&values.value(row), |at| of.value(at))?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<u64>) =
            self.counts.iter().map(|(value, count)| (value.clone(), *count)).unzip();
        let values = ScalarValue::new_list_nullable(&values, &self.data_type);
        let counts: ArrayRef = Arc::new(arrow::array::UInt64Array::from(counts));
        Ok(vec![ScalarValue::List(values), SingleRowListArrayBuilder::new(counts).build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let commonest = self.counts.iter().max_by(|(a, m), (b, n)| {
            // Of equally common values the smaller one counts as the larger here.
            m.cmp(n).then_with(|| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal))
        });
        match commonest {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.keys().map(|value| value.size() + 8).sum::<usize>()
    }
}
