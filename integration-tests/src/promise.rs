//! The promise under kill -9: numbered messages both ways, deaths at drawn points, and a verdict.
//!
//! A [`plan::Plan`] says, from a seed, who sends what to whom and who dies when. [`stream`] carries
//! it out on real processes, [`phone`] and [`writer`] are the two ends and keep records that outlive
//! any death, [`archive`] and [`outbox`] are read afterwards, and [`verdict`] joins them: every
//! number ends in one class, and a number that fits none fails the test.
//!
//! What each end has been told is what binds. A message from XMPP is promised once the gateway has
//! answered a ping that its sender sent behind it, since the component answers in order and only
//! after the commit; one from SIP once its request was answered 2xx.
//!
//! Invariant: nothing here asks Tandem what it did; the classes come from both ends and the store.

pub mod archive;
pub mod chance;
pub mod death;
pub mod outbox;
pub mod phone;
pub mod plan;
pub mod stream;
pub mod tally;
pub mod verdict;
pub mod writer;
