//! Takes a table's keys one by one and notes what is wrong with each.
//!
//! A reader never stops at an error: [`TableReader::get`] notes it and answers `None`, so the
//! caller goes on with the default. What has not been asked for by the end is an unknown key.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::reading::{Reading, Spot};
use super::source::join;
use super::spec::{self, TableSpec};
use super::suggest;
use super::value::{Fault, expected, found};

/// One table being read; an absent one reads as empty.
pub(super) struct TableReader<'r, 'd> {
    reading: &'r mut Reading,
    spec: &'static TableSpec,
    /// With its index, if it is one of many: `service[0]`.
    path: String,
    entries: Option<&'d DeTable<'d>>,
    /// Keys that are known without standing in the spec.
    more_keys: Vec<String>,
    asked: Vec<&'static str>,
}

impl<'r, 'd> TableReader<'r, 'd> {
    /// A reader of the table at `path`.
    pub(super) fn new(
        reading: &'r mut Reading,
        spec: &'static TableSpec,
        path: impl Into<String>,
        entries: Option<&'d DeTable<'d>>,
    ) -> Self {
        Self {
            reading,
            spec,
            path: path.into(),
            entries,
            more_keys: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The value of a key; `None` if it is absent or wrong.
    pub(super) fn get<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.ask(name)?;
        read(value).map_err(|fault| self.fault(name, fault)).ok()
    }

    /// As [`TableReader::get`], for a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        if !self.has(name) {
            let fault = Fault::new(format!("the key `{name}` is missing"));
            let key = self.key(name);
            self.reading.error(Spot::Key(&key), fault);
        }
        self.get(name, read)
    }

    /// The elements of a list; `None` if it is absent or any of them is wrong.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let elements = match self.ask(name)? {
            DeValue::Array(elements) => elements,
            other => {
                let fault = Fault::new(format!("expected a list, found {}", found(other)));
                let help = "put it in brackets, as in `[\"one\", \"two\"]`";
                let fault = if other.is_str() {
                    fault.help(help)
                } else {
                    fault
                };
                self.fault(name, fault);
                return None;
            }
        };
        let mut list = Vec::with_capacity(elements.len());
        for (at, element) in elements.iter().enumerate() {
            match read(element.get_ref()) {
                Ok(value) => list.push(value),
                Err(fault) => self.element_fault(name, at, fault),
            }
        }
        (list.len() == elements.len()).then_some(list)
    }

    /// A path, which may be relative to the file's folder.
    pub(super) fn path(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<String, Fault>,
    ) -> Option<PathBuf> {
        let raw = self.get(name, read)?;
        Some(self.reading.path(&raw))
    }

    /// The entries of a key whose names are the user's own.
    pub(super) fn map(&mut self, name: &'static str) -> Option<&'d DeTable<'d>> {
        match self.ask(name)? {
            DeValue::Table(entries) => Some(entries),
            other => {
                let fault = expected("a table", other).help("write { NAME = \"value\" }");
                self.fault(name, fault);
                None
            }
        }
    }

    /// The entries of a table that stands in this one.
    pub(super) fn table(&mut self, name: &str) -> Option<&'d DeTable<'d>> {
        match self.entries?.get(name)?.get_ref() {
            DeValue::Table(entries) => Some(entries),
            other => {
                let header = join(&self.path, name);
                let message = format!("expected the table `[{header}]`, found {}", found(other));
                let help = match other {
                    DeValue::Array(_) => format!("write it once, as `[{header}]`"),
                    _ => format!("write its keys below a line `[{header}]`"),
                };
                self.fault(name, Fault::new(message).help(help));
                None
            }
        }
    }

    /// The entries of each table `[[name]]`; none at all if one of them is no table, so that a
    /// place in the result is always the index in the file.
    pub(super) fn tables(&mut self, name: &str) -> Vec<&'d DeTable<'d>> {
        let Some(value) = self.entries.and_then(|entries| entries.get(name)) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        let header = join(&self.path, name);
        let fault = |other| {
            Fault::new(format!("expected a table, found {}", found(other)))
                .help(format!("begin each one with `[[{header}]]`"))
        };
        match value.get_ref() {
            DeValue::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    match element.get_ref() {
                        DeValue::Table(entries) => tables.push(entries),
                        other => self.element_fault(name, at, fault(other)),
                    }
                }
                if tables.len() < elements.len() {
                    tables.clear();
                }
            }
            DeValue::Table(_) => {
                let message = "this table can be given several times, so it needs double brackets";
                let help = format!("write `[[{header}]]`");
                self.fault(name, Fault::new(message).help(help));
            }
            other => self.fault(name, fault(other)),
        }
        tables
    }

    /// Every entry, for tables whose keys are the user's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, &'d DeValue<'d>)> + use<'d> {
        let entries = self.entries.into_iter().flatten();
        entries.map(|(name, value)| (name.get_ref().as_ref(), value.get_ref()))
    }

    /// A reader of a table that stands in this one, under the same spec or its own.
    pub(super) fn sub(
        &mut self,
        spec: &'static TableSpec,
        path: String,
        entries: Option<&'d DeTable<'d>>,
    ) -> TableReader<'_, 'd> {
        TableReader::new(self.reading, spec, path, entries)
    }

    /// Makes `name` a known key of this table.
    pub(super) fn also_known(&mut self, name: &str) {
        self.more_keys.push(name.to_owned());
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(name))
    }

    /// The dotted key of `name`.
    pub(super) fn key(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Notes an error about the value of a key.
    pub(super) fn fault(&mut self, name: &str, fault: Fault) {
        let key = self.key(name);
        self.reading.error(Spot::Value(&key), fault);
    }

    fn element_fault(&mut self, name: &str, at: usize, fault: Fault) {
        let key = format!("{}[{at}]", self.key(name));
        self.reading.error(Spot::Value(&key), fault);
    }

    pub(super) fn reading(&mut self) -> &mut Reading {
        self.reading
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        debug_assert!(
            self.spec
                .keys
                .iter()
                .all(|key| self.asked.contains(&key.name)),
            "a key of [{}] is listed and never read",
            self.spec.path
        );
        let mut known: Vec<&str> = self.more_keys.iter().map(String::as_str).collect();
        known.extend(self.spec.keys.iter().map(|key| key.name));
        for table in spec::tables_in(self.spec.path) {
            known.push(table);
        }
        for (name, value) in self.entries() {
            if !known.contains(&name) {
                suggest::unknown_key(self.reading, self.spec, &self.path, &known, name, value);
            }
        }
    }

    fn ask(&mut self, name: &'static str) -> Option<&'d DeValue<'d>> {
        debug_assert!(
            self.spec.keys.iter().any(|key| key.name == name),
            "`{name}` is read and not listed in [{}]",
            self.spec.path
        );
        self.asked.push(name);
        Some(self.entries?.get(name)?.get_ref())
    }
}
