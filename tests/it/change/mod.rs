//! Changes of a stack through the program: every field that a stack file reaches, topics that are made again, plans that
//! were saved, and what is refused before anything is done.

mod fields;
mod refused;
mod remade;
mod saved;
mod stack;
