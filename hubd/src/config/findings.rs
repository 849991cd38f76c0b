//! What is said about a configuration, and the two ways to show it: one line each, for logs,
//! editors and scripts, or with the line of the file and a caret, for terminals.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::source::Source;

/// Why a configuration is refused: at least one error, and the warnings that came up with it.
pub(crate) struct ConfigErrors(pub(super) Findings);

/// Findings about one file, in the order of its lines.
#[derive(Clone)]
pub(crate) struct Findings {
    source: Arc<Source>,
    list: Vec<Finding>,
    /// How many more there were than are listed.
    left_out: usize,
}

/// One thing said about the configuration.
#[derive(Clone)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// The key it is about, as `service[0].name`; empty when it is about the whole file.
    pub(super) key: String,
    /// What a caret points at; none if the key is not in the file.
    pub(super) span: Option<Range<usize>>,
    /// One sentence without a full stop.
    pub(super) message: String,
    /// What to do about it, as a clause that can follow the message after a semicolon.
    pub(super) help: Option<String>,
}

/// Whether hubd starts all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `hubd.toml:12:3: spawner.poll_intervall: unknown key; did you mean ...`, one line each.
    Plain,
    /// With an excerpt of the file.
    Pretty {
        /// Whether escape sequences for colours may be used.
        colour: bool,
    },
}

impl ConfigErrors {
    /// Everything that was found.
    pub(crate) fn findings(&self) -> &Findings {
        &self.0
    }
}

impl Findings {
    /// Puts findings in the order of the file.
    pub(super) fn new(source: Arc<Source>, mut list: Vec<Finding>, left_out: usize) -> Self {
        list.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        Self {
            source,
            list,
            left_out,
        }
    }

    /// Nothing found.
    pub(super) fn none(source: Arc<Source>) -> Self {
        Self::new(source, Vec::new(), 0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len() + self.left_out
    }

    /// Each finding on one line, in the plain form and without a line end.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.list
            .iter()
            .map(|finding| Located(&self.source, finding).to_string())
            .chain(self.more())
    }

    /// All of them as one text, to be printed as it is.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut text = String::new();
        let Style::Pretty { colour } = style else {
            self.lines()
                .for_each(|line| text.extend([line.as_str(), "\n"]));
            return text;
        };
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
        for finding in &self.list {
            let shown = Excerpt::new(&self.source, finding);
            // Writing to a String does not fail; a span that the excerpt cannot show does.
            if handler.render_report(&mut text, &shown).is_err() {
                text.extend([&*Located(&self.source, finding).to_string(), "\n"]);
            }
            text.push('\n');
        }
        text.extend(self.more().map(|more| more + "\n"));
        text
    }

    /// What is said in place of those that are not listed.
    fn more(&self) -> Option<String> {
        let name = self.source.name();
        (self.left_out > 0).then(|| format!("{name}: and {} more", self.left_out))
    }
}

/// The plain form.
struct Located<'a>(&'a Source, &'a Finding);

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(source, finding) = self;
        if !source.name().is_empty() {
            f.write_str(source.name())?;
            // What is about a key that is missing is put at the start; what is about the file, nowhere.
            let placed = finding.span.is_some() || !finding.key.is_empty();
            if placed && !source.text().is_empty() {
                let start = finding.span.as_ref().map_or(0, |span| span.start);
                let (line, column) = source.line_column(start);
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if finding.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !finding.key.is_empty() {
            write!(f, "{}: ", finding.key)?;
        }
        f.write_str(&finding.message)?;
        match &finding.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// One finding for miette's renderer.
struct Excerpt<'a> {
    source: &'a Source,
    finding: &'a Finding,
    headline: String,
}

impl<'a> Excerpt<'a> {
    fn new(source: &'a Source, finding: &'a Finding) -> Self {
        let mut headline = String::new();
        // With an excerpt the renderer names the file itself.
        if finding.span.is_none() && !source.name().is_empty() {
            headline.extend([source.name(), ": "]);
        }
        if !finding.key.is_empty() {
            headline.extend([&finding.key, ": "]);
        }
        headline.push_str(&finding.message);
        Self {
            source,
            finding,
            headline,
        }
    }
}

impl Diagnostic for Excerpt<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let help = self.finding.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.finding.span.as_ref()?;
        Some(self.source.excerpt())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.clone()?;
        let label = LabeledSpan::new_primary_with_span(None, span);
        Some(Box::new(std::iter::once(label)))
    }
}

impl std::error::Error for Excerpt<'_> {}
impl std::error::Error for ConfigErrors {}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

/// The plain form, lines joined by line ends.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.render(Style::Plain).trim_end())
    }
}

/// As [`fmt::Display`]: what `unwrap` shows is what the user would read.
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const TEXT: &str = "\
[auth]
kind = \"password\"
allow_all = true

[[service]]
name = \"grader\"
api_token = \"hunter2\"
tokken = \"0123456789abcdef\"
";

    #[test]
    fn a_terminal_sees_the_line_and_a_caret_but_no_secret() {
        let errors = Config::parse(TEXT, "hubd.toml").unwrap_err();
        let pretty = errors.findings().render(Style::Pretty { colour: false });
        for part in [
            "service[0].api_token: a token has 8 to 64 characters, this one has 7",
            "hubd.toml:7:13",
            "7 │ api_token = \"*******\"",
            "help: `openssl rand -hex 32` makes a good one",
        ] {
            assert!(pretty.contains(part), "{part:?} is not in:\n{pretty}");
        }
        assert!(!pretty.contains("hunter2"), "{pretty}");
        assert!(!pretty.contains('\u{1b}'), "{pretty}");
        let colour = errors.findings().render(Style::Pretty { colour: true });
        assert!(colour.contains('\u{1b}'));
    }

    #[test]
    fn no_broken_syntax_shows_a_secret() {
        for line in [
            "password = hunter2",
            "password = \"hunter2",
            "password = 'hunter2\" # x",
            "password = \"hunter2\" \"x\"",
            "password = \"\\q hunter2\"",
            "password = [\"hunter2\"",
            "password = { a = \"hunter2\"",
        ] {
            let text = format!("[auth]\nkind = \"dummy\"\n[auth.dummy]\n{line}\n");
            let errors = Config::parse(&text, "hubd.toml").unwrap_err();
            let pretty = errors.findings().render(Style::Pretty { colour: false });
            assert!(!pretty.contains("hunter2"), "{line}:\n{pretty}");
            assert!(!errors.to_string().contains("hunter2"), "{errors}");
        }
    }

    #[test]
    fn the_plain_form_is_also_display_and_debug() {
        let errors = Config::parse(TEXT, "hubd.toml").unwrap_err();
        let plain = "\
hubd.toml:7:13: service[0].api_token: a token has 8 to 64 characters, this one has 7; \
`openssl rand -hex 32` makes a good one
hubd.toml:8:1: service[0].tokken: unknown key; `hubd print-config` shows every key";
        assert_eq!(errors.to_string(), plain);
        assert_eq!(format!("{errors:?}"), plain);
        assert_eq!(
            errors.findings().lines().collect::<Vec<_>>().join("\n"),
            plain
        );
    }

    #[test]
    fn a_flood_is_cut_off_and_counted() {
        use std::fmt::Write as _;
        let mut text = String::from("[auth]\nkind = 'password'\nallow_all = true\n[hub]\n");
        for number in 0..250 {
            writeln!(text, "k{number} = 1").unwrap();
        }
        let errors = Config::parse(&text, "hubd.toml").unwrap_err();
        assert_eq!(errors.findings().len(), 250);
        let lines: Vec<String> = errors.findings().lines().collect();
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[100], "hubd.toml: and 150 more");
    }

    #[test]
    fn warnings_do_not_crowd_out_an_error() {
        let everybody = "'::/0', ".repeat(200);
        let text = format!(
            "[auth]\nkind = 'password'\nallow_all = true\n[hub]\ntrusted_proxies = [{everybody}]\n"
        );
        let config = Config::parse(&text, "hubd.toml").unwrap();
        assert_eq!(config.warnings().len(), 200);
        let text = text + "[[role]]\nname = 'r'\nservices = ['x']\n";
        let errors = Config::parse(&text, "hubd.toml").unwrap_err();
        assert!(
            errors.to_string().contains("role[0].services[0]: "),
            "{errors}"
        );
    }
}
