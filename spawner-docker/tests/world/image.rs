//! Images that tests make for themselves, and the engine that they are on.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once, Weak};

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::TryStreamExt as _;

static SAID: Once = Once::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// An image of one program, removed when it is dropped.
pub(crate) struct Image {
    pub(crate) name: String,
    id: String,
}

/// The image that the tests of one binary share: made by the first that needs it, removed with the
/// last one that does.
pub(crate) struct Shared(tokio::sync::Mutex<Weak<Image>>);

/// A file of an image: where it is, and what is in it.
pub(crate) type File = (String, Vec<u8>);

impl Shared {
    pub(crate) const fn new() -> Self {
        Self(tokio::sync::Mutex::const_new(Weak::new()))
    }

    /// The image, or `None` (said aloud, and a failure where `CI` is set) without an engine.
    pub(crate) async fn open(
        &self,
        files: impl Fn() -> Result<Vec<File>, String>,
        entry_point: Option<&str>,
    ) -> Option<Arc<Image>> {
        let mut current = self.0.lock().await;
        if let Some(image) = current.upgrade() {
            return Some(image);
        }
        if let Err(why) = connect().await {
            assert!(std::env::var_os("CI").is_none(), "no Docker Engine: {why}");
            SAID.call_once(|| {
                // Past the capture of the test harness, which would keep it to itself.
                let line = format!("SKIPPED: nothing with a Docker Engine was run: {why}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
            });
            return None;
        }
        // With an engine there is no excuse.
        let made = async { Image::make(&files()?, entry_point).await };
        let image = Arc::new(made.await.unwrap());
        *current = Arc::downgrade(&image);
        Some(image)
    }
}

impl Image {
    async fn make(files: &[File], entry_point: Option<&str>) -> Result<Self, String> {
        let docker = connect().await?;
        let name = format!("hubd-test-probe:{}-{}", std::process::id(), count());
        let (repo, tag) = name.split_once(':').ok_or("no tag")?;
        let changes = entry_point.map(|program| format!("ENTRYPOINT [\"{program}\"]"));
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repo)
            .tag(tag)
            .changes(changes.into_iter().collect())
            .build();
        let layer = bollard::body_full(archive(files).into());
        docker
            .create_image(Some(options), Some(layer), None)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| format!("the probe's image cannot be made: {error}"))?;
        let made = docker.inspect_image(&name).await;
        let id = made.ok().and_then(|made| made.id).ok_or("no image id")?;
        Ok(Self { name, id })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let id = self.id.clone();
        beside(async move {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            if let Ok(docker) = connect().await {
                let _ = docker.remove_image(&id, Some(options), None).await;
            }
        });
    }
}

pub(crate) async fn connect() -> Result<Docker, String> {
    let connected = match Docker::connect_with_defaults() {
        Ok(docker) => docker.negotiate_version().await,
        Err(error) => Err(error),
    };
    connected.map_err(|error| error.to_string())
}

/// The content of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A program of this host as `name`, with the libraries that it needs.
pub(crate) fn with_libraries(program: &Path, name: &str) -> Result<Vec<File>, String> {
    let listed = Command::new("ldd").arg(program).output();
    let listed = listed.map_err(|error| format!("ldd cannot be run: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let mut files = vec![(name.to_owned(), read(program)?)];
    // "libc.so.6 => /lib/libc.so.6 (0x...)", and the loader without an arrow.
    for library in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let inside = library.trim_start_matches('/').to_owned();
        files.push((inside, read(Path::new(library))?));
    }
    Ok(files)
}

/// An archive of programs and libraries; each path is without the first slash.
fn archive(files: &[File]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut there = HashSet::new();
    // Programs share libraries.
    for (name, content) in files.iter().filter(|(name, _)| there.insert(name)) {
        let mut header = [0u8; 512];
        let mut field = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        field(0, name);
        field(100, "0000755");
        field(108, "0000000");
        field(116, "0000000");
        field(124, &format!("{:011o}", content.len()));
        field(136, "00000000000");
        field(148, "        ");
        field(156, "0");
        field(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        // Padding to a whole block.
        archive.resize(archive.len().div_ceil(512) * 512, 0);
    }
    // Two empty blocks are the end.
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// A number that no other call in this process gets.
pub(crate) fn count() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Runs to its end on a thread of its own: a destructor cannot await.
pub(crate) fn beside(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(work);
        }
    });
    let _ = thread.join();
}
