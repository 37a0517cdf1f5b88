//! Trees prepared for speed: small nodes, breadth first, and sums of 32-bit floats.
//!
//! Every comparison is turned into `x <= threshold` or `x == threshold` when the model is read: `<` becomes `<=` with the next smaller
//! float, `>` and `>=` swap the branches. The order of the sums is base, then trees in the file's order.

use std::collections::{HashMap, VecDeque};

use crate::attributes::Attributes;
use crate::error::OnnxError;

const LEAF: u32 = 1 << 31;
const MISSING_IS_YES: u32 = 1 << 31;
const EQUAL: u32 = 1 << 30;
const FEATURE: u32 = EQUAL - 1;

/// Rows that go through a tree together, so that its nodes are read from memory once.
const BLOCK: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Node {
    threshold: f32,
    /// Number of the feature, and two flags.
    feature: u32,
    /// Index of a node, or of a leaf with the [`LEAF`] flag.
    yes: u32,
    no: u32,
}

/// An ensemble.
#[derive(Debug)]
pub(crate) struct Trees {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    /// Place of every leaf's weights, start and end.
    leaves: Vec<(u32, u32)>,
    /// Output and weight.
    weights: Vec<(u32, f32)>,
    /// Columns that rows must have at least.
    features: usize,
}

/// Outputs and weights of a leaf, by the numbers of its tree and node.
type LeafWeights = HashMap<(i64, i64), Vec<(u32, f32)>>;

/// How an ensemble's trees are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Min,
    Max,
}

/// The nodes as they stand in the file, one entry a node.
struct Listed<'a> {
    trees: &'a [i64],
    ids: &'a [i64],
    features: &'a [i64],
    modes: Vec<String>,
    values: Vec<f32>,
    yes: &'a [i64],
    no: &'a [i64],
    missing: &'a [i64],
}

impl Trees {
    /// Reads `nodes_*` and the weights of leaves, `<prefix>_*`: `class` or `target`.
    pub(crate) fn new(attributes: Attributes<'_>, prefix: &str) -> Result<Self, OnnxError> {
        let listed = Listed::read(attributes)?;
        let index = listed.index()?;
        let weights = read_weights(attributes, prefix)?;
        let mut trees = Self {
            nodes: Vec::new(),
            roots: Vec::new(),
            leaves: Vec::new(),
            weights: Vec::new(),
            features: 0,
        };
        let mut seen = vec![false; listed.ids.len()];
        let mut last = None;
        for (first, tree) in listed.trees.iter().enumerate() {
            if last == Some(*tree) {
                continue;
            }
            if seen.get(first).copied().unwrap_or(true) {
                return Err(OnnxError::run(format!("tree {tree} does not begin with its root")));
            }
            last = Some(*tree);
            let root = trees.add(first, &listed, &index, &weights, &mut seen)?;
            trees.roots.push(root);
        }
        Ok(trees)
    }

    /// Adds the tree whose root is `first`, breadth first; returns its root.
    fn add(
        &mut self,
        first: usize,
        listed: &Listed<'_>,
        index: &HashMap<(i64, i64), usize>,
        weights: &LeafWeights,
        seen: &mut [bool],
    ) -> Result<u32, OnnxError> {
        let mut queue = VecDeque::from([(first, None)]);
        let mut root = 0;
        while let Some((place, parent)) = queue.pop_front() {
            match seen.get_mut(place) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(OnnxError::run("its trees have a node with two parents")),
            }
            let (tree, id) = listed.key(place);
            let reference = match listed.node(place)? {
                None => {
                    let leaf = self.leaves.len() as u32;
                    let start = self.weights.len() as u32;
                    self.weights.extend(weights.get(&(tree, id)).into_iter().flatten());
                    self.leaves.push((start, self.weights.len() as u32));
                    LEAF | leaf
                }
                Some(mut node) => {
                    let number = self.nodes.len();
                    let child = |id: u32, ids: &[i64]| {
                        let key = (tree, ids.get(id as usize).copied().unwrap_or(-1));
                        let found = index.get(&key).copied();
                        found.ok_or_else(|| OnnxError::run(format!("tree {tree} has no node {}", key.1)))
                    };
                    // Until its children are placed, a node holds its own place in the file.
                    let swapped = node.yes == 1;
                    (node.yes, node.no) = (0, 0);
                    let (yes, no) = (child(place as u32, listed.yes)?, child(place as u32, listed.no)?);
                    let (yes, no) = if swapped { (no, yes) } else { (yes, no) };
                    queue.push_back((yes, Some((number, true))));
                    queue.push_back((no, Some((number, false))));
                    self.features = self.features.max((node.feature & FEATURE) as usize + 1);
                    self.nodes.push(node);
                    number as u32
                }
            };
            match parent.and_then(|(number, yes)| self.nodes.get_mut(number).map(|node| (node, yes))) {
                None => root = reference,
                Some((node, true)) => node.yes = reference,
                Some((node, false)) => node.no = reference,
            }
        }
        Ok(root)
    }

    /// Every weight of every leaf: output and number.
    pub(crate) fn weights(&self) -> &[(u32, f32)] {
        &self.weights
    }

    /// Number of trees.
    pub(crate) fn len(&self) -> usize {
        self.roots.len()
    }

    /// Lets every weight count for `output`, for models that score one class only.
    pub(crate) fn redirect(&mut self, output: u32) {
        self.weights.iter_mut().for_each(|(place, _)| *place = output);
    }

    /// Adds the trees' scores for `rows` (row-major, `columns` each) to `scores` (`outputs` each), which holds the base.
    pub(crate) fn score(
        &self,
        rows: &[f32],
        columns: usize,
        scores: &mut [f32],
        outputs: usize,
        aggregate: Aggregate,
    ) -> Result<(), OnnxError> {
        if columns < self.features || outputs == 0 {
            return Err(OnnxError::run(format!("needs {} features, not {columns}", self.features)));
        }
        for (rows, scores) in rows.chunks(BLOCK * columns.max(1)).zip(scores.chunks_mut(BLOCK * outputs)) {
            for root in &self.roots {
                for (row, scores) in rows.chunks_exact(columns.max(1)).zip(scores.chunks_exact_mut(outputs)) {
                    for (output, weight) in self.leaf(*root, row) {
                        let Some(score) = scores.get_mut(*output as usize) else { continue };
                        *score = match aggregate {
                            Aggregate::Sum => *score + weight,
                            Aggregate::Min => score.min(*weight),
                            Aggregate::Max => score.max(*weight),
                        };
                    }
                }
            }
        }
        Ok(())
    }

    /// Weights of the leaf where a row ends. Children come after their parents, so this ends.
    fn leaf(&self, root: u32, row: &[f32]) -> &[(u32, f32)] {
        let mut place = root;
        while place & LEAF == 0 {
            let Some(node) = self.nodes.get(place as usize) else { return &[] };
            let value = row.get((node.feature & FEATURE) as usize).copied().unwrap_or(f32::NAN);
            let yes =
                if node.feature & EQUAL == 0 { value <= node.threshold } else { value == node.threshold };
            let yes = yes || (value.is_nan() && node.feature & MISSING_IS_YES != 0);
            place = if yes { node.yes } else { node.no };
        }
        let (start, end) = self.leaves.get((place & !LEAF) as usize).copied().unwrap_or((0, 0));
        self.weights.get(start as usize..end as usize).unwrap_or(&[])
    }
}

impl<'a> Listed<'a> {
    fn read(attributes: Attributes<'a>) -> Result<Self, OnnxError> {
        let listed = Self {
            trees: attributes.ints("nodes_treeids"),
            ids: attributes.ints("nodes_nodeids"),
            features: attributes.ints("nodes_featureids"),
            modes: attributes.strings("nodes_modes")?,
            values: attributes.floats("nodes_values")?,
            yes: attributes.ints("nodes_truenodeids"),
            no: attributes.ints("nodes_falsenodeids"),
            missing: attributes.ints("nodes_missing_value_tracks_true"),
        };
        let count = listed.trees.len();
        let lengths = [listed.ids.len(), listed.features.len(), listed.modes.len(), listed.values.len()];
        let fits = lengths.iter().chain(&[listed.yes.len(), listed.no.len()]).all(|length| *length == count);
        if count == 0 || count > FEATURE as usize || !fits || ![0, count].contains(&listed.missing.len()) {
            return Err(OnnxError::run("its lists of nodes have different lengths"));
        }
        Ok(listed)
    }

    fn key(&self, place: usize) -> (i64, i64) {
        (self.trees.get(place).copied().unwrap_or(-1), self.ids.get(place).copied().unwrap_or(-1))
    }

    fn index(&self) -> Result<HashMap<(i64, i64), usize>, OnnxError> {
        let mut index = HashMap::with_capacity(self.ids.len());
        for place in 0..self.ids.len() {
            if index.insert(self.key(place), place).is_some() {
                return Err(OnnxError::run("its trees have a node twice"));
            }
        }
        Ok(index)
    }

    /// A node without its children, `None` for a leaf. `yes` is 1 if the branches are to be swapped.
    fn node(&self, place: usize) -> Result<Option<Node>, OnnxError> {
        let mode = self.modes.get(place).map_or("", String::as_str);
        let value = self.values.get(place).copied().unwrap_or(f32::NAN);
        let below = if value == f32::NEG_INFINITY { f32::NAN } else { value.next_down() };
        let (threshold, equal, swapped) = match mode {
            "LEAF" => return Ok(None),
            "BRANCH_LEQ" => (value, 0, false),
            "BRANCH_LT" => (below, 0, false),
            "BRANCH_GT" => (value, 0, true),
            "BRANCH_GTE" => (below, 0, true),
            "BRANCH_EQ" => (value, EQUAL, false),
            "BRANCH_NEQ" => (value, EQUAL, true),
            other => return Err(OnnxError::unsupported(format!("TreeEnsemble with {other}"))),
        };
        let feature = self.features.get(place).and_then(|feature| u32::try_from(*feature).ok());
        let feature = feature.filter(|feature| *feature < FEATURE);
        let feature = feature.ok_or_else(|| OnnxError::run("a node has a feature below 0"))?;
        // NaN fails every comparison but `!=`, so without the flag it goes where the file's own comparison would send it.
        let tracks = self.missing.get(place).is_some_and(|tracks| *tracks != 0) || mode == "BRANCH_NEQ";
        let missing = if tracks != swapped { MISSING_IS_YES } else { 0 };
        Ok(Some(Node { threshold, feature: feature | equal | missing, yes: u32::from(swapped), no: 0 }))
    }
}

fn read_weights(attributes: Attributes<'_>, prefix: &str) -> Result<LeafWeights, OnnxError> {
    let trees = attributes.ints(&format!("{prefix}_treeids"));
    let nodes = attributes.ints(&format!("{prefix}_nodeids"));
    let outputs = attributes.ints(&format!("{prefix}_ids"));
    let values = attributes.floats(&format!("{prefix}_weights"))?;
    if [nodes.len(), outputs.len(), values.len()] != [trees.len(); 3] {
        return Err(OnnxError::run("its lists of weights have different lengths"));
    }
    let mut weights = LeafWeights::new();
    for ((tree, node), (output, value)) in trees.iter().zip(nodes).zip(outputs.iter().zip(values)) {
        let output =
            u32::try_from(*output).map_err(|_| OnnxError::run("a weight is for an output below 0"))?;
        weights.entry((*tree, *node)).or_default().push((output, value));
    }
    Ok(weights)
}
