//! What is learned about the columns before a trainer sees them: levels of texts, and for linear models fills and scales. It is applied
//! to the training rows here and written into the model's graph, so that both see the same numbers.

use std::collections::HashMap;

use millrace_onnx::{ElementType, GraphBuilder, ML_DOMAIN, Tensor};

use crate::columns::{Column, ColumnData, ColumnSpec};

/// What a trainer wants numbers to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are, missing ones NaN.
    Raw,
    /// Missing ones filled with the median, then mean 0 and standard deviation 1.
    Standardised,
}

/// A dense table of 32-bit floats, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// `rows × columns` values.
    pub values: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Values a row.
    pub columns: usize,
}

/// A number column.
#[derive(Debug, Clone, PartialEq)]
struct NumberColumn {
    /// Place among the table's columns.
    place: usize,
    fill: f32,
    offset: f32,
    scale: f32,
}

/// A text column.
#[derive(Debug, Clone, PartialEq)]
struct TextColumn {
    place: usize,
    levels: Vec<String>,
}

/// What was learned. In the matrix the numbers come first, then the levels of the texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    columns: Vec<(ColumnSpec, bool)>,
    numbers: Vec<NumberColumn>,
    texts: Vec<TextColumn>,
    encoding: Encoding,
}

impl Features {
    /// Learns from columns of equal length. Of each text column the `max_levels` commonest values are kept.
    pub fn learn(columns: &[Column], encoding: Encoding, max_levels: usize) -> Self {
        let mut features = Self { columns: Vec::new(), numbers: Vec::new(), texts: Vec::new(), encoding };
        for (place, column) in columns.iter().enumerate() {
            features.columns.push((column.spec.clone(), column.missing));
            match &column.data {
                ColumnData::Numbers(values) => {
                    features.numbers.push(NumberColumn::learn(place, values, encoding))
                }
                ColumnData::Texts(levels, codes) => {
                    let mut counts = vec![0_u64; levels.len()];
                    for code in codes {
                        if let Some(count) = counts.get_mut(*code as usize) {
                            *count += 1;
                        }
                    }
                    let mut by_count: Vec<(&String, u64)> = levels.iter().zip(counts).collect();
                    by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
                    let levels =
                        by_count.into_iter().take(max_levels).map(|(level, _)| level.clone()).collect();
                    features.texts.push(TextColumn { place, levels });
                }
            }
        }
        features
    }

    /// The table's columns, and whether one had missing values.
    pub fn columns(&self) -> &[(ColumnSpec, bool)] {
        &self.columns
    }

    /// Columns of the matrix.
    pub fn width(&self) -> usize {
        self.numbers.len() + self.texts.iter().map(|text| text.levels.len()).sum::<usize>()
    }

    /// For every column of the matrix the place of the table's column that it comes from.
    pub fn sources(&self) -> Vec<usize> {
        let texts = self.texts.iter().flat_map(|text| text.levels.iter().map(|_| text.place));
        self.numbers.iter().map(|number| number.place).chain(texts).collect()
    }

    /// The matrix of the rows `order` of `columns`, which are those that were learned from or others of the same kinds.
    pub fn matrix(&self, columns: &[Column], order: &[usize]) -> Matrix {
        let width = self.width();
        let mut values = vec![0.0_f32; order.len() * width];
        for (at, number) in self.numbers.iter().enumerate() {
            let Some(ColumnData::Numbers(source)) = columns.get(number.place).map(|column| &column.data)
            else {
                continue;
            };
            for (cell, row) in values.iter_mut().skip(at).step_by(width.max(1)).zip(order) {
                *cell = number.encode(source.get(*row).copied().unwrap_or(f32::NAN), self.encoding);
            }
        }
        let mut start = self.numbers.len();
        for text in &self.texts {
            let Some(ColumnData::Texts(levels, codes)) = columns.get(text.place).map(|column| &column.data)
            else {
                continue;
            };
            let kept: HashMap<&str, usize> =
                text.levels.iter().enumerate().map(|(at, level)| (level.as_str(), at)).collect();
            let places: Vec<Option<usize>> =
                levels.iter().map(|level| kept.get(level.as_str()).copied()).collect();
            for (cells, row) in values.chunks_exact_mut(width.max(1)).zip(order) {
                let place = codes.get(*row).and_then(|code| places.get(*code as usize).copied().flatten());
                if let Some(cell) = place.and_then(|place| cells.get_mut(start + place)) {
                    *cell = 1.0;
                }
            }
            start += text.levels.len();
        }
        Matrix { values, rows: order.len(), columns: width }
    }

    /// Writes inputs and preparation into a graph; gives the name of the matrix.
    pub fn export(&self, graph: &mut GraphBuilder) -> String {
        for (spec, _) in &self.columns {
            let element = match spec.kind {
                crate::columns::ColumnKind::Number => ElementType::Float,
                crate::columns::ColumnKind::Text => ElementType::String,
            };
            graph.input_column(&spec.name, element);
        }
        let mut parts = Vec::new();
        if !self.numbers.is_empty() {
            parts.push(self.export_numbers(graph));
        }
        for (at, text) in self.texts.iter().enumerate() {
            let (hot, shape, part) =
                (format!("/text/{at}/hot"), format!("/text/{at}/shape"), format!("/text/{at}"));
            let width = text.levels.len() as i64;
            let attributes = [("cats_strings", text.levels.clone().into()), ("zeros", 1_i64.into())];
            graph
                .node("OneHotEncoder", ML_DOMAIN, &[self.name(text.place)], &[&hot], attributes)
                .initializer(&shape, &Tensor::vector(vec![-1_i64, width]))
                .node("Reshape", "", &[&hot, &shape], &[&part], []);
            parts.push(part);
        }
        join(graph, parts, "/features")
    }

    fn export_numbers(&self, graph: &mut GraphBuilder) -> String {
        let names = self.numbers.iter().map(|number| self.name(number.place).to_owned()).collect();
        let numbers = join(graph, names, "/numbers");
        if self.encoding == Encoding::Raw {
            return numbers;
        }
        let list = |of: fn(&NumberColumn) -> f32| self.numbers.iter().map(of).collect::<Vec<f32>>();
        let fills =
            [("imputed_value_floats", list(|n| n.fill).into()), ("replaced_value_float", f32::NAN.into())];
        let scales = [("offset", list(|n| n.offset).into()), ("scale", list(|n| n.scale).into())];
        graph.node("Imputer", ML_DOMAIN, &[&numbers], &["/filled"], fills).node(
            "Scaler",
            ML_DOMAIN,
            &["/filled"],
            &["/scaled"],
            scales,
        );
        "/scaled".to_owned()
    }

    fn name(&self, place: usize) -> &str {
        self.columns.get(place).map_or("", |(spec, _)| spec.name.as_str())
    }
}

/// Puts columns beside one another.
fn join(graph: &mut GraphBuilder, parts: Vec<String>, name: &str) -> String {
    if let [only] = parts.as_slice() {
        return only.clone();
    }
    let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
    graph.node("Concat", "", &inputs, &[name], [("axis", 1_i64.into())]);
    name.to_owned()
}

impl NumberColumn {
    fn learn(place: usize, values: &[f32], encoding: Encoding) -> Self {
        let plain = Self { place, fill: 0.0, offset: 0.0, scale: 1.0 };
        if encoding == Encoding::Raw {
            return plain;
        }
        let mut present: Vec<f32> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        present.sort_unstable_by(f32::total_cmp);
        let middle = |place: usize| present.get(place).copied().map_or(0.0, f64::from);
        let half = present.len() / 2;
        let median = if present.len() % 2 == 1 {
            middle(half)
        } else {
            0.5 * (middle(half.saturating_sub(1)) + middle(half))
        };
        let missing = (values.len() - present.len()) as f64;
        let count = (values.len() as f64).max(1.0);
        // Sums over the sorted values, so that the order of the rows does not matter.
        let mean = (present.iter().map(|value| f64::from(*value)).sum::<f64>() + missing * median) / count;
        let squares = present.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
        let deviation = ((squares + missing * (median - mean).powi(2)) / count).sqrt();
        let scale = if deviation > 1e-12 * mean.abs().max(1e-20) { 1.0 / deviation } else { 1.0 };
        Self { place, fill: median as f32, offset: mean as f32, scale: scale as f32 }
    }

    fn encode(&self, value: f32, encoding: Encoding) -> f32 {
        match encoding {
            Encoding::Raw => value,
            Encoding::Standardised => {
                (if value.is_nan() { self.fill } else { value } - self.offset) * self.scale
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexSet;

    use super::*;
    use crate::columns::ColumnKind;

    fn texts(values: &[&str]) -> Column {
        let mut levels = IndexSet::new();
        let codes = values.iter().map(|value| levels.insert_full((*value).to_owned()).0 as u32).collect();
        let spec = ColumnSpec { name: "t".into(), kind: ColumnKind::Text };
        Column { spec, data: ColumnData::Texts(levels, codes), missing: false }
    }

    fn numbers(values: &[f32]) -> Column {
        let spec = ColumnSpec { name: "x".into(), kind: ColumnKind::Number };
        Column { spec, data: ColumnData::Numbers(values.to_vec()), missing: true }
    }

    #[test]
    fn the_commonest_levels_have_columns_and_the_others_none() {
        let columns = [texts(&["b", "a", "c", "c", "b", "c"]), numbers(&[1.0, f32::NAN, 3.0, 4.0, 5.0, 6.0])];
        let features = Features::learn(&columns, Encoding::Raw, 2);
        let matrix = features.matrix(&columns, &[1, 2, 0]);
        assert_eq!((matrix.rows, matrix.columns), (3, 3));
        assert!(matrix.values[0].is_nan());
        assert_eq!(
            matrix.values[1..],
            [0.0, 0.0, 3.0, 1.0, 0.0, 1.0, 0.0, 1.0],
            "c, then b, and a is all zeros"
        );
        assert_eq!(features.sources(), [1, 0, 0]);
    }

    #[test]
    fn linear_models_see_medians_and_standard_scores() {
        // numpy: median([1, 3, 4, 8]) = 3.5, then mean and std of [1, 3.5, 3, 4, 8] = 3.9, 2.2891046
        let columns = [numbers(&[1.0, f32::NAN, 3.0, 4.0, 8.0])];
        let features = Features::learn(&columns, Encoding::Standardised, 2);
        let number = &features.numbers[0];
        assert_eq!((number.fill, number.offset), (3.5, 3.9));
        assert!((number.scale - 1.0 / 2.289_104_6).abs() < 1e-6);
        let matrix = features.matrix(&columns, &[1]);
        assert!((matrix.values[0] - (3.5 - 3.9) / 2.289_104_6).abs() < 1e-6);
    }
}
