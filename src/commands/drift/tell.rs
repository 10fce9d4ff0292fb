//! Which reports of drift are written, and where to.

use std::path::{Path, PathBuf};

use crate::cli::drift::{ReportArg, ReportFormat};
use crate::commands::context::Context;
use crate::commands::files::{check_folder, failure};
use crate::report::drift::Report;
use crate::report::{Failure, drift, junit, markdown, out, sarif};

/// What is said where a report has no place.
const CANNOT_WRITE: &str = "cannot write the report to";

/// Where reports go. There is always one.
#[derive(Debug)]
pub(super) struct Reports {
    /// What goes to stdout, unless it is the text of people or the event of programs.
    stdout: Option<ReportFormat>,
    files: Vec<(ReportFormat, PathBuf)>,
    /// Whether people, or with `--json` programs, are told on stdout.
    told: bool,
}

impl Reports {
    /// As the command line asks for them. Checked before anything is compared, so that no answer is lost for a wrong option.
    pub(super) fn asked(formats: &[ReportArg], output: Option<&Path>, json: bool) -> Result<Reports, Failure> {
        let mut files: Vec<(ReportFormat, PathBuf)> = Vec::new();
        let mut without: Vec<ReportFormat> = Vec::new();
        for asked in formats {
            match &asked.file {
                Some(file) => files.push((asked.format, file.clone())),
                None => without.push(asked.format),
            }
        }
        if without.len() > 1 {
            return Err(Failure::new("only one report can go to one place")
                .hint("give the others a file: `--format sarif=drift.sarif --format markdown=drift.md`"));
        }
        let mut stdout = without.first().copied();
        if let Some(file) = output {
            // A report that has no file goes there, and without one the text of people.
            files.push((
                stdout.take().unwrap_or(if json { ReportFormat::Json } else { ReportFormat::Text }),
                file.to_owned(),
            ));
        } else if json && stdout.is_some() {
            return Err(Failure::new("`--json` and a report without a file would both go to stdout")
                .hint("give the report a file, such as `--format sarif=drift.sarif`, or leave `--json` out"));
        }
        let mut paths: Vec<&PathBuf> = files.iter().map(|(_, path)| path).collect();
        paths.sort_unstable();
        if let Some(twice) = paths.windows(2).find(|two| two[0] == two[1]) {
            return Err(Failure::new(format!("two reports would go to `{}`", twice[0].display())));
        }
        files.iter().try_for_each(|(_, path)| check_folder(CANNOT_WRITE, path))?;
        Ok(Reports { told: stdout.is_none() && output.is_none(), stdout, files })
    }

    /// Writes them all. A file that cannot be written does not keep the others from being written.
    pub(super) fn write(&self, context: &Context, report: &Report<'_>) -> Result<(), Failure> {
        let mut failures = Vec::new();
        for (format, path) in &self.files {
            let text = self.text(context, *format, report, true);
            if let Err(error) = std::fs::write(path, text) {
                failures.push(failure(CANNOT_WRITE, path, &error));
            }
        }
        if let Some(format) = self.stdout {
            out::data(&self.text(context, format, report, false))?;
        }
        if self.told {
            context.result(&drift::draw(report, context.page_out()), "drift", drift::object(report))?;
        }
        if failures.is_empty() { Ok(()) } else { Err(Failure::many(failures)) }
    }

    fn text(&self, context: &Context, format: ReportFormat, report: &Report<'_>, in_file: bool) -> String {
        let page = context.page_out();
        match format {
            // Colour is for the terminal.
            ReportFormat::Text if in_file => drift::draw(report, page.without_colour()),
            ReportFormat::Text => drift::draw(report, page),
            ReportFormat::Json => format!("{}\n", drift::object(report)),
            ReportFormat::Sarif => format!("{:#}\n", sarif::log(report)),
            ReportFormat::Junit => junit::document(report, context.started.elapsed()),
            ReportFormat::Markdown => markdown::document(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(formats: &[&str], output: Option<&str>, json: bool) -> Result<Reports, String> {
        let formats: Vec<ReportArg> = formats.iter().map(|format| format.parse().unwrap()).collect();
        Reports::asked(&formats, output.map(Path::new), json).map_err(|failure| failure.to_string())
    }

    #[test]
    fn reports_go_where_they_were_asked_to() {
        let files =
            |reports: &Reports| reports.files.iter().map(|(_, path)| path.display().to_string()).collect::<Vec<_>>();
        let none = asked(&[], None, false).unwrap();
        assert!(none.told && none.stdout.is_none() && none.files.is_empty());
        let two = asked(&["sarif=a.sarif", "markdown=b.md"], None, false).unwrap();
        assert!(two.told, "people are told on the terminal");
        assert_eq!(files(&two), ["a.sarif", "b.md"]);
        let one = asked(&["junit"], None, false).unwrap();
        assert!(one.stdout == Some(ReportFormat::Junit) && !one.told);
        let one = asked(&["junit"], Some("x.xml"), false).unwrap();
        assert_eq!((one.told, one.stdout, files(&one)), (false, None, vec!["x.xml".to_owned()]));
        assert!(asked(&["sarif=a"], None, true).unwrap().told, "the event is on stdout");
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for (formats, json, expected) in [
            (&["sarif", "junit"][..], false, "only one report"),
            (&["sarif"], true, "both go to stdout"),
            (&["sarif=x", "junit=x"], false, "two reports would go to `x`"),
        ] {
            let said = asked(formats, None, json).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
        assert!("sarif=".parse::<ReportArg>().is_err());
        assert!("html".parse::<ReportArg>().unwrap_err().contains("text, json, sarif, junit, markdown"));
    }
}
