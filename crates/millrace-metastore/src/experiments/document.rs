//! The latest values of a run in one document: metrics, parameters and tags.
//!
//! A search of a million runs reads a million of these, and a page of a hundred runs a hundred, so a run is one row and not fifty. Names are
//! numbers of the [key dictionary](super::keys). Layout, version 1: the version, then metrics, parameters and tags, each a count and entries
//! by ascending key, keys as differences. A metric is `key step time kind number [statistics]`, step and time as differences from the
//! metric before; metrics that were logged together take 12 bytes each.

use super::packing::{Packer, Unpacker, Unreadable};

const VERSION: u8 = 1;
/// The metric has one point.
const ONE_POINT: u64 = 0;
/// The metric has statistics over its points.
const MANY_POINTS: u64 = 1;

/// A point of a metric. A point that repeats another one in everything is the same point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) step: i64,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    /// Finite, or [`f64::NAN`].
    pub(super) number: f64,
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.in_history() == other.in_history()
    }
}

impl Point {
    /// A point as it is stored: infinities are the largest finite numbers, "not a number" is always the same one.
    pub(super) fn new(step: i64, time: i64, number: f64) -> Self {
        let number = if number.is_nan() { f64::NAN } else { number.clamp(f64::MIN, f64::MAX) };
        Self { step, time, number }
    }

    /// "Not a number" counts as 0.
    fn finite(&self) -> f64 {
        // Zero has one sign, or equal points would differ.
        if self.number.is_nan() { 0.0 } else { self.number + 0.0 }
    }

    /// The greatest of a metric's points is its latest.
    pub(super) fn rank(&self) -> (i64, i64, OrderedReal) {
        (self.step, self.time, OrderedReal(self.finite()))
    }

    /// The order of a history.
    pub(super) fn in_history(&self) -> (i64, i64, OrderedReal, bool) {
        (self.time, self.step, OrderedReal(self.finite()), self.number.is_nan())
    }
}

/// A number that is never "not a number".
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderedReal(f64);

impl PartialEq for OrderedReal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for OrderedReal {}
impl PartialOrd for OrderedReal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for OrderedReal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What is known of a metric without its series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) latest: Point,
    /// Absent as long as there is one point.
    pub(super) statistics: Option<Box<Statistics>>,
}

/// Statistics over all points of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    /// Points that are numbers.
    pub(super) count: u64,
    /// Points that are not.
    pub(super) nans: u64,
    /// Sum of the numbers.
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The point of the smallest step, time and number.
    pub(super) first: Point,
}

impl Statistics {
    pub(super) fn of(point: Point) -> Self {
        let mut statistics =
            Self { count: 0, nans: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, first: point };
        statistics.add(point);
        statistics
    }

    pub(super) fn add(&mut self, point: Point) {
        if point.rank() < self.first.rank() {
            self.first = point;
        }
        if point.number.is_nan() {
            self.nans += 1;
            return;
        }
        self.count += 1;
        self.sum += point.number;
        self.min = self.min.min(point.number);
        self.max = self.max.max(point.number);
    }
}

/// A number of a metric that can be searched and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Measure {
    Latest,
    Min,
    Max,
    First,
    Mean,
}

impl Metric {
    fn new(point: Point) -> Self {
        Self { latest: point, statistics: None }
    }

    /// Takes a point; gives the one that is now only in the series, if one is.
    fn take(&mut self, point: Point) -> Option<Point> {
        if point == self.latest {
            return None;
        }
        self.statistics.get_or_insert_with(|| Box::new(Statistics::of(self.latest))).add(point);
        Some(if point.rank() > self.latest.rank() {
            std::mem::replace(&mut self.latest, point)
        } else {
            point
        })
    }

    /// The number that is asked for; NaN if there is no number among the points.
    pub(super) fn measure(&self, measure: Measure) -> f64 {
        let Some(statistics) = &self.statistics else { return self.latest.number };
        let of_numbers = |number: f64| if statistics.count == 0 { f64::NAN } else { number };
        match measure {
            Measure::Latest => self.latest.number,
            Measure::Min => of_numbers(statistics.min),
            Measure::Max => of_numbers(statistics.max),
            Measure::First => statistics.first.number,
            #[allow(clippy::cast_precision_loss, reason = "2^53 points are not to be had")]
            Measure::Mean => of_numbers(statistics.sum / statistics.count as f64),
        }
    }
}

/// A run's document, entries by ascending key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Document {
    pub(super) metrics: Vec<(u32, Metric)>,
    pub(super) params: Vec<(u32, String)>,
    pub(super) tags: Vec<(u32, String)>,
}

impl Document {
    /// Takes a point; gives the one that is now only in the series, if one is.
    pub(super) fn log(&mut self, key: u32, point: Point) -> Option<Point> {
        match self.metrics.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.metrics.get_mut(at).and_then(|(_, metric)| metric.take(point)),
            Err(at) => {
                self.metrics.insert(at, (key, Metric::new(point)));
                None
            }
        }
    }

    /// Bytes of memory that its entries take.
    pub(super) fn memory(&self) -> usize {
        let metrics = self.metrics.capacity() * size_of::<(u32, Metric)>();
        let several = self.metrics.iter().filter(|(_, metric)| metric.statistics.is_some()).count();
        let texts = [&self.params, &self.tags].into_iter();
        let texts: usize = texts
            .map(|texts| {
                let contents: usize = texts.iter().map(|(_, text)| text.capacity()).sum();
                texts.capacity() * size_of::<(u32, String)>() + contents
            })
            .sum();
        metrics + several * size_of::<Statistics>() + texts
    }

    pub(super) fn metric(&self, key: u32) -> Option<&Metric> {
        let at = self.metrics.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        self.metrics.get(at).map(|(_, metric)| metric)
    }

    pub(super) fn metric_mut(&mut self, key: u32) -> Option<&mut Metric> {
        let at = self.metrics.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        self.metrics.get_mut(at).map(|(_, metric)| metric)
    }

    pub(super) fn param(&self, key: u32) -> Option<&str> {
        text(&self.params, key)
    }

    pub(super) fn set_param(&mut self, key: u32, value: String) {
        set_text(&mut self.params, key, value);
    }

    pub(super) fn set_tag(&mut self, key: u32, value: String) {
        set_text(&mut self.tags, key, value);
    }

    /// Whether there was one.
    pub(super) fn remove_tag(&mut self, key: u32) -> bool {
        let at = self.tags.binary_search_by_key(&key, |(key, _)| *key);
        at.map(|at| self.tags.remove(at)).is_ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.bytes.push(VERSION);
        packer.count(self.metrics.len());
        let (mut key_before, mut before) = (0, Point::new(0, 0, 0.0));
        for (key, metric) in &self.metrics {
            packer.unsigned(u64::from(key - key_before));
            pack_point(&mut packer, metric.latest, before);
            match &metric.statistics {
                None => packer.unsigned(ONE_POINT),
                Some(statistics) => {
                    packer.unsigned(MANY_POINTS);
                    packer.unsigned(statistics.count);
                    packer.unsigned(statistics.nans);
                    for number in [statistics.sum, statistics.min, statistics.max] {
                        packer.real(number);
                    }
                    pack_point(&mut packer, statistics.first, metric.latest);
                }
            }
            (key_before, before) = (*key, metric.latest);
        }
        for texts in [&self.params, &self.tags] {
            packer.count(texts.len());
            let mut key_before = 0;
            for (key, value) in texts {
                packer.unsigned(u64::from(key - key_before));
                packer.text(value);
                key_before = *key;
            }
        }
        packer.bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut document = Self::default();
        visit(bytes, |entry| match entry {
            Entry::Metric(key, metric) => document.metrics.push((key, metric)),
            Entry::Param(key, value) => document.params.push((key, value.to_owned())),
            Entry::Tag(key, value) => document.tags.push((key, value.to_owned())),
        })?;
        Ok(document)
    }
}

fn text(texts: &[(u32, String)], key: u32) -> Option<&str> {
    let at = texts.binary_search_by_key(&key, |(key, _)| *key).ok()?;
    texts.get(at).map(|(_, value)| value.as_str())
}

fn set_text(texts: &mut Vec<(u32, String)>, key: u32, value: String) {
    match texts.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(at) => {
            if let Some((_, old)) = texts.get_mut(at) {
                *old = value;
            }
        }
        Err(at) => texts.insert(at, (key, value)),
    }
}

fn pack_point(packer: &mut Packer, point: Point, before: Point) {
    packer.signed(point.step.wrapping_sub(before.step));
    packer.signed(point.time.wrapping_sub(before.time));
    packer.real(point.number);
}

fn unpack_point(unpacker: &mut Unpacker<'_>, before: Point) -> Result<Point, Unreadable> {
    let step = before.step.wrapping_add(unpacker.signed()?);
    let time = before.time.wrapping_add(unpacker.signed()?);
    Ok(Point::new(step, time, unpacker.real()?))
}

/// A part of a document, without a copy of its text.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    Metric(u32, Metric),
    Param(u32, &'a str),
    Tag(u32, &'a str),
}

/// Shows each entry of an encoded document.
///
/// # Errors
/// If it is damaged or of another version.
pub(super) fn visit<'a>(bytes: &'a [u8], mut see: impl FnMut(Entry<'a>)) -> Result<(), Unreadable> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut unpacker = Unpacker::new(bytes);
    if unpacker.byte()? != VERSION {
        return Err(Unreadable("it is of a newer version"));
    }
    let (mut key, mut before) = (0, Point::new(0, 0, 0.0));
    for _ in 0..unpacker.count()? {
        key = next_key(&mut unpacker, key)?;
        let latest = unpack_point(&mut unpacker, before)?;
        let statistics = match unpacker.unsigned()? {
            ONE_POINT => None,
            MANY_POINTS => Some(Box::new(unpack_statistics(&mut unpacker, latest)?)),
            _ => return Err(Unreadable("a metric is of an unknown kind")),
        };
        before = latest;
        see(Entry::Metric(key, Metric { latest, statistics }));
    }
    for is_tag in [false, true] {
        let mut key = 0;
        for _ in 0..unpacker.count()? {
            key = next_key(&mut unpacker, key)?;
            let value = unpacker.text()?;
            see(if is_tag { Entry::Tag(key, value) } else { Entry::Param(key, value) });
        }
    }
    Ok(())
}

fn unpack_statistics(unpacker: &mut Unpacker<'_>, latest: Point) -> Result<Statistics, Unreadable> {
    Ok(Statistics {
        count: unpacker.unsigned()?,
        nans: unpacker.unsigned()?,
        sum: unpacker.real()?,
        min: unpacker.real()?,
        max: unpacker.real()?,
        first: unpack_point(unpacker, latest)?,
    })
}

fn next_key(unpacker: &mut Unpacker<'_>, before: u32) -> Result<u32, Unreadable> {
    let difference = u32::try_from(unpacker.unsigned()?).map_err(|_| Unreadable("a key is too large"))?;
    before.checked_add(difference).ok_or(Unreadable("a key is too large"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_point() -> impl Strategy<Value = Point> {
        let number = prop_oneof![any::<f64>(), Just(f64::NAN), Just(0.0), Just(-0.0), Just(f64::INFINITY)];
        (any::<i64>(), any::<i64>(), number).prop_map(|(step, time, number)| Point::new(step, time, number))
    }

    proptest! {
        #[test]
        fn a_document_comes_back_as_it_was(
            points in prop::collection::vec((0..9_u32, any_point()), 0..40),
            params in prop::collection::vec((any::<u32>(), ".*"), 0..9),
            tags in prop::collection::vec((any::<u32>(), ".*"), 0..9),
        ) {
            let mut document = Document::default();
            for (key, point) in points {
                document.log(key, point);
            }
            params.into_iter().for_each(|(key, value)| document.set_param(key, value));
            tags.into_iter().for_each(|(key, value)| document.set_tag(key, value));
            let bytes = document.encode();
            let decoded = Document::decode(&bytes).unwrap();
            // Compared as text: "not a number" is not equal to itself.
            prop_assert_eq!(format!("{document:?}"), format!("{decoded:?}"));
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Document::decode(&bytes).ok();
        }

        /// The point that stays and those that leave are all points, and the one that stays is the greatest.
        #[test]
        fn no_point_is_lost(points in prop::collection::vec((0..3_i64, 0..3_i64, prop_oneof![Just(0.0), Just(1.0), Just(f64::NAN)]), 1..30)) {
            let points: Vec<Point> = points.into_iter().map(|(step, time, number)| Point::new(step, time, number)).collect();
            let mut document = Document::default();
            let mut seen: Vec<Point> = points.iter().filter_map(|point| document.log(1, *point)).collect();
            let latest = document.metric(1).unwrap().latest;
            prop_assert_eq!(latest.rank(), points.iter().map(Point::rank).max().unwrap());
            seen.push(latest);
            let distinct = |points: &[Point]| {
                let mut all: Vec<_> = points.iter().map(Point::in_history).collect();
                all.sort();
                all.dedup();
                all
            };
            prop_assert_eq!(distinct(&seen), distinct(&points));
        }
    }

    #[test]
    fn metrics_that_are_logged_together_take_twelve_bytes_each() {
        let mut document = Document::default();
        for key in 1..=100 {
            document.log(key, Point::new(7, 1_700_000_000_000, f64::from(key) / 3.0));
        }
        assert!(document.encode().len() < 1_220);
    }
}
