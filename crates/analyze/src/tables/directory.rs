//! The directory that tables are exported into: what is being written is not seen in it before all of it is whole.
//!
//! A new directory is filled under another name beside it and renamed at the end. What is added to one that is there is
//! written below a name that begins with `_` and does not end in `.parquet`, so that no reader takes it for a table, and
//! renamed file by file when all of it is on the disk. The manifest comes last.

use super::manifest::{Manifest, is_manifest};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says whose a directory of unfinished work is; locked as long as its writer lives.
const LOCK: &str = "_crypto-trace-export.lock";

/// Ends the names of files that are not whole.
const UNFINISHED: &str = ".unfinished";

/// What may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing, or an empty directory.
    New,
    /// Also an earlier export, which is added to.
    Append,
}

/// An export that is being written.
#[derive(Debug)]
pub struct Directory {
    target: PathBuf,
    /// Where files are until all are whole.
    work: PathBuf,
    is_new: bool,
    /// What its files are named by.
    id: String,
    /// Numbers of files, by directory.
    numbers: BTreeMap<String, u32>,
    /// Where they are below the target.
    files: Vec<PathBuf>,
    is_published: bool,
    _lock: File,
}

/// Manifests of earlier exports into a directory; none when there is no such directory.
///
/// # Errors
/// When it cannot be read, holds what no export wrote, or there is something and nothing may be.
pub fn earlier(target: &Path, mode: Mode) -> Result<Vec<Manifest>> {
    let named = || format!("{}: cannot be read", target.display());
    let entries = match fs::read_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(named)?,
    };
    let (mut manifests, mut any) = (Vec::new(), false);
    for entry in entries {
        let entry = entry.with_context(named)?;
        any = true;
        if is_manifest(&entry.file_name()) {
            manifests.push(Manifest::read(&entry.path())?);
        }
    }
    let shown = target.display();
    match mode {
        Mode::New if any && manifests.is_empty() => {
            bail!("{shown}: is not empty, and no earlier export; name a directory that is empty or not there yet")
        }
        Mode::New if any => {
            bail!("{shown}: holds an earlier export; give --append to add to it, or name another directory")
        }
        Mode::Append if any && manifests.is_empty() => {
            bail!("{shown}: is not empty, and no earlier export: nothing can be added to it")
        }
        _ => {}
    }
    manifests.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(manifests)
}

impl Directory {
    /// Begins to write what is to be in `target`, under `id`.
    ///
    /// # Errors
    /// When another export is writing there, or nothing can be written.
    pub fn begin(target: &Path, is_new: bool, id: &str) -> Result<Self> {
        let work = if is_new { beside(target)? } else { target.join(format!("_{id}{UNFINISHED}")) };
        let shown = work.display();
        if fs::symlink_metadata(&work).is_ok() {
            clear(&work)?;
        }
        fs::create_dir_all(&work).with_context(|| format!("{shown}: cannot be created"))?;
        let lock = File::create(work.join(LOCK)).with_context(|| format!("{shown}: cannot be written"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).with_context(|| format!("{shown}: cannot be locked"))?;
        let (target, id) = (target.to_owned(), id.to_owned());
        Ok(Self {
            target,
            work,
            is_new,
            id,
            numbers: BTreeMap::new(),
            files: Vec::new(),
            is_published: false,
            _lock: lock,
        })
    }

    /// Where the next file in a directory of a table is to be written.
    ///
    /// # Errors
    /// When its directory cannot be created.
    pub fn new_file(&mut self, directory: String) -> io::Result<PathBuf> {
        let name = |number: u32| format!("{directory}/part-{}-{number:05}.parquet", self.id);
        let (name, next) = self.numbers.get(&directory).map_or((name(0), 1), |number| (name(*number), number + 1));
        self.numbers.insert(directory, next);
        let place = self.place(Path::new(&name));
        if let Some(directory) = place.parent() {
            fs::create_dir_all(directory)?;
        }
        self.files.push(name.into());
        Ok(place)
    }

    /// Where a file is until all are whole.
    fn place(&self, name: &Path) -> PathBuf {
        let mut place = OsString::from(self.work.join(name));
        if !self.is_new {
            place.push(UNFINISHED);
        }
        place.into()
    }

    /// Files so far, below the directory.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Lets readers see all of it.
    ///
    /// # Errors
    /// When the disk does not take it; what was there before is as it was, or whole files are added to it.
    pub fn publish(mut self, manifest: &Manifest) -> Result<()> {
        let written = self.work.join("manifest");
        let name = manifest.file_name();
        let write = || -> io::Result<()> {
            let mut file = File::create(&written)?;
            file.write_all(manifest.text().as_bytes())?;
            file.sync_all()?;
            if self.is_new {
                fs::rename(&written, self.work.join(&name))?;
                self.files.iter().try_for_each(|file| sync_directories(&self.work, file))?;
                fs::remove_file(self.work.join(LOCK))?;
                sync(&self.work)?;
                fs::rename(&self.work, &self.target)?;
                return sync(parent(&self.target));
            }
            for file in &self.files {
                let place = self.target.join(file);
                fs::create_dir_all(parent(&place))?;
                fs::rename(self.place(file), &place)?;
                sync_directories(&self.target, file)?;
            }
            fs::rename(&written, self.target.join(&name))?;
            fs::remove_dir_all(&self.work)?;
            sync(&self.target)
        };
        write().with_context(|| format!("{}: cannot be written", self.target.display()))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Directory {
    /// Takes away what was written and is of no use.
    fn drop(&mut self) {
        if !self.is_published {
            // It is said to be unfinished by its name.
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}

/// `.NAME.unfinished`, in the same directory.
fn beside(target: &Path) -> Result<PathBuf> {
    let Some(name) = target.file_name() else { bail!("{}: no name for a directory", target.display()) };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(UNFINISHED);
    Ok(parent(target).join(hidden))
}

/// Takes away what an export left that was killed.
fn clear(work: &Path) -> Result<()> {
    let shown = work.display();
    let Ok(lock) = File::open(work.join(LOCK)) else {
        bail!("{shown}: is in the way, and no unfinished export: move it away");
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("{shown}: another export is writing there");
    }
    fs::remove_dir_all(work).with_context(|| format!("{shown}: cannot be removed"))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directories from `root` down to that of `file`.
fn sync_directories(root: &Path, file: &Path) -> io::Result<()> {
    let mut at = root.join(file);
    while at.pop() && at.starts_with(root) {
        sync(&at)?;
        if at == root {
            break;
        }
    }
    Ok(())
}
