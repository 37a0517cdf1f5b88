//! How files are packed: told by the last ending of their name, for reading and for writing.

use std::fs::File;
use std::io::{BufRead, BufWriter, Read, Write};
use std::ops::RangeInclusive;

use super::Out;

/// A way to make bytes fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As they are.
    None,
    Gzip,
    Zstd,
    Bzip2,
    /// In frames, as the program `lz4` writes.
    Lz4,
    /// In frames: <https://github.com/google/snappy/blob/main/framing_format.txt>.
    Snappy,
}

const ENDINGS: [(&str, Packing); 6] = [
    ("gz", Packing::Gzip),
    ("zst", Packing::Zstd),
    ("bz2", Packing::Bzip2),
    ("lz4", Packing::Lz4),
    ("snappy", Packing::Snappy),
    ("sz", Packing::Snappy),
];

impl Packing {
    /// What the last ending says, and the name without it. `name` in small letters.
    pub(crate) fn of_name(name: &str) -> (Self, &str) {
        let found = name.rsplit_once('.').and_then(|(rest, ending)| {
            let (_, packing) = ENDINGS.iter().find(|(known, _)| *known == ending)?;
            Some((*packing, rest))
        });
        found.unwrap_or((Self::None, name))
    }

    /// How hard it can be packed, where one may choose.
    pub(crate) fn levels(self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::Gzip | Self::Bzip2 => Some(1..=9),
            Self::Zstd => Some(1..=22),
            Self::None | Self::Lz4 | Self::Snappy => None,
        }
    }

    /// Packs what is written, as hard as `level` says.
    pub(crate) fn packed(self, file: BufWriter<File>, level: Option<u32>) -> std::io::Result<Box<dyn Out>> {
        let zstd_level = i32::try_from(level.unwrap_or(3)).unwrap_or(3);
        Ok(match self {
            Self::None => Box::new(Plain(file)),
            Self::Gzip => {
                let level = flate2::Compression::new(level.unwrap_or(6).min(9));
                Box::new(Gzip(flate2::write::GzEncoder::new(file, level)))
            }
            Self::Zstd => Box::new(Zstd(zstd::stream::write::Encoder::new(file, zstd_level)?)),
            Self::Bzip2 => {
                let level = bzip2::Compression::new(level.unwrap_or(6).clamp(1, 9));
                Box::new(Bzip2(bzip2::write::BzEncoder::new(file, level)))
            }
            Self::Lz4 => Box::new(Lz4(lz4_flex::frame::FrameEncoder::new(file))),
            Self::Snappy => Box::new(Snappy(snap::write::FrameEncoder::new(file))),
        })
    }
}

/// Gives the bytes of a file as they were before they were packed.
pub(crate) fn unpacked(
    packing: Packing,
    file: impl BufRead + Send + 'static,
) -> std::io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::None => Box::new(file),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Packing::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(file)),
        Packing::Snappy => Box::new(snap::read::FrameDecoder::new(file)),
    })
}

/// The file itself is on disk when it has ended.
fn end_file(mut file: BufWriter<File>) -> std::io::Result<()> {
    file.flush()?;
    file.get_ref().sync_all()
}

macro_rules! packed {
    ($name:ident, $inner:ty, $end:expr) => {
        struct $name($inner);

        impl Write for $name {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                self.0.flush()
            }
        }

        impl Out for $name {
            fn end(self: Box<Self>) -> std::io::Result<()> {
                let end: fn($inner) -> std::io::Result<BufWriter<File>> = $end;
                end_file(end(self.0)?)
            }
        }
    };
}

packed!(Plain, BufWriter<File>, Ok);
packed!(Gzip, flate2::write::GzEncoder<BufWriter<File>>, flate2::write::GzEncoder::finish);
packed!(Zstd, zstd::stream::write::Encoder<'static, BufWriter<File>>, zstd::stream::write::Encoder::finish);
packed!(Bzip2, bzip2::write::BzEncoder<BufWriter<File>>, bzip2::write::BzEncoder::finish);
packed!(Lz4, lz4_flex::frame::FrameEncoder<BufWriter<File>>, |encoder| {
    encoder.finish().map_err(std::io::Error::other)
});
packed!(Snappy, snap::write::FrameEncoder<BufWriter<File>>, |encoder| {
    encoder.into_inner().map_err(|error| std::io::Error::other(error.error().to_string()))
});

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let text = "zürich,1\n".repeat(100_000);
        let folder = tempfile::tempdir().unwrap();
        for (ending, packing) in ENDINGS {
            let path = folder.path().join(format!("a.csv.{ending}"));
            let mut out = packing.packed(BufWriter::new(File::create(&path).unwrap()), None).unwrap();
            out.write_all(text.as_bytes()).unwrap();
            out.end().unwrap();
            let mut back = String::new();
            let file = BufReader::new(File::open(&path).unwrap());
            unpacked(packing, file).unwrap().read_to_string(&mut back).unwrap();
            assert!(back == text, "{ending}");
            assert!(path.metadata().unwrap().len() < 100_000, "{ending}");
            // What is cut off is told.
            let content = std::fs::read(&path).unwrap();
            std::fs::write(&path, &content[..content.len() / 2]).unwrap();
            let file = BufReader::new(File::open(&path).unwrap());
            let read = unpacked(packing, file).and_then(|mut file| file.read_to_string(&mut String::new()));
            assert!(read.is_err(), "{ending}: half a file is read without a word");
        }
    }

    #[test]
    fn endings() {
        assert_eq!(Packing::of_name("a.csv.gz"), (Packing::Gzip, "a.csv"));
        assert_eq!(Packing::of_name("a.csv"), (Packing::None, "a.csv"));
        assert_eq!(Packing::of_name("gz"), (Packing::None, "gz"));
    }
}
