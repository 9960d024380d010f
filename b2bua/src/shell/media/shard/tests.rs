use super::*;

mod browser;
mod codecs;
mod hostile;
mod keys;
mod legs;
mod phone;
mod reach;
mod world;
