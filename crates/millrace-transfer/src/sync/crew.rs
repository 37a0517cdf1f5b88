//! Copying files side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use millrace_contract::StepContext;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use super::config::{SyncConfig, VerifyFiles};
use super::plan::Pair;
use super::record::{Proof, Record};
use super::tally::Tally;
use crate::error::CopyError;
use crate::store::{
    ByteStream, FileFacts, FileStore, Nature, NewFile, Opened, Receipt, StagedFile, opened, unless_cancelled,
    where_waiting_is_allowed,
};

/// Memory that files on their way may take together, in units.
const ROOM: u32 = 72;
/// Bytes of a unit.
const UNIT: u64 = 1024 * 1024;
/// Parts of a file that are on their way at the same time: files are, too.
const PARTS: usize = 2;
/// Before files are tried again; each further time four times as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Small files of a folder that are copied after one another on one thread, and how many bytes they have together.
const TOGETHER: (usize, u64) = (64, 4 * UNIT);

/// What copies files: from one store into another.
pub(super) struct Crew {
    pub(super) source: Arc<dyn FileStore>,
    pub(super) sink: Arc<dyn FileStore>,
    /// Whether both are the same store.
    pub(super) within: bool,
    pub(super) verify: VerifyFiles,
    pub(super) context: StepContext,
    pub(super) tally: Tally,
    at_once: usize,
    retries: u32,
    room: Semaphore,
    /// Whether a digest that the source told was of something else than the bytes, as with S3's encryption by keys of KMS.
    misled: AtomicBool,
}

impl Crew {
    pub(super) fn new(
        (source, sink): (Arc<dyn FileStore>, Arc<dyn FileStore>),
        within: bool,
        config: &SyncConfig,
        context: &StepContext,
    ) -> Arc<Self> {
        let usual = source.at_once().min(sink.at_once());
        Arc::new(Self {
            source,
            sink,
            within,
            verify: config.verify,
            context: context.clone(),
            tally: Tally::new(config.max_bytes_per_s),
            at_once: config.parallelism.map_or(usual, std::num::NonZeroUsize::get),
            retries: config.retries,
            room: Semaphore::new(ROOM as usize),
            misled: AtomicBool::new(false),
        })
    }

    /// Copies all of them; those that failed and may not fail again are tried again after the others. One record a file.
    pub(super) async fn copy_all(self: &Arc<Self>, files: Vec<Pair>) -> Result<Vec<Record>, CopyError> {
        let bytes = files.iter().filter_map(|file| file.source.size).sum();
        self.tally.expect(files.len() as u64, bytes);
        let (mut records, mut waiting, mut pause) = (Vec::with_capacity(files.len()), files, PAUSE);
        for round in 0..=self.retries {
            let done = if self.source.waits_for_the_disk() && self.sink.waits_for_the_disk() {
                let done =
                    self.each(together(waiting), move |crew, pairs| crew.copy_together(pairs, round)).await?;
                done.into_iter()
                    .map(|(_, copied)| copied)
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .flatten()
                    .collect()
            } else {
                self.each(waiting, |crew, pair| async move { crew.copy(&pair, round).await }).await?
            };
            let mut again = Vec::new();
            for (pair, result) in done {
                match result {
                    Ok(copied) => records.push(copied),
                    Err(CopyError::Cancelled) => return Err(CopyError::Cancelled),
                    Err(error) if error.may_pass() && round < self.retries => again.push(pair),
                    Err(error) => records.push(Record::failed(&pair, error)),
                }
            }
            if again.is_empty() {
                break;
            }
            let what = format!("{} files could not be copied yet and are tried again", again.len());
            self.context.log.line(&what);
            unless_cancelled(&self.context, async {
                tokio::time::sleep(pause).await;
                Ok(())
            })
            .await?;
            (waiting, pause) = (again, pause * 4);
        }
        Ok(records)
    }

    /// Does something with each, some at once.
    pub(super) async fn each<T, R, F>(
        self: &Arc<Self>,
        things: Vec<T>,
        work: impl Fn(Arc<Self>, T) -> F,
    ) -> Result<Vec<(T, R)>, CopyError>
    where
        T: Clone + Send + 'static,
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let (mut things, mut running, mut done) = (things.into_iter(), JoinSet::new(), Vec::new());
        loop {
            while running.len() < self.at_once
                && let Some(thing) = things.next()
            {
                let working = work(self.clone(), thing.clone());
                running.spawn(async move { (thing, working.await) });
            }
            match running.join_next().await {
                None => return Ok(done),
                Some(ended) => done.push(ended.map_err(|error| CopyError::write("the files", &error))?),
            }
        }
    }

    /// Copies files after one another, on a thread that may wait for the disk.
    async fn copy_together(self: Arc<Self>, pairs: Vec<Pair>, round: u32) -> Result<Copied, CopyError> {
        let copying = where_waiting_is_allowed(async move {
            let mut done = Vec::with_capacity(pairs.len());
            for pair in pairs {
                let copied = self.copy(&pair, round).await;
                done.push((pair, copied));
            }
            done
        });
        copying.await.map_err(|error| CopyError::write("the files", &error))
    }

    async fn copy(&self, pair: &Pair, round: u32) -> Result<Record, CopyError> {
        if self.within && self.sink.copy_within(&pair.source, &pair.target).await? {
            self.tally.bytes(pair.source.size.unwrap_or_default());
            self.tally.file();
            let proof = Proof::NotVerified("the store has copied it itself");
            return Ok(Record::copied(pair, pair.source.size.unwrap_or_default(), None, proof));
        }
        // What was listed says which content is meant; if that is another one by now, the new one is.
        let seen = (round == 0).then(|| pair.source.clone());
        let expected = NewFile { parts_at_once: PARTS, size: pair.source.size, ..NewFile::of_size(0) };
        let _room = self.room(&expected).await?;
        let source =
            unless_cancelled(&self.context, opened(self.source.clone(), &pair.source.path, seen)).await?;
        let new = NewFile {
            size: source.facts.size,
            modified: source.facts.modified,
            nature: source.nature.clone(),
            md5: self.source.md5(&source.facts).filter(|_| !self.misled.load(Ordering::Relaxed)),
            parts_at_once: PARTS,
        };
        let facts = source.facts.clone();
        let sent = self.send(vec![source], &pair.target, &new).await?;
        self.unchanged(&facts).await?;
        let proof = self.proof(&pair.target, &sent).await?;
        self.tally.file();
        self.context.progress.report(self.tally.progress());
        Ok(Record::copied(pair, sent.bytes, Some(sent.digest), proof))
    }

    /// Makes one file of all.
    pub(super) async fn merge(&self, files: &[Pair], target: &str) -> Result<Record, CopyError> {
        let sizes: Option<Vec<u64>> = files.iter().map(|file| file.source.size).collect();
        let size = sizes.map(|sizes| sizes.iter().sum());
        self.tally.expect(files.len() as u64, size.unwrap_or_default());
        let modified: Option<Timestamp> = files.iter().filter_map(|file| file.source.modified).max();
        let new = NewFile { size, modified, nature: Nature::default(), md5: None, parts_at_once: PARTS };
        let _room = self.room(&new).await?;
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            let (store, path, seen) = (self.source.clone(), file.source.path.clone(), file.source.clone());
            // Opened when its turn comes.
            let bytes = crate::store::steady(store, &path, Some(seen));
            sources.push(Opened { facts: file.source.clone(), nature: Nature::default(), bytes });
        }
        let sent = self.send(sources, target, &new).await?;
        let proof = self.proof(target, &sent).await?;
        let whole = FileFacts { size, modified, ..FileFacts::default() };
        let relative = format!("{} files", files.len());
        let pair = Pair { source: whole, relative, target: target.to_owned() };
        Ok(Record::copied(&pair, sent.bytes, Some(sent.digest), proof))
    }

    /// Waits until there is memory for a file.
    async fn room(&self, new: &NewFile) -> Result<SemaphorePermit<'_>, CopyError> {
        let units = u32::try_from(self.sink.room(new).div_ceil(UNIT)).unwrap_or(ROOM).clamp(1, ROOM);
        let waiting = async {
            self.room.acquire_many(units).await.map_err(|error| CopyError::write("the files", &error))
        };
        unless_cancelled(&self.context, waiting).await
    }

    /// Sends files after one another as one. When that fails or is cancelled, the sink is as it was.
    async fn send(&self, sources: Vec<Opened>, target: &str, new: &NewFile) -> Result<Sent, CopyError> {
        let mut staged = unless_cancelled(&self.context, self.sink.begin(target, new)).await?;
        let pumped = unless_cancelled(&self.context, self.pump(sources, staged.as_mut())).await;
        match pumped {
            Ok((bytes, digest)) => {
                let receipt = unless_cancelled(&self.context, staged.commit()).await?;
                Ok(Sent { bytes, digest, receipt })
            }
            Err(error) => {
                staged.abort().await;
                Err(error)
            }
        }
    }

    async fn pump(
        &self,
        sources: Vec<Opened>,
        staged: &mut dyn StagedFile,
    ) -> Result<(u64, blake3::Hash), CopyError> {
        let (mut hasher, mut count) = (blake3::Hasher::new(), 0);
        for mut source in sources {
            while let Some(piece) = source.bytes.next().await {
                let piece = piece?;
                hasher.update(&piece);
                let bytes = piece.len() as u64;
                count += bytes;
                staged.write(piece).await?;
                let pause = self.tally.bytes(bytes);
                self.context.progress.report(self.tally.progress());
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ok((count, hasher.finalize()))
    }

    /// A file that changed again before the copy was there would have an older time than the copy, and pass for the same.
    async fn unchanged(&self, read: &FileFacts) -> Result<(), CopyError> {
        if self.sink.keeps_times() {
            return Ok(());
        }
        match self.source.look_again(&read.path).await {
            Some(now) if !now.agrees_with(read) => Err(CopyError::Read {
                what: self.source.label(&read.path),
                message: "it was changed while it was copied".to_owned(),
                transient: true,
            }),
            _ => Ok(()),
        }
    }

    /// What shows that the sink has what was read.
    async fn proof(&self, target: &str, sent: &Sent) -> Result<Proof, CopyError> {
        let differs = matches!(sent.receipt, Receipt::Differs(_));
        match (self.verify, sent.receipt) {
            (VerifyFiles::None, _) => Ok(Proof::NotVerified("`verify` is `none`")),
            (_, Receipt::Agrees(how)) => Ok(Proof::Verified(how)),
            (VerifyFiles::Digest, Receipt::Silent(why)) => Ok(Proof::NotVerified(why)),
            (VerifyFiles::Digest | VerifyFiles::Read, Receipt::Silent(_) | Receipt::Differs(_)) => {
                let bytes = crate::store::steady(self.sink.clone(), target, None);
                let again = unless_cancelled(&self.context, digest(bytes)).await?;
                if again == (sent.bytes, sent.digest) {
                    // The digests of the others are worked out, which costs less than to read each of them again.
                    self.misled.fetch_or(differs, Ordering::Relaxed);
                    return Ok(Proof::Verified("read again, it has the same digest"));
                }
                let tag = if differs { ", and the store's own digest is another one too" } else { "" };
                let difference = format!(
                    "{} bytes were sent and {} are there, of another digest{tag}",
                    sent.bytes, again.0
                );
                Err(CopyError::NotVerified { what: self.sink.label(target), difference })
            }
        }
    }

    /// Whether two files have the same content: by digests that their stores tell, else both are read.
    pub(super) async fn same_content(&self, source: &FileFacts, sink: &FileFacts) -> Result<bool, CopyError> {
        let read = |store: &Arc<dyn FileStore>, facts: &FileFacts| {
            crate::store::steady(store.clone(), &facts.path, Some(facts.clone()))
        };
        let work = async {
            match (self.source.md5(source), self.sink.md5(sink)) {
                (Some(one), Some(other)) => Ok(one == other),
                (Some(one), None) => Ok(one == md5(read(&self.sink, sink)).await?),
                (None, Some(other)) => Ok(md5(read(&self.source, source)).await? == other),
                (None, None) => {
                    let both = futures::future::try_join(
                        digest(read(&self.source, source)),
                        digest(read(&self.sink, sink)),
                    );
                    let (one, other) = both.await?;
                    Ok(one == other)
                }
            }
        };
        unless_cancelled(&self.context, work).await
    }
}

/// What became of some files.
type Copied = Vec<(Pair, Result<Record, CopyError>)>;

/// Files in groups: of one folder, since two threads that make files in the same one wait for each other.
fn together(files: Vec<Pair>) -> Vec<Vec<Pair>> {
    fn folder(pair: &Pair) -> &str {
        pair.target.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
    let mut groups: Vec<Vec<Pair>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let size = file.source.size.unwrap_or(TOGETHER.1);
        let fits = |group: &&mut Vec<Pair>| {
            let is_same = group.first().is_some_and(|first| folder(first) == folder(&file));
            is_same && group.len() < TOGETHER.0 && bytes + size <= TOGETHER.1
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(file),
            None => {
                bytes = 0;
                groups.push(vec![file]);
            }
        }
        bytes += size;
    }
    groups
}

/// A file that has arrived.
struct Sent {
    bytes: u64,
    digest: blake3::Hash,
    receipt: Receipt,
}

/// Bytes and digest of what comes.
async fn digest(mut bytes: ByteStream) -> Result<(u64, blake3::Hash), CopyError> {
    let (mut hasher, mut count) = (blake3::Hasher::new(), 0);
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        count += piece.len() as u64;
        hasher.update(&piece);
    }
    Ok((count, hasher.finalize()))
}

/// The MD5 of what comes, in hexadecimal digits.
async fn md5(mut bytes: ByteStream) -> Result<String, CopyError> {
    use md5::Digest as _;
    let mut hasher = md5::Md5::new();
    while let Some(piece) = bytes.next().await {
        hasher.update(piece?);
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_of_a_folder_go_together() {
        let file = |target: &str, size: Option<u64>| Pair {
            source: FileFacts { size, ..FileFacts::default() },
            relative: target.to_owned(),
            target: target.to_owned(),
        };
        let mut files = vec![
            file("a/1", Some(10)),
            file("a/2", Some(4 * UNIT - 10)),
            file("a/3", Some(1)),
            file("b/1", Some(1)),
            file("b/2", None),
            file("top", Some(1)),
        ];
        files.extend((0..65).map(|number| file(&format!("many/{number}"), Some(0))));
        let groups: Vec<usize> = together(files).iter().map(Vec::len).collect();
        assert_eq!(groups, [2, 1, 1, 1, 1, 64, 1]);
    }
}
