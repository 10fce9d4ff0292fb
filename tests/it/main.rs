//! The program as people meet it.

mod stack_file;
mod stacks;
mod support;
