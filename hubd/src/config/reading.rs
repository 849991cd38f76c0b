//! The reading of one file: collects what is found and knows where it stands.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::findings::{ConfigErrors, Finding, Findings, Severity};
use super::source::Source;
use super::value::Fault;

/// So many findings are listed; a file of another kind would fill screens.
const LISTED_MAX: usize = 100;

/// So many characters of a key are shown; real ones are shorter.
const KEY_SHOWN_MAX: usize = 120;

/// The reading of one file: where it stands, and what was found so far.
pub(super) struct Reading {
    source: Arc<Source>,
    /// Relative paths in the file start here.
    folder: PathBuf,
    findings: Vec<Finding>,
    left_out: usize,
}

/// Which half of `key = value` a finding points at.
#[derive(Clone, Copy)]
pub(super) enum Spot<'a> {
    /// The key; also for one that is missing, which shows the table around it.
    Key(&'a str),
    /// The value; of a table the header.
    Value(&'a str),
}

impl Reading {
    pub(super) fn new(source: Arc<Source>, folder: &Path) -> Self {
        Self {
            source,
            folder: folder.to_owned(),
            findings: Vec::new(),
            left_out: 0,
        }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// A path of the file, seen from where hubd runs.
    pub(super) fn path(&self, raw: &str) -> PathBuf {
        self.folder.join(raw)
    }

    pub(super) fn error(&mut self, spot: Spot<'_>, fault: Fault) {
        self.add(Severity::Error, spot, fault);
    }

    pub(super) fn warn(&mut self, spot: Spot<'_>, fault: Fault) {
        self.add(Severity::Warning, spot, fault);
    }

    /// Notes an error at a place that is no key's; none is the file as a whole.
    pub(super) fn error_in(&mut self, span: Option<Range<usize>>, key: String, fault: Fault) {
        self.push(Severity::Error, span, key, fault);
    }

    /// Whether more errors would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= LISTED_MAX
    }

    /// The line that `key` is in.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        let (place, _) = self.source.find(key)?;
        Some(self.source.line_column(place.key.start).0)
    }

    /// Whether `key`, something in it, or what it stands in has an error already, so that another
    /// finding about it would only be its echo.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        let holds = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .any(|finding| holds(key, &finding.key) || holds(&finding.key, key))
    }

    /// The warnings, or all findings if one of them is an error.
    pub(super) fn finish(self) -> Result<Findings, ConfigErrors> {
        let refused = self
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        let findings = Findings::new(self.source, self.findings, self.left_out);
        if refused {
            Err(ConfigErrors(findings))
        } else {
            Ok(findings)
        }
    }

    /// All findings, for a reading that has gone wrong.
    pub(super) fn into_errors(self) -> ConfigErrors {
        ConfigErrors(Findings::new(self.source, self.findings, self.left_out))
    }

    fn add(&mut self, severity: Severity, spot: Spot<'_>, fault: Fault) {
        let (Spot::Key(key) | Spot::Value(key)) = spot;
        let span = self.source.find(key).map(|(place, exact)| match spot {
            Spot::Value(_) if exact => place.value.clone(),
            _ => place.key.clone(),
        });
        self.push(severity, span, key.to_owned(), fault);
    }

    fn push(&mut self, severity: Severity, span: Option<Range<usize>>, key: String, fault: Fault) {
        // The count may run out before an error comes: an error takes a warning's place.
        if self.is_full() {
            self.left_out += 1;
            let warning = self
                .findings
                .iter()
                .position(|f| f.severity == Severity::Warning);
            match (severity, warning) {
                (Severity::Error, Some(at)) => drop(self.findings.remove(at)),
                _ => return,
            }
        }
        self.findings.push(Finding {
            severity,
            key: shorten(key),
            span,
            message: fault.message,
            help: fault.help,
        });
    }
}

fn shorten(key: String) -> String {
    match key.char_indices().nth(KEY_SHOWN_MAX) {
        Some((cut, _)) => format!("{}...", &key[..cut]),
        None => key,
    }
}
