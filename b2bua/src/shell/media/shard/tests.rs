use super::*;

mod browser;
mod codecs;
mod phone;
mod world;
