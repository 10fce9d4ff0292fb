//! The options of `pinfra drift`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use pinfra_engine::Address;

/// What `pinfra drift` compares, and how it tells.
#[derive(Args, Clone, Debug)]
pub struct DriftArgs {
    /// The stack's name or its stack file; absent when one stack is recorded
    pub stack: Option<String>,
    /// How to report: text, json, sarif, junit or markdown; with =FILE into a file. May be given several times
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    pub formats: Vec<ReportArg>,
    /// Where the report goes, when --format names no file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Differences that do not count, a rule a line; may be given several times
    #[arg(long = "ignore", value_name = "FILE")]
    pub ignore: Vec<PathBuf>,
    /// Write what is there into the stack file, which keeps its comments and layout; may be given several times
    #[arg(long = "accept", value_name = "ADDRESS[#FIELD]", conflicts_with_all = ["formats", "output", "ignore"])]
    pub accept: Vec<AcceptArg>,
    /// With --accept: only show the difference that it would make
    #[arg(long, requires = "accept")]
    pub dry_run: bool,
}

/// One report: `sarif`, or `sarif=drift.sarif`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportArg {
    /// How it is written.
    pub format: ReportFormat,
    /// Where to; stdout when absent.
    pub file: Option<PathBuf>,
}

/// How drift is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A test case a resource, for any CI.
    Junit,
    /// A comment on a pull request.
    Markdown,
}

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportArg, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("no file follows the `=`".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let names = || {
            let names = ReportFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            names.map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(", ")
        };
        let format = ReportFormat::from_str(format, false).map_err(|_| format!("there are {}", names()))?;
        Ok(ReportArg { format, file })
    }
}

/// What to accept: a resource, or one of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptArg {
    /// The resource.
    pub address: Address,
    /// The field; all that differ when absent.
    pub field: Option<String>,
}

impl FromStr for AcceptArg {
    type Err = String;

    fn from_str(text: &str) -> Result<AcceptArg, String> {
        let (address, field) = match text.split_once('#') {
            Some((_, "")) => return Err("no field follows the `#`".to_owned()),
            Some((address, field)) => (address, Some(field.to_owned())),
            None => (text, None),
        };
        let address = address.parse().map_err(|error: pinfra_engine::address::NotAnAddress| error.to_string())?;
        Ok(AcceptArg { address, field })
    }
}
