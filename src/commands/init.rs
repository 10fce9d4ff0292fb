//! `pinfra init [DIR]`: a stack file to start from, with comments. What is there is never overwritten.

use std::io::{ErrorKind, Write};
use std::path::Path;

use super::context::Context;
use crate::report::Failure;
use crate::spec;

const STACK_FILE: &str = "stack.yaml";
const TEMPLATE: &str = include_str!("../../templates/init/stack.yaml");
/// The name in the template, which the folder's own takes the place of when it can name a stack.
const TEMPLATE_NAME: &str = "my-stack";

/// Writes the stack file and says what to do next.
pub(super) fn run(context: &Context, dir: &Path) -> Result<(), Failure> {
    let path = if dir == Path::new(".") { STACK_FILE.into() } else { dir.join(STACK_FILE) };
    write_new(dir, &path)?;
    let path = path.display();
    context.tell(&format!(
        "wrote {path}\n\nnext:\n  pinfra validate {path}   checks it\n  pinfra plan {path}       shows what it would make\n  \
         pinfra up {path}         makes it, on this machine"
    ));
    Ok(())
}

fn write_new(dir: &Path, path: &Path) -> Result<(), Failure> {
    let failed = |doing: &str, path: &Path, error: &std::io::Error| {
        Failure::new(format!("cannot {doing} `{}`: {error}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed("make the folder", dir, &error))?;
    // `create_new` decides and makes in one step: between a look and a write, another program could write its own.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(format!("`{}` exists and is left as it is", path.display()))
            .hint("name another folder: `pinfra init DIR`"),
        _ => failed("write", path, &error),
    })?;
    let written = file.write_all(stack_file(dir).as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| failed("write", path, &error))
}

/// The template, named after the folder when that can name a stack.
fn stack_file(dir: &Path) -> String {
    let folder = dir.canonicalize().ok();
    let name = folder.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or(TEMPLATE_NAME);
    let named = TEMPLATE.replacen(&format!("name: {TEMPLATE_NAME}"), &format!("name: {name}"), 1);
    match spec::parse(&dir.join(STACK_FILE), named.as_str(), &|_| None, spec::Checks::File) {
        Ok(stack) if *stack.name == name => named,
        _ => TEMPLATE.to_owned(),
    }
}
