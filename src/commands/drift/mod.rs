//! `pinfra drift`.

mod accept;
mod ignore;
mod tell;
mod write;
