use super::*;

mod browser;
mod codecs;
mod hostile;
mod reach;
mod keys;
mod legs;
mod phone;
mod world;
