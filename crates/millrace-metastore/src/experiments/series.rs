//! Points of a metric in few bytes: a chunk of its series, or what waits in the journal to become one.
//!
//! A chunk has steps and times as runs of equal second differences (a loop that logs every step has one) and numbers as they are, or, where
//! that is shorter, as what differs from the number before (the idea of Gorilla, Pelkonen et al. 2015, by bytes). MLflow stores 267 bytes
//! a point; a chunk of a thousand takes 8 to 11.

use super::document::Point;
use super::packing::{Packer, Unpacker, Unreadable};

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const DIFFERENCES: u8 = 1;

/// Points of one metric, in the order of a history.
pub(super) fn encode_chunk(points: &[Point]) -> Vec<u8> {
    let mut packer = Packer::default();
    packer.bytes.push(VERSION);
    packer.count(points.len());
    pack_numbers(&mut packer, points.iter().map(|point| point.time));
    pack_numbers(&mut packer, points.iter().map(|point| point.step));
    let differences = differences(points);
    if differences.len() < points.len() * 8 {
        packer.bytes.push(DIFFERENCES);
        packer.bytes.extend_from_slice(&differences);
    } else {
        packer.bytes.push(PLAIN);
        points.iter().for_each(|point| packer.real(point.number));
    }
    packer.bytes
}

/// What [`encode_chunk`] was given.
///
/// # Errors
/// If it is damaged or of another version.
pub(super) fn decode_chunk(bytes: &[u8]) -> Result<Vec<Point>, Unreadable> {
    let mut unpacker = Unpacker::new(bytes);
    if unpacker.byte()? != VERSION {
        return Err(Unreadable("a chunk is of a newer version"));
    }
    let count = unpacker.count()?;
    let times = unpack_numbers(&mut unpacker, count)?;
    let steps = unpack_numbers(&mut unpacker, count)?;
    let kind = unpacker.byte()?;
    let mut points = Vec::with_capacity(count);
    let mut before = 0_u64;
    for (time, step) in times.into_iter().zip(steps) {
        before = match kind {
            PLAIN => unpacker.real()?.to_bits(),
            DIFFERENCES => before ^ unpack_difference(&mut unpacker)?,
            _ => return Err(Unreadable("the numbers of a chunk are of an unknown kind")),
        };
        points.push(Point::new(step, time, f64::from_bits(before)));
    }
    Ok(points)
}

/// First number, first difference, then runs of equal second differences.
fn pack_numbers(packer: &mut Packer, numbers: impl Iterator<Item = i64>) {
    let (mut before, mut difference_before) = (0_i64, 0_i64);
    let mut run: Option<(i64, u64)> = None;
    for number in numbers {
        let difference = number.wrapping_sub(before);
        let second = difference.wrapping_sub(difference_before);
        (before, difference_before) = (number, difference);
        run = match run {
            Some((same, length)) if same == second => Some((same, length + 1)),
            other => {
                pack_run(packer, other);
                Some((second, 1))
            }
        };
    }
    pack_run(packer, run);
}

fn pack_run(packer: &mut Packer, run: Option<(i64, u64)>) {
    if let Some((second, length)) = run {
        packer.signed(second);
        packer.unsigned(length);
    }
}

fn unpack_numbers(unpacker: &mut Unpacker<'_>, count: usize) -> Result<Vec<i64>, Unreadable> {
    let mut numbers = Vec::new();
    let (mut before, mut difference) = (0_i64, 0_i64);
    while numbers.len() < count {
        let second = unpacker.signed()?;
        let length = usize::try_from(unpacker.unsigned()?).unwrap_or(usize::MAX);
        if length == 0 || length > count - numbers.len() {
            return Err(Unreadable("a chunk has another number of points than it says"));
        }
        for _ in 0..length {
            difference = difference.wrapping_add(second);
            before = before.wrapping_add(difference);
            numbers.push(before);
        }
    }
    Ok(numbers)
}

/// Each number as the bits that differ from the one before: how many bytes are zero on the left and how many follow, then these.
fn differences(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(points.len() * 8);
    let mut before = 0_u64;
    for point in points {
        let bits = point.number.to_bits();
        let differing = (before ^ bits).to_be_bytes();
        before = bits;
        let left = differing.iter().take_while(|byte| **byte == 0).count();
        let right = differing.iter().rev().take_while(|byte| **byte == 0).count().min(8 - left);
        let middle = differing.get(left..8 - right).unwrap_or_default();
        bytes.push(((left as u8) << 4) | middle.len() as u8);
        bytes.extend_from_slice(middle);
    }
    bytes
}

fn unpack_difference(unpacker: &mut Unpacker<'_>) -> Result<u64, Unreadable> {
    let control = unpacker.byte()?;
    let (left, length) = (usize::from(control >> 4), usize::from(control & 0x0f));
    let middle = unpacker.take(length)?;
    let mut bits = [0; 8];
    let place = bits.get_mut(left..left + length).ok_or(Unreadable("a number has more than eight bytes"))?;
    place.copy_from_slice(middle);
    Ok(u64::from_be_bytes(bits))
}

/// Points of several metrics, as one write left them.
pub(super) fn encode_journal(points: &[(u32, Point)]) -> Vec<u8> {
    let mut packer = Packer::default();
    packer.bytes.push(VERSION);
    let (mut step, mut time) = (0_i64, 0_i64);
    for (key, point) in points {
        packer.unsigned(u64::from(*key));
        packer.signed(point.step.wrapping_sub(step));
        packer.signed(point.time.wrapping_sub(time));
        packer.real(point.number);
        (step, time) = (point.step, point.time);
    }
    packer.bytes
}

/// What [`encode_journal`] was given, appended to `points`.
///
/// # Errors
/// If it is damaged or of another version.
pub(super) fn decode_journal(bytes: &[u8], points: &mut Vec<(u32, Point)>) -> Result<(), Unreadable> {
    let mut unpacker = Unpacker::new(bytes);
    if unpacker.byte()? != VERSION {
        return Err(Unreadable("a journal entry is of a newer version"));
    }
    let (mut step, mut time) = (0_i64, 0_i64);
    while !unpacker.is_empty() {
        let key = u32::try_from(unpacker.unsigned()?).map_err(|_| Unreadable("a key is too large"))?;
        step = step.wrapping_add(unpacker.signed()?);
        time = time.wrapping_add(unpacker.signed()?);
        points.push((key, Point::new(step, time, unpacker.real()?)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_points() -> impl Strategy<Value = Vec<Point>> {
        let number = prop_oneof![any::<f64>(), 0.0..1.0_f64, Just(f64::NAN), Just(1.0)];
        let step = prop_oneof![any::<i64>(), 0..100_i64];
        let point =
            (step, any::<i64>(), number).prop_map(|(step, time, number)| Point::new(step, time, number));
        prop::collection::vec(point, 0..60)
    }

    proptest! {
        #[test]
        fn points_come_back_as_they_were(points in any_points()) {
            let chunk = decode_chunk(&encode_chunk(&points)).unwrap();
            prop_assert_eq!(format!("{points:?}"), format!("{chunk:?}"));
            let keyed: Vec<(u32, Point)> = points.into_iter().zip(0..).map(|(point, key)| (key, point)).collect();
            let mut journal = Vec::new();
            decode_journal(&encode_journal(&keyed), &mut journal).unwrap();
            prop_assert_eq!(format!("{keyed:?}"), format!("{journal:?}"));
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode_chunk(&bytes).ok();
            decode_journal(&bytes, &mut Vec::new()).ok();
        }
    }

    fn bytes_a_point(number: impl Fn(u32) -> f64) -> usize {
        let point =
            |n: u32| Point::new(i64::from(n), 1_700_000_000_000 + i64::from(n * 130 + n % 7), number(n));
        let points: Vec<Point> = (0..1_000).map(point).collect();
        encode_chunk(&points).len() / 1_000
    }

    #[test]
    fn a_loop_that_logs_every_step_takes_few_bytes_a_point() {
        // Of a number that never repeats, every bit must be kept.
        assert!(bytes_a_point(|n| f64::from(n).sin()) <= 10);
        assert!(bytes_a_point(|_| 0.5) <= 4);
    }
}
