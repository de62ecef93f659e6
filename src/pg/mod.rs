//! The only module that knows a server: where it is, how to talk to it, what
//! its catalogue says, and what its planner supposes.
//!
//! On a user's server everything runs in read-only transactions that are
//! rolled back, one statement a message; nothing here prints or reads the
//! environment.

mod catalog;
#[cfg(feature = "embedded")]
mod change;
pub mod cluster;
mod connect;
pub mod conninfo;
mod describe;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod explain;
pub mod live;
pub mod live_twin;
#[cfg(feature = "embedded")]
mod load;
pub mod sample;
pub mod session;
pub mod snapshot;
mod tls;
pub mod trace;
pub mod twin;
pub mod workload;

pub use conninfo::{ConnectOptions, ConninfoError, Environment};
pub use error::{Error, Refusal};
pub use live::LivePlanner;
pub use live_twin::LiveWithTwin;
pub use session::{Limits, Session};
pub use tls::TlsError;
