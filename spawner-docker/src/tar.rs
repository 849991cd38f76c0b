//! As much of archives as containers are given and asked for: a directory or a file.

/// What everything in an archive is a multiple of.
pub(crate) const BLOCK: usize = 512;

/// Whose something in an archive is, and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mode: u64,
}

impl Entry {
    /// What is everybody's to read.
    pub(crate) fn of_root(mode: u64) -> Self {
        Self {
            uid: 0,
            gid: 0,
            mode,
        }
    }

    /// Reads the header at the beginning of an archive. `None` for numbers that are not written as
    /// digits, which only those beyond two million are.
    pub(crate) fn read(header: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let field = header.get(at..at + 8)?;
            let text = std::str::from_utf8(field).ok()?;
            u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
        };
        Some(Self {
            mode: number(100)? & 0o7777,
            uid: number(108)?,
            gid: number(116)?,
        })
    }

    /// An archive of one directory; its name ends in a slash.
    pub(crate) fn directory(self, name: &str) -> Vec<u8> {
        let mut archive = self.header(name, 0, b'5').to_vec();
        end(&mut archive);
        archive
    }

    /// An archive of a directory of root's and one file in it.
    pub(crate) fn file_in(self, folder: &str, name: &str, content: &[u8]) -> Vec<u8> {
        let mut archive = Self::of_root(0o755).header(folder, 0, b'5').to_vec();
        archive.extend(self.header(name, content.len(), b'0'));
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        end(&mut archive);
        archive
    }

    fn header(self, name: &str, size: usize, kind: u8) -> [u8; BLOCK] {
        let mut header = [0u8; BLOCK];
        let mut field = |at: usize, width: usize, text: &str| {
            let text = &text.as_bytes()[..text.len().min(width)];
            header[at..at + text.len()].copy_from_slice(text);
        };
        field(0, 100, name);
        field(100, 8, &format!("{:07o}", self.mode));
        field(108, 8, &format!("{:07o}", self.uid));
        field(116, 8, &format!("{:07o}", self.gid));
        field(124, 12, &format!("{size:011o}"));
        field(136, 12, "00000000000");
        field(148, 8, "        ");
        field(257, 8, "ustar\x0000");
        header[156] = kind;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header
    }
}

/// Two empty blocks.
fn end(archive: &mut Vec<u8>) {
    archive.resize(archive.len() + 2 * BLOCK, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_back() {
        let entry = Entry {
            uid: 1000,
            gid: 100,
            mode: 0o755,
        };
        let archive = entry.directory("work/");
        assert_eq!(Entry::read(&archive), Some(entry));
        assert_eq!(archive.len() % BLOCK, 0);
        assert_eq!(Entry::read(b"short"), None);
    }
}
