//! `pinfra init [DIR]`: a stack file to start from, with comments. What is there is never overwritten.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::Global;
use crate::report::out;
use crate::spec;

const STACK_FILE: &str = "stack.yaml";
const TEMPLATE: &str = include_str!("../../templates/init/stack.yaml");
/// The name in the template, which the folder's own takes the place of when it can name a stack.
const TEMPLATE_NAME: &str = "my-stack";

/// Writes the stack file and says what to do next.
pub(super) fn run(dir: &Path, global: &Global) -> ExitCode {
    let path = if dir == Path::new(".") { STACK_FILE.into() } else { dir.join(STACK_FILE) };
    if let Err(message) = write_new(dir, &path) {
        out::note(&format!("error: {message}"));
        return ExitCode::FAILURE;
    }
    if !global.quiet {
        let path = path.display();
        out::note(&format!(
            "wrote {path}\n\nnext:\n  pinfra validate {path}   checks it\n  pinfra plan {path}       shows what it would make\n  pinfra up {path}         makes it, on this machine"
        ));
    }
    ExitCode::SUCCESS
}

fn write_new(dir: &Path, path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make the folder `{}`: {error}", dir.display()))?;
    // `create_new` decides and makes in one step: between a look and a write, another program could write its own.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("`{}` exists and is left as it is\nhint: name another folder: `pinfra init DIR`", path.display())
        }
        _ => format!("cannot write `{}`: {error}", path.display()),
    })?;
    let written = file.write_all(stack_file(dir).as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// The template, named after the folder when that can name a stack.
fn stack_file(dir: &Path) -> String {
    let folder = dir.canonicalize().ok();
    let name = folder.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or(TEMPLATE_NAME);
    let named = TEMPLATE.replacen(&format!("name: {TEMPLATE_NAME}"), &format!("name: {name}"), 1);
    match spec::parse(&dir.join(STACK_FILE), named.as_str(), &|_| None) {
        Ok(stack) if *stack.name == name => named,
        _ => TEMPLATE.to_owned(),
    }
}
