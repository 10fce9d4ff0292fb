//! The program as people meet it.

mod stack_file;
